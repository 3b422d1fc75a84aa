import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { compiledPath } from "./artifacts/dbt-names.ts";
import { compile, relationOf } from "./compile.ts";
import { type Database, identifier, literal, type Row, SqlError } from "./duckdb.ts";
import { type Graph, reach } from "./graph.ts";
import { readLineage } from "./history.ts";
import { type ColumnRef, farEnd, walkable } from "./lineage.ts";
import type { DataTest, Model, Node, Project } from "./nodes.ts";
import { placesOf } from "./open.ts";
import { originOf } from "./origins.ts";
import { counted } from "./text.ts";

/** A column in which a test finds the same values failing. */
export interface Place extends ColumnRef {
    /** As the test counts them. */
    readonly rows: number;
    /** The file that makes or declares the node. */
    readonly file: string;
}

/** What is told of the rows that a test found. */
export interface Failure {
    /** The first of them. */
    readonly sample: readonly Row[];
    /** Where all of them were written, relative to the project folder. */
    readonly stored: string;
    /** Where the test's SQL is, relative to the project folder. */
    readonly compiled: string;
    /** The furthest columns up the lineage that already have such values. */
    readonly alreadyIn?: readonly Place[];
    /** The tested model, where none above it has them. */
    readonly madeIn?: Omit<Place, "rows">;
    /** Why not all could be told, if so. */
    readonly unclear?: string;
}

interface Tested {
    readonly project: Project;
    readonly graph: Graph;
    readonly test: DataTest;
    /** The test's compiled query for failing rows. */
    readonly sql: string;
}

/** How many failing rows are shown, how many are written to the file of a test's failures, how often is asked upstream. */
const shownRows = 5;
const storedRows = 10_000;
const mostProbes = 20;

/**
 * Writes the failing rows of a test to a file and tells the first of them: of a generic test on a column, by the model's
 * key and that column. With `isNews`, the column's lineage is followed to where such values come from.
 * @throws SqlError where the test's own query fails; what else fails is told in `unclear`.
 */
