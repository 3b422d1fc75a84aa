import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { problemOf } from "./check.ts";
import type { Compiled } from "./compile.ts";
import { type Database, identifier, literal, type Row, SqlError } from "./duckdb.ts";
import { type Graph, reach } from "./graph.ts";
import { type Remembered, remember, type State } from "./memory.ts";
import type { DataTest, Model, Node, Project, Seed } from "./nodes.ts";
import { placesOf, workCatalog } from "./open.ts";
import type { Plan } from "./plan.ts";
import { formatProblem } from "./problem.ts";
import { readSeed } from "./seeds.ts";

/** reused: it did not run, because what it gave last still stands. */
export type Status = "success" | "pass" | "warn" | "fail" | "error" | "skip" | "reused";

/** What became of one node. */
export interface Result {
    readonly node: Model | Seed | DataTest;
    readonly status: Status;
    /** ISO 8601, in UTC. */
    readonly startedAt: string;
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
    /** The nodes to run, and those whose last result stands; others are taken as an earlier run left them. */
    readonly plan: Plan;
    readonly runId: string;
    readonly onResult: (result: Result, position: { index: number; total: number }) => void;
}

/** How many failing rows are shown, and how many are written to the file of a test's failures. */
const shownRows = 5;
const storedRows = 10_000;
/** A table of so many rows is followed by a checkpoint; what is smaller waits for the one at the end of the run. */
const checkpointRows = 10_000;

/**
 * Runs seeds, models and tests in the work file, each after all that it reads, a test right after the last it reads.
 * What fails stops what reads it; independent branches go on.
 */
export async function run(database: Database, project: Project, options: RunOptions): Promise<readonly Result[]> {
    const { graph, plan, onResult } = options;
    const todo = graph.order.filter((node): node is Result["node"] => plan.reasons.has(node.name));
    const blocked = new Map<string, string>();
    const built = await standingRelations(database, project);
    const results: Result[] = [];
    rmSync(join(placesOf(project).artifacts, "failures"), { recursive: true, force: true });
    for (const [i, node] of todo.entries()) {
        const [startedAt, started] = [new Date().toISOString(), performance.now()];
        const outcome = await runUnless(blocked.get(node.name) ?? missingParent(node, project, built), node);
        const result: Result = { node, ...outcome, startedAt, seconds: (performance.now() - started) / 1000 };
        if (node.kind !== "test" && result.status === "success") built.add(node.name);
        const stops = result.status === "error" || result.status === "fail";
        if (stops || (result.status === "skip" && node.kind !== "test")) block(result, project, graph, blocked);
        results.push(result);
        onResult(result, { index: i + 1, total: todo.length });
    }
    // Tests in one go at the end: who is killed before that runs them again.
    await database.transaction(() => rememberTests(database, results, options));
    return results;

    async function runUnless(obstacle: string | undefined, node: Result["node"]): Promise<Outcome> {
        if (obstacle === undefined && plan.reasons.get(node.name) === undefined) return { status: "reused" };
        const outcome: Outcome =
            obstacle === undefined
                ? await runNode(database, project, node, options)
                : { status: "skip", message: obstacle };
        if (node.kind !== "test" && outcome.status !== "success") {
            await rememberAs(outcome.status === "skip" ? "stale" : "failed", node, { database, ...options });
        }
        return outcome;
    }
}

async function rememberAs(
    state: State,
    node: Node,
    { database, plan, runId }: RunOptions & { database: Database },
): Promise<void> {
    await remember(database, new Map([[node.name, { state, runId, inputs: plan.inputs.get(node.name) ?? {} }]]));
}

