import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { problemOf, readSeed } from "./check.ts";
import type { Compiled } from "./compile.ts";
import { type Database, identifier, literal, type Row, SqlError } from "./duckdb.ts";
import { type Graph, reach } from "./graph.ts";
import type { DataTest, Model, Node, Project, Seed } from "./nodes.ts";
import { placesOf, workCatalog } from "./open.ts";
import { formatProblem } from "./problem.ts";
import { type State, saveState } from "./state.ts";

export type Status = "success" | "pass" | "warn" | "fail" | "error" | "skip";

/** What became of one node. */
export interface Result {
    readonly node: Model | Seed | DataTest;
    readonly status: Status;
    readonly seconds: number;
    /** Rows of a table or seed. */
    readonly rows?: number;
    /** What a test counted, and the first of those rows. */
    readonly failures?: number;
    readonly sample?: readonly Row[];
    /** Where all failing rows of a test were written, relative to the project folder. */
    readonly stored?: string;
    /** Why it is an error, or why it was skipped. */
    readonly message?: string;
}

export interface RunOptions {
    readonly graph: Graph;
    readonly compiled: Compiled;
    /** The nodes to run; others are taken as an earlier run left them. */
    readonly names: ReadonlySet<string>;
    readonly runId: string;
    readonly onResult: (result: Result, position: { index: number; total: number }) => void;
}

/** How many failing rows are shown, and how many are written to the file of a test's failures. */
const shownRows = 5;
const storedRows = 10_000;

/**
 * Runs seeds, models and tests in the work file, each after all that it reads, a test right after the last it reads.
 * What fails stops what reads it; independent branches go on.
 */
export async function run(database: Database, project: Project, options: RunOptions): Promise<readonly Result[]> {
    const { graph, names, runId, onResult } = options;
    const todo = graph.order.filter((node): node is Result["node"] => names.has(node.name) && isRun(node));
    const blocked = new Map<string, string>();
    const built = await standingRelations(database, project);
    const results: Result[] = [];
    rmSync(join(placesOf(project).artifacts, "failures"), { recursive: true, force: true });
    for (const [i, node] of todo.entries()) {
        const started = performance.now();
        const reason = blocked.get(node.name) ?? missingParent(node, project, built);
        const outcome: Outcome =
            reason === undefined
                ? await runNode(database, project, node, options)
                : { status: "skip", message: reason };
        const result: Result = { node, ...outcome, seconds: (performance.now() - started) / 1000 };
        if (node.kind !== "test" && result.status === "success") built.add(node.name);
        const state = stateAfter(result);
        if (state !== undefined) await saveState(database, state.names, { state: state.state, runId });
        const stops = result.status === "error" || result.status === "fail";
        if (stops || (result.status === "skip" && node.kind !== "test")) block(result, project, graph, blocked);
        results.push(result);
        onResult(result, { index: i + 1, total: todo.length });
    }
    return results;
}

/** An ephemeral model is run where it is written into. */
export function isRun(node: Node): boolean {
    return node.kind !== "source" && !(node.kind === "model" && node.materialized === "ephemeral");
}

type Outcome = Omit<Result, "node" | "seconds">;

/** A failed model stops all that reads it. A failed test stops the models that read what it tests, not its other tests. */
function block({ node, status }: Result, project: Project, graph: Graph, blocked: Map<string, string>): void {
    const origins = node.kind === "test" ? testedBy(node) : [node.name];
    for (const origin of origins) {
        const readers = (graph.children.get(origin) ?? []).filter(
            (name) => node.kind !== "test" || project.nodes.get(name)?.kind !== "test",
        );
        const verb = status === "skip" ? "was skipped" : "failed";
        const reason = node.kind === "test" ? `${origin} failed its test ${node.name}` : `${origin} ${verb}`;
        for (const name of reach(graph.children, readers)) if (!blocked.has(name)) blocked.set(name, reason);
    }
}

/** What a test passes its verdict on: the node it is declared on, or all that a .sql test reads. */
function testedBy(test: DataTest): readonly string[] {
    return test.on === undefined ? test.parents : [test.on];
}

function missingParent(node: Node, project: Project, built: ReadonlySet<string>): string | undefined {
    const missing = relationsRead(node, project).find((name) => !built.has(name));
    return missing === undefined
        ? undefined
        : `${missing} has not been built; take it in with --select "+${node.name}"`;
}

/** The models and seeds that must stand in the work file, those behind ephemeral models included. */
function relationsRead(node: Node, project: Project): string[] {
    return node.parents.flatMap((name) => {
        const parent = project.nodes.get(name);
        if (parent === undefined || parent.kind === "source") return [];
        const inlined = parent.kind === "model" && parent.materialized === "ephemeral";
        return inlined ? relationsRead(parent, project) : [name];
    });
}

