import { rmSync } from "node:fs";
import { join } from "node:path";
import { problemOf } from "./check-node.ts";
import { type Compiled, readsOf } from "./compile.ts";
import { type Database, identifier, SqlError } from "./duckdb.ts";
import { type Failure, failureOf } from "./failures.ts";
import { keepsHistory } from "./fingerprint.ts";
import { type Graph, reach } from "./graph.ts";
import { isHistory } from "./kept.ts";
import { materialize, renderingOf } from "./materialize.ts";
import { type Memory, outdate, type Remembered, remember, type State } from "./memory.ts";
import { type DataTest, isEphemeral, type Model, type Node, type Project, type Seed } from "./nodes.ts";
import { placesOf } from "./open.ts";
import type { Plan } from "./plan.ts";
import { formatProblem } from "./problem.ts";

/** reused: it did not run, because what it gave last still stands. */
export type Status = "success" | "pass" | "warn" | "fail" | "error" | "skip" | "reused";

/** What became of one node. */
export interface Result extends Partial<Failure> {
    readonly node: Model | Seed | DataTest;
    readonly status: Status;
    /** ISO 8601, in UTC. */
    readonly startedAt: string;
    readonly seconds: number;
    /** Rows of a table or seed. */
    readonly rows?: number;
    /** Of a table that went on from what stood: how many rows the run brought. */
    readonly newRows?: number;
    /** What a test counted. */
    readonly failures?: number;
    /** Why it is an error, or why it was skipped. */
    readonly message?: string;
}

export interface RunOptions {
    readonly graph: Graph;
    readonly compiled: Compiled;
    /** The nodes to run, and those whose last result stands; others are taken as an earlier run left them. */
    readonly plan: Plan;
    /** What the work file is before the run. */
    readonly memory: Memory;
    readonly runId: string;
    /** When the run started: UTC, ISO 8601. */
    readonly startedAt: string;
    /** Sources that nothing may be made of, each with what is to be said of it. */
    readonly refused?: ReadonlyMap<string, string>;
    readonly onResult: (result: Result, position: { index: number; total: number }) => void;
    /** Why nothing more is to run after a result, if so: all that follows is skipped, and runs next time. */
    readonly stopAfter: (result: Result) => string | undefined;
}

/**
 * A checkpoint follows when the nodes since the last one took so many seconds: a kill loses no more work than that, or one
 * node's. One after each table of 10,000 rows made a build of 20,000 works a tenth longer. Without any, replaced tables
 * make the file grow without bound (57 to 512 MB in 9 rebuilds).
 */
const secondsToCheckpoint = 1;

/**
 * Runs seeds, models and tests in the work file, each after all that it reads, a test right after the last it reads.
 * What fails stops what reads it; independent branches go on.
 */