async function rememberTests(
    database: Database,
    results: readonly Result[],
    { plan, runId }: RunOptions,
): Promise<void> {
    const states: Partial<Record<Status, State>> = { pass: "passed", warn: "warned", fail: "failed", error: "failed" };
    const tests = new Map<string, Remembered>();
    for (const { node, status } of results) {
        const state = node.kind === "test" ? states[status] : undefined;
        if (state !== undefined) tests.set(node.name, { state, runId, inputs: plan.inputs.get(node.name) ?? {} });
    }
    await remember(database, tests);
}

/** An ephemeral model is run where it is written into. */
export function isRun(node: Node): boolean {
    return node.kind !== "source" && !(node.kind === "model" && node.materialized === "ephemeral");
}

type Outcome = Omit<Result, "node" | "startedAt" | "seconds">;

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

async function runNode(
    database: Database,
    project: Project,
    node: Result["node"],
    options: RunOptions,
): Promise<Outcome> {
    const sql = options.compiled.get(node.name);
    try {
        if (node.kind === "test") return await runTest(database, project, node, sql?.text ?? "");
        const query = node.kind === "seed" ? `select * from ${readSeed(project, node)}` : (sql?.text ?? "");
        return await materialize(database, node, query, () => rememberAs("built", node, { database, ...options }));
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        if (sql !== undefined && error.offset !== undefined) {
            const prefix = (node.kind === "test" ? testPrefix(node) : statementPrefix(node)).length;
            return { status: "error", message: formatProblem(problemOf(error, sql, { prefix })) };
        }
        const file = node.kind === "test" ? node.template.file : node.file;
        return { status: "error", message: `${file.path}  ${error.message}` };
    }
}

function statementPrefix(node: Model | Seed): string {
    return `create or replace ${relationKind(node)} main.${identifier(node.name)} as\n`;
}

function relationKind(node: Model | Seed): "table" | "view" {
    return node.kind === "model" && node.materialized === "view" ? "view" : "table";
}

/** The relation and the memory of it change in one transaction. */
async function materialize(
    database: Database,
    node: Model | Seed,
    sql: string,
    rememberIt: () => Promise<void>,
): Promise<Outcome> {
    await database.transaction(async () => {
        await dropOtherKind(database, node.name, relationKind(node));
        await database.run(`${statementPrefix(node)}${sql}\n`);
        await rememberIt();
    });
    if (relationKind(node) === "view") return { status: "success" };
    const rows = Number(await database.value(`select count(*) from main.${identifier(node.name)}`));
    // Without checkpoints, replaced tables make the file grow without bound (57 to 512 MB in 9 rebuilds); after each of
    // 300 small ones they took half of the time.
    if (rows >= checkpointRows) await database.run("checkpoint");
    return { status: "success", rows };
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

function testPrefix({ warnIf, errorIf }: DataTest): string {
    return `select n, (n ${errorIf}) as is_error, (n ${warnIf}) as is_warning from (select count(*) as n from (\n`;
}

async function runTest(database: Database, project: Project, test: DataTest, sql: string): Promise<Outcome> {
    const { severity, limit } = test;
    const end = limit === undefined ? "" : `\nlimit ${limit}`;
    const [row] = await database.rows(`${testPrefix(test)}${sql}${end}\n) as failing) as counted`);
    const failures = Number(row?.n);
    // dbt's rule: what is to fail is looked at first, and a test of severity warn never fails.
    const status = severity === "error" && row?.is_error === true ? "fail" : row?.is_warning === true ? "warn" : "pass";
    if (failures === 0) return { status, failures };
    const sample = await database.rows(`select * from (\n${sql}\n) as failing limit ${shownRows}`);
    return { status, failures, sample, stored: await storeFailures(database, project, test, sql) };
}

async function storeFailures(database: Database, project: Project, test: DataTest, sql: string): Promise<string> {
    const folder = join(placesOf(project).artifacts, "failures");
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${test.name}.csv`);
    await database.run(`copy (select * from (\n${sql}\n) as failing limit ${storedRows}) to ${literal(path)} (header)`);
    return `artifacts/${project.target.name}/failures/${test.name}.csv`;
}
