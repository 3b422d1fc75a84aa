import { createHash } from "node:crypto";
import { identifier } from "../duckdb.ts";
import { type DataTest, isEphemeral, type Model, type Node, type Project, resourceType } from "../nodes.ts";
import type { UnitTest } from "../properties.ts";

// What things are called in dbt's artifacts.

/** A test's is asked for five times, and a hash each time would take as long as all the rest of a manifest. */
const uniqueIds = new WeakMap<Node, string>();

/** `model.shop.dim_books`, `snapshot.shop.authors`, `source.shop.landed.pages`, `test.shop.unique_books_key.1a2b3c4d5e` */
export function uniqueIdOf(project: Project, node: Node): string {
    const known = uniqueIds.get(node);
    if (known !== undefined) return known;
    const id = makeUniqueId(project, node);
    uniqueIds.set(node, id);
    return id;
}

function makeUniqueId({ config }: Project, node: Node): string {
    const id = `${resourceType(node)}.${config.name}.${node.name}`;
    if (node.kind !== "test" || node.generic === undefined) return id;
    const facts = JSON.stringify([node.generic, node.name, node.on, node.column, node.args]);
    return `${id}.${createHash("sha256").update(facts).digest("hex").slice(0, 10)}`;
}

/** `unit_test.shop.dim_books.takes_the_first_year` */
export function unitTestId({ config }: Project, test: UnitTest): string {
    return `unit_test.${config.name}.${test.model}.${test.name}`;
}

/** DuckDB names a database after its file: this is work.duckdb. */
const workDatabase = "work";

/** The database, schema and name by which a node is found in the work file, or a source in its own, opened by itself. */
export function placeOf(node: Node): { database: string; schema: string; identifier: string } {
    if (node.kind !== "source") return { database: workDatabase, schema: "main", identifier: node.name };
    return { database: node.database ?? workDatabase, schema: node.schema, identifier: node.identifier };
}

/** `"work"."main"."dim_books"`; null where no relation is made. */
export function relationName(node: Node): string | null {
    if (node.kind === "test" || isEphemeral(node)) return null;
    return Object.values(placeOf(node)).map(identifier).join(".");
}

/** Where the compiled SQL of a node is written, below artifacts/<target>/. */
export function compiledPath(node: Model | DataTest): string {
    if (node.kind === "test") return `compiled/tests/${node.name}.sql`;
    return `compiled/${node.snapshot === undefined ? node.file.path : `snapshots/${node.name}.sql`}`;
}