/** What the work file is to remember: a relation is "built" until all of a run's tests have passed on it. */
function stateAfter({ node, status }: Result): { names: readonly string[]; state: State } | undefined {
    if (node.kind === "test") {
        if (status !== "fail" && status !== "error") return undefined;
        return { names: testedBy(node), state: "failed" };
    }
    const states = { success: "built", error: "failed", skip: "stale" } as const;
    return status in states ? { names: [node.name], state: states[status as keyof typeof states] } : undefined;
}

async function runNode(
    database: Database,
    project: Project,
    node: Result["node"],
    { compiled }: RunOptions,
): Promise<Outcome> {
    const sql = compiled.get(node.name);
    try {
        if (node.kind === "seed") return await loadSeed(database, project, node);
        if (sql === undefined) throw new Error(`${node.name} was not compiled`);
        if (node.kind === "test") return await runTest(database, project, node, sql.text);
        return await materialize(database, node, sql.text);
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        if (sql !== undefined && error.offset !== undefined) {
            const prefix = node.kind === "test" ? countPrefix.length : statementPrefix(node as Model).length;
            return { status: "error", message: formatProblem(problemOf(error, sql, { prefix })) };
        }
        const file = node.kind === "test" ? node.template.file : node.file;
        return { status: "error", message: `${file.path}  ${error.message}` };
    }
}

function statementPrefix({ name, materialized }: Pick<Model, "name" | "materialized">): string {
    return `create or replace ${materialized} main.${identifier(name)} as\n`;
}

async function materialize(database: Database, model: Model, sql: string): Promise<Outcome> {
    await dropOtherKind(database, model.name, model.materialized === "view" ? "view" : "table");
    await database.run(`${statementPrefix(model)}${sql}\n`);
    if (model.materialized === "view") return { status: "success" };
    return { status: "success", rows: await finishTable(database, model.name) };
}

async function loadSeed(database: Database, project: Project, seed: Seed): Promise<Outcome> {
    await dropOtherKind(database, seed.name, "table");
    const prefix = statementPrefix({ name: seed.name, materialized: "table" });
    await database.run(`${prefix}select * from ${readSeed(project, seed)}`);
    return { status: "success", rows: await finishTable(database, seed.name) };
}

/** Without a checkpoint after each, replaced tables make the file grow without bound (57 to 512 MB in 9 rebuilds). */
async function finishTable(database: Database, name: string): Promise<number> {
    await database.run("checkpoint");
    return Number(await database.value(`select count(*) from main.${identifier(name)}`));
}

/** `create or replace table` refuses where a view of the name stands, and the other way round. */
async function dropOtherKind(database: Database, name: string, kind: "table" | "view"): Promise<void> {
    const other = kind === "table" ? "view" : "table";
    const found = await database.value(
        `select count(*) from duckdb_${other}s() where database_name = ${literal(workCatalog)}
         and schema_name = 'main' and ${other}_name = ${literal(name)}`,
    );
    if (Number(found) > 0) await database.run(`drop ${other} main.${identifier(name)}`);
}

/** The models and seeds that stand in the work file. What stands there of a model that is no longer one is removed. */
async function standingRelations(database: Database, project: Project): Promise<Set<string>> {
    const rows = await database.rows(
        `select table_name as name, table_type as kind from information_schema.tables
         where table_catalog = ${literal(workCatalog)} and table_schema = 'main'`,
    );
    const names = new Set<string>();
    for (const { name, kind } of rows) {
        const node = project.nodes.get(String(name));
        if (node !== undefined && node.kind !== "test" && isRun(node)) names.add(node.name);
        else await database.run(`drop ${kind === "VIEW" ? "view" : "table"} main.${identifier(String(name))}`);
    }
    return names;
}

const countPrefix = "select count(*) from (\n";

async function runTest(database: Database, project: Project, test: DataTest, sql: string): Promise<Outcome> {
    const failures = Number(await database.value(`${countPrefix}${sql}\n) as failing`));
    if (failures === 0) return { status: "pass", failures };
    const sample = await database.rows(`select * from (\n${sql}\n) as failing limit ${shownRows}`);
    const stored = await storeFailures(database, project, test, sql);
    return { status: test.severity === "warn" ? "warn" : "fail", failures, sample, stored };
}

async function storeFailures(database: Database, project: Project, test: DataTest, sql: string): Promise<string> {
    const folder = join(placesOf(project).artifacts, "failures");
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${test.name}.csv`);
    await database.run(`copy (select * from (\n${sql}\n) as failing limit ${storedRows}) to ${literal(path)} (header)`);
    return `artifacts/${project.target.name}/failures/${test.name}.csv`;
}
