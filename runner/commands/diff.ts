import { existsSync } from "node:fs";
import { PipelineError } from "../../common/errors.ts";
import { build } from "../build.ts";
import { compareRelations, type Difference, differenceText, keyAmong } from "../compare.ts";
import { compile } from "../compile.ts";
import { type Column, type Database, identifier, literal } from "../duckdb.ts";
import { loadProject, type Output, type ProjectOptions, selectNodes } from "../load.ts";
import { type Memory, readMemory, standingIn } from "../memory.ts";
import type { Model, Project, Seed } from "../nodes.ts";
import { attach, attachWork, openSources, placesOf, workCatalog } from "../open.ts";
import { type Past, readPast } from "../past.ts";
import { publishedNodes } from "../publishable.ts";
import { count } from "../text.ts";

/** How a table that readers know would change. */
export interface TableDifference {
    readonly node: string;
    readonly kind: "new" | "gone" | "changed" | "same";
    readonly columns: readonly ColumnDifference[];
    /** Of a table that is in both. Absent where it is known to be the same without looking. */
    readonly rows?: Difference;
    readonly key: readonly string[];
}

export interface ColumnDifference {
    readonly name: string;
    readonly before?: string;
    readonly after?: string;
}

const published = "shelfmark_published";

export interface DiffOptions extends ProjectOptions {
    /** How many differing rows of each table to show. */
    readonly limit: number;
    readonly output: "text" | "json";
    readonly signal?: AbortSignal;
}

/**
 * Shows what a build would change for readers, before anything is published: what has changed is built into the work file,
 * which a build afterwards only needs to publish, and compared with what is published.
 * Returns whether the build would publish.
 */
export async function diff({ limit, output: format, ...options }: DiffOptions, output: Output): Promise<boolean> {
    const { project, graph } = await loadProject(options);
    const { warehouse } = placesOf(project);
    if (!existsSync(warehouse)) {
        throw new PipelineError(`nothing is published for target "${project.target.name}" yet, so all would be new`);
    }
    const quiet = { out: output.note, note: output.note };
    const { ok } = await build("build", { ...options, keepsPublication: true }, quiet);
    const compiled = compile(project, graph);
    const names = await selectNodes(project, graph, { options, compiled, kinds: ["model", "seed"], output: quiet });
    const past = await readPast(project, { onWait: output.note });
    const database = await openSources(project, { onWait: output.note });
    try {
        await attachWork(database, project, { write: false, onWait: output.note });
        await attach(database, `${literal(warehouse)} as ${published} (read_only)`, { file: warehouse });
        const tables = await differences(database, project, { past, names, limit });
        if (format === "json") output.out(JSON.stringify(tables, undefined, 2));
        else
            output.out(
                tables
                    .map(tableText)
                    .filter((text) => text !== "")
                    .concat(summary(tables))
                    .join("\n"),
            );
    } finally {
        database.close();
    }
    if (!ok) output.note("A build would not publish this: see above what failed");
    return ok;
}

async function differences(
    database: Database,
    project: Project,
    { past, names, limit }: { past: Past; names: ReadonlySet<string>; limit: number },
): Promise<TableDifference[]> {
    const memory = await readMemory(database);
    const standing = await standingIn(database, published);
    const nodes = publishedNodes(project).filter((node) => names.has(node.name) && memory.relations.has(node.name));
    const tables: TableDifference[] = [];
    for (const node of nodes) {
        const before = standing.get(node.name)?.columns;
        const sameRun = past.published?.get(node.name)?.runId === memory.nodes.get(node.name)?.runId;
        tables.push(await difference(database, node, { before, memory, sameRun, limit }));
    }
    const known = new Set(publishedNodes(project).map((node) => node.name));
    const gone = [...standing.keys()].filter((name) => !known.has(name) && project.nodes.get(name)?.kind !== "test");
    return [...tables, ...gone.map((node) => ({ node, kind: "gone" as const, columns: [], key: [] }))];
}

interface Sides {
    readonly before: readonly Column[] | undefined;
    readonly memory: Memory;
    /** Whether what is published was made by the same run: then it is the same. */
    readonly sameRun: boolean;
    readonly limit: number;
}

async function difference(
    database: Database,
    node: Model | Seed,
    { before, memory, sameRun, limit }: Sides,
): Promise<TableDifference> {
    const after = memory.relations.get(node.name)?.columns ?? [];
    const isView = memory.relations.get(node.name)?.kind === "view";
    if (before === undefined) return { node: node.name, kind: "new", columns: [], key: [] };
    if (sameRun && !isView) return { node: node.name, kind: "same", columns: [], key: [] };
    const typeIn = (columns: readonly Column[], name: string): string | undefined =>
        columns.find((column) => column.name === name)?.type;
    const names = [...new Set([...before, ...after].map(({ name }) => name))];
    const columns = names.flatMap((name): ColumnDifference[] => {
        const [was, is] = [typeIn(before, name), typeIn(after, name)];
        if (was === is) return [];
        return [{ name, ...(was === undefined ? {} : { before: was }), ...(is === undefined ? {} : { after: is }) }];
    });
    const common = names.filter((name) => typeIn(before, name) === typeIn(after, name));
    const key = keyAmong(common, node.kind === "model" ? node.uniqueKey : []);
    const table = identifier(node.name);
    const rows = await compareRelations(database, {
        ...{ before: `${published}.main.${table}`, after: `${workCatalog}.main.${table}`, key, columns: common, limit },
    });
    const isSame = columns.length + rows.added + rows.gone + rows.changed === 0;
    return { node: node.name, kind: isSame ? "same" : "changed", columns, rows, key };
}

/** What changes of a table, or nothing. */
function tableText({ node, kind, columns, rows, key }: TableDifference): string {
    if (kind === "same") return "";
    if (kind === "new") return `${node}: a new table`;
    if (kind === "gone") return `${node}: no longer published`;
    const lines = columns.map(({ name, before, after }) => {
        if (before === undefined) return `    + column ${name} ${after}`;
        return after === undefined ? `    - column ${name} ${before}` : `    ~ column ${name} ${before} to ${after}`;
    });
    const { added = 0, gone = 0, changed = 0, changedColumns = {}, rows: examples = [] } = rows ?? {};
    const cells = Object.entries(changedColumns).map(([name, n]) => `${name} in ${count(n)}`);
    const which = cells.length === 0 ? "" : ` (${cells.join(", ")})`;
    const facts = `${count(added)} added, ${count(gone)} gone, ${count(changed)} changed${which}`;
    const shown = examples.map((row) => `    ${differenceText(row, key)}`);
    const left = added + gone + changed - examples.length;
    return [`${node}: ${facts}`, ...lines, ...shown, ...(left > 0 ? [`    and ${count(left)} more`] : [])].join("\n");
}

function summary(tables: readonly TableDifference[]): string {
    const of = (kind: TableDifference["kind"]): number => tables.filter((table) => table.kind === kind).length;
    return `${of("changed")} of ${tables.length} tables changed, ${of("new")} new, ${of("gone")} gone, ${of("same")} as they are`;
}