export async function run(database: Database, project: Project, options: RunOptions): Promise<readonly Result[]> {
    const { graph, plan, onResult } = options;
    const todo = graph.order.filter((node): node is Result["node"] => plan.reasons.has(node.name));
    const blocked = new Map<string, string>();
    for (const [source, reason] of options.refused ?? []) blockReaders(source, reason, { project, graph, blocked });
    const built = await standingRelations(database, project, options.memory);
    const results: Result[] = [];
    rmSync(join(placesOf(project).artifacts, "failures"), { recursive: true, force: true });
    let stopped: string | undefined;
    let waiting = 0;
    for (const [i, node] of todo.entries()) {
        if (stopped !== undefined) {
            results.push({ node, status: "skip", startedAt: new Date().toISOString(), seconds: 0, message: stopped });
            continue;
        }
        const [startedAt, started] = [new Date().toISOString(), performance.now()];
        const outcome = await runUnless(blocked.get(node.name), node);
        const seconds = (): number => (performance.now() - started) / 1000;
        waiting += seconds();
        const isDue = outcome.status === "success" && waiting >= secondsToCheckpoint;
        if (isDue) waiting = 0;
        // The node's rows stand whatever becomes of this: it is the run that fails.
        const checkpoint = isDue ? database.run("checkpoint") : undefined;
        const [written] = await Promise.allSettled([checkpoint]);
        const result: Result = { node, ...outcome, startedAt, seconds: seconds() };
        if (node.kind !== "test" && result.status === "success") built.add(node.name);
        if (hasFailed(result) || (result.status === "skip" && node.kind !== "test"))
            block(result, project, graph, blocked);
        results.push(result);
        onResult(result, { index: i + 1, total: todo.length });
        if (written.status === "rejected") throw written.reason;
        stopped = options.stopAfter(result);
    }
    // Tests in one go at the end: who is killed before that runs them again.
    await database.transaction(() => rememberTests(database, results, options));
    return results;

    async function runUnless(blocker: string | undefined, node: Result["node"]): Promise<Outcome> {
        // What it gave last stands, whatever has become of what it reads.
        if (plan.reasons.get(node.name) === undefined) {
            await rememberHistory(node, { database, ...options });
            return blocker === undefined ? { status: "reused" } : { status: "skip", message: blocker };
        }
        const obstacle = blocker ?? missingParent(node, project, built);
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

/** Whether what a node holds can't be made again may be declared, or taken back, without a run of it. */
async function rememberHistory(
    { name }: Node,
    { database, memory, plan }: RunOptions & { database: Database },
): Promise<void> {
    const [last, inputs] = [memory.nodes.get(name), plan.inputs.get(name) ?? {}];
    if (last === undefined || keepsHistory in last.inputs === keepsHistory in inputs) return;
    await remember(database, new Map([[name, { ...last, inputs }]]));
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
    return node.kind !== "source" && !isEphemeral(node);
}

/** Whether a node stops what reads it. */
export function hasFailed({ status }: Pick<Result, "status">): boolean {
    return status === "error" || status === "fail";
}

type Outcome = Omit<Result, "node" | "startedAt" | "seconds">;

/** A failed model stops all that reads it. A failed test stops the models that read what it tests, not its other tests. */
function block({ node, status }: Result, project: Project, graph: Graph, blocked: Map<string, string>): void {
    if (node.kind === "test") {
        for (const origin of testedBy(node)) {
            blockReaders(origin, `${origin} failed its test ${node.name}`, { project, graph, blocked });
        }
        return;
    }
    const reason = `${node.name} ${status === "skip" ? "was skipped" : "failed"}`;
    for (const name of reach(graph.children, graph.children.get(node.name) ?? [])) {
        if (!blocked.has(name)) blocked.set(name, reason);
    }
}

/** Stops what is made of a relation, but not the tests on it. */
function blockReaders(
    origin: string,
    reason: string,
    { project, graph, blocked }: { project: Project; graph: Graph; blocked: Map<string, string> },
): void {
    const readers = (graph.children.get(origin) ?? []).filter((name) => project.nodes.get(name)?.kind !== "test");
    for (const name of reach(graph.children, readers)) if (!blocked.has(name)) blocked.set(name, reason);
}

/** The models and tests whose SQL reads a node, itself or through ephemeral models. Equal inputs need not have made it equal. */
function readersOf(node: Node, project: Project, graph: Graph): readonly string[] {
    return (graph.children.get(node.name) ?? []).flatMap((name) => {
        const child = project.nodes.get(name);
        return child !== undefined && isEphemeral(child) ? readersOf(child, project, graph) : [name];
    });
}

/** What a test passes its verdict on: the node it is declared on, or all that a .sql test reads. */
function testedBy(test: DataTest): readonly string[] {
    return test.on === undefined ? test.parents : [test.on];
}

function missingParent(node: Node, project: Project, built: ReadonlySet<string>): string | undefined {
    const missing = [...readsOf(node, project)].find((read) => isRun(read) && !built.has(read.name));
    return missing === undefined
        ? undefined
        : `${missing.name} has not been built; take it in with --select "+${node.name}"`;
}

async function runNode(
    database: Database,
    project: Project,
    node: Result["node"],
    options: RunOptions,
): Promise<Outcome> {
    const compiled = options.compiled.get(node.name);
    const kept = options.plan.kept.get(node.name);
    const sql =
        node.kind === "model"
            ? await renderingOf(database, node, { sql: compiled, isKept: kept !== undefined })
            : compiled;
    try {
        if (node.kind === "test") {
            return await runTest(database, { project, graph: options.graph, test: node, sql: sql?.text ?? "" });
        }
        const made = await materialize(database, node, {
            ...{ project, sql, kept },
            now: options.startedAt,
            remember: async () => {
                const { reasons } = options.plan;
                const readers = readersOf(node, project, options.graph);
                // What the plan leaves as it is although it reads this has taken it in.
                const stands = (name: string): boolean => reasons.has(name) && reasons.get(name) === undefined;
                await outdate(
                    database,
                    readers.filter((name) => !stands(name)),
                );
                await rememberAs("built", node, { database, ...options });
            },
        });
        return { status: "success", ...made };
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        if (sql !== undefined && error.offset !== undefined) {
            const prefix = node.kind === "test" ? testPrefix(node).length : 0;
            return { status: "error", message: formatProblem(problemOf(error, sql, { prefix })) };
        }
        const file = node.kind === "test" ? node.template.file : node.file;
        return { status: "error", message: `${file.path}  ${error.message}` };
    }
}

/**
 * The models and seeds that stand in the work file. What stands there of a model that is no longer one is removed, but for
 * history, which nobody can make again.
 */
async function standingRelations(database: Database, project: Project, memory: Memory): Promise<Set<string>> {
    const names = new Set<string>();
    for (const [name, { kind }] of memory.relations) {
        const node = project.nodes.get(name);
        if (node !== undefined && node.kind !== "test" && isRun(node)) names.add(node.name);
        else if (!isHistory(memory, name)) await database.run(`drop ${kind} main.${identifier(name)}`);
    }
    return names;
}

function testPrefix({ warnIf, errorIf }: DataTest): string {
    return `select n, (n ${errorIf}) as is_error, (n ${warnIf}) as is_warning from (select count(*) as n from (\n`;
}

async function runTest(
    database: Database,
    { project, graph, test, sql }: { project: Project; graph: Graph; test: DataTest; sql: string },
): Promise<Outcome> {
    const { severity, limit } = test;
    const end = limit === undefined ? "" : `\nlimit ${limit}`;
    const [row] = await database.rows(`${testPrefix(test)}${sql}${end}\n) as failing) as counted`);
    const failures = Number(row?.n);
    // dbt's rule: what is to fail is looked at first, and a test of severity warn never fails.
    const status = severity === "error" && row?.is_error === true ? "fail" : row?.is_warning === true ? "warn" : "pass";
    if (failures === 0) return { status, failures };
    const counted = { project, graph, test, sql: `${sql}${end}` };
    const failure = await failureOf(database, counted, { isNews: status !== "pass" });
    return { status, failures, ...failure };
}