export async function failureOf(database: Database, tested: Tested, { isNews }: { isNews: boolean }): Promise<Failure> {
    const { project, test, sql } = tested;
    const folder = join(placesOf(project).artifacts, "failures");
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${test.name}.csv`);
    await database.run(`copy (select * from (\n${sql}\n) as failing limit ${storedRows}) to ${literal(path)} (header)`);
    const artifacts = `artifacts/${project.target.name}`;
    const places = { stored: `${artifacts}/failures/${test.name}.csv`, compiled: `${artifacts}/${compiledPath(test)}` };
    const plain = `select * from (\n${sql}\n) as failing limit ${shownRows}`;
    const node = project.nodes.get(test.on ?? "");
    // A name in quotes is the column's own between them.
    const column = test.column?.replace(/^"(.*)"$/, "$1");
    if (!isNews || column === undefined || node?.kind !== "model") {
        return { sample: await database.rows(plain), ...places };
    }
    const told = await tried(async () => {
        const returned = (await database.columns(`(\n${sql}\n) as failing`)).map(({ name }) => name);
        return { returned, sample: await database.rows(sampleQuery(tested, { model: node, column, returned })) };
    });
    if (told.problem !== undefined) {
        const unclear = `could not name the rows, nor look further up: ${told.problem}`;
        return { sample: await database.rows(plain), ...places, unclear };
    }
    const { returned, sample } = told.result;
    const isValued = includes(returned, column);
    const { found, problem } = await searchUpstream(database, tested, { column, isValued });
    const madeIn = { node: node.name, column, file: node.file.path };
    return {
        ...{ sample, ...places },
        ...(found.length > 0 ? { alreadyIn: found } : problem === undefined ? { madeIn } : {}),
        ...(problem === undefined ? {} : { unclear: `could not look further up: ${problem}` }),
    };
}

/** Where the failing values come from, in a line each. */
export function originLines({ alreadyIn = [], madeIn, unclear }: Partial<Failure>): string[] {
    return [
        ...alreadyIn.map(({ node, column, rows, file }) => {
            return `already so in: ${node}.${column} (${counted(rows, "row")}), ${file}`;
        }),
        ...(madeIn === undefined ? [] : [`made here: ${madeIn.node}, ${madeIn.file}`]),
        ...(unclear === undefined ? [] : [unclear]),
    ];
}

function includes(names: readonly string[], name: string): boolean {
    return names.some((other) => other.toLowerCase() === name.toLowerCase());
}

/**
 * The first failing rows by the model's key. Rows of the model are shown with its key and the tested column only; a test
 * that returns values, as `unique` does, gets one key for each of them as an example.
 */
function sampleQuery(
    { test, sql }: Tested,
    { model, column, returned }: { model: Model; column: string; returned: readonly string[] },
): string {
    const tested = identifier(column);
    const others = model.uniqueKey.filter((name) => name.toLowerCase() !== column.toLowerCase());
    const failing = `(\n${sql}\n) as failing`;
    if (model.uniqueKey.length > 0 && [...others, column].every((name) => includes(returned, name))) {
        const isOfValues = others.length === 0;
        const shown = isOfValues ? "*" : [...others.map(identifier), tested].join(", ");
        return `select ${shown} from ${failing} order by all limit ${shownRows}`;
    }
    const isInlined = model.materialized === "ephemeral";
    if (others.length === 0 || !includes(returned, column) || isInlined) {
        return `select * from ${failing} order by all limit ${shownRows}`;
    }
    const where = test.where === undefined ? "" : ` and (${test.where})`;
    const keys = others.map(identifier).join(", ");
    return `
        with shown as (select * from ${failing} order by all limit ${shownRows}),
        example as (
            select distinct on (${tested}) ${keys}, ${tested} from ${relationOf(model)}
            where ${tested} in (select ${tested} from shown)${where}
            order by ${tested}, ${keys}
        )
        select ${others.map((name) => `example.${identifier(name)}`).join(", ")}, shown.*
        from shown left join example on example.${tested} is not distinct from shown.${tested}
        order by shown.${tested}`;
}

/**
 * Asks the same test of the columns that the tested one passes on unchanged, as far up as it finds the same values failing.
 * `isValued`: whether the test's query returns the tested column, so that values can be compared.
 */
async function searchUpstream(
    database: Database,
    tested: Tested,
    { column, isValued }: { column: string; isValued: boolean },
): Promise<{ found: readonly Place[]; problem: string | undefined }> {
    const { project, graph, test } = tested;
    const edges = await readLineage(database);
    const lineage = walkable(graph, edges);
    const visited = new Map<string, readonly Place[]>();
    let problem: string | undefined;

    const placesAbove = async (ref: ColumnRef): Promise<readonly Place[]> => {
        const found: Place[] = [];
        for (const edge of lineage.into(ref)) {
            if (edge.kind !== "pass-through" || problem !== undefined) continue;
            const above = farEnd(edge, "upstream");
            const key = originOf(above.node, above.column);
            const places = visited.get(key) ?? (await placesFrom(above));
            visited.set(key, places);
            found.push(...places.filter((place) => !found.includes(place)));
        }
        return found;
    };
    const placesFrom = async (ref: ColumnRef): Promise<readonly Place[]> => {
        const node = project.nodes.get(ref.node);
        if (node === undefined) return [];
        if (visited.size === mostProbes) {
            problem = `${mostProbes} columns have been asked`;
            return [];
        }
        // Before its answer is known, so that each counts.
        visited.set(originOf(ref.node, ref.column), []);
        const probed = await tried(() => probe(database, tested, { ref, column, isValued }));
        problem ??= probed.problem;
        if (probed.problem !== undefined || probed.result === 0) return [];
        const further = await placesAbove(ref);
        return further.length > 0 ? further : [{ ...ref, rows: probed.result, file: fileOf(node) }];
    };

    // As DuckDB spells it.
    const own = edges.find((edge) => edge.node === test.on && edge.column.toLowerCase() === column.toLowerCase());
    const found = own === undefined ? [] : await placesAbove({ node: own.node, column: own.column });
    return { found, problem };
}

/** How many failing rows the test has on another column, of the values that fail in its own. @throws SqlError */
async function probe(
    database: Database,
    { project, graph, test, sql }: Tested,
    { ref, column, isValued }: { ref: ColumnRef; column: string; isValued: boolean },
): Promise<number> {
    const { where, ...unfiltered } = test;
    const name = identifier(ref.column);
    const upstream: DataTest = {
        ...unfiltered,
        name: `${test.name} of ${ref.node}`,
        on: ref.node,
        column: name,
        parents: [...test.parents, ref.node],
    };
    const compiled = (probed: DataTest): string => {
        const nodes = new Map([...project.nodes, [probed.name, probed]]);
        const names = new Set([probed.name, ...reach(graph.parents, probed.parents)]);
        const sqls = compile({ ...project, nodes }, { ...graph, order: [...graph.order, probed] }, names);
        return sqls.get(probed.name)?.text ?? "";
    };
    const narrowed = where === undefined ? undefined : compiled({ ...upstream, where });
    // What `where` asks of need not be there yet.
    const isNarrow = narrowed !== undefined && (await tried(() => database.bind(narrowed))).problem === undefined;
    const found = isNarrow ? narrowed : compiled(upstream);
    const same = isValued
        ? `where exists (select 1 from (\n${sql}\n) as failing where failing.${identifier(column)} is not distinct from found.${name})`
        : "";
    return Number(await database.value(`select count(*) from (\n${found}\n) as found ${same}`));
}

type Tried<T> = { readonly result: T; readonly problem?: undefined } | { readonly problem: string };

/** The result, or what DuckDB said against it. */
async function tried<T>(work: () => Promise<T>): Promise<Tried<T>> {
    try {
        return { result: await work() };
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        return { problem: error.message };
    }
}

function fileOf(node: Node): string {
    return "file" in node ? node.file.path : node.declaredAt.file.path;
}
