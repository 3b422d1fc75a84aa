import { randomBytes } from "node:crypto";
import { PipelineError } from "../common/errors.ts";
import { takeLock } from "../common/lock.ts";
import { writeCompiled } from "./artifacts.ts";
import { check } from "./check.ts";
import { type Compiled, compile } from "./compile.ts";
import { type Database, SqlError } from "./duckdb.ts";
import { checkedContent, inputsOf } from "./fingerprint.ts";
import { checkFreshness, type FreshnessResult, withFreshness } from "./freshness.ts";
import { type Graph, reach } from "./graph.ts";
import { prepareHistory, recordRun, recordStatus } from "./history.ts";
import { loadProject, type Output, type ProjectOptions, selectNodes } from "./load.ts";
import { type Memory, prepareMemory, recall, rememberChecked } from "./memory.ts";
import type { Node, Project } from "./nodes.ts";
import { attachWork, openSources, placesOf, requireSources } from "./open.ts";
import { makePlan } from "./plan.ts";
import { failOn } from "./problem.ts";
import { type Publication, type Published, publishNews } from "./publish.ts";
import {
    closingLine,
    conclusion,
    count,
    explanation,
    freshnessClosingLine,
    freshnessLine,
    resultLine,
} from "./report.ts";
import { type Result, run } from "./run.ts";
import { runUnitTests } from "./unit-tests.ts";

export type Command = "build" | "run" | "test" | "seed";

/** The kinds of node that a command runs. */
const kindsOf: Record<Command, readonly Node["kind"][]> = {
    build: ["seed", "model", "test"],
    run: ["model"],
    test: ["test"],
    seed: ["seed"],
};

export interface BuildOptions extends ProjectOptions {
    /** Run what is selected although nothing that it is made of has changed. */
    readonly fullRefresh?: boolean | undefined;
    /** Say for each node why it would run or not, and run nothing. */
    readonly explain?: boolean | undefined;
    /** Ends a run: the running statement is interrupted, nothing is published. */
    readonly signal?: AbortSignal;
}

/** What a command came to; `ok` decides the exit code. */
export interface Outcome {
    readonly ok: boolean;
    readonly results: readonly Result[];
    readonly publication?: Publication;
}

/**
 * Builds a project: everything is checked before the first statement touches the target's files, models and their tests
 * run in the order of what they read, and, for `build`, all of it is published in one step when no test has failed.
 * @throws PipelineError for what a person can mend before anything runs; what fails while it runs is in the outcome.
 */
export async function build(command: Command, options: BuildOptions, output: Output): Promise<Outcome> {
    const started = performance.now();
    const { project, graph } = await loadProject(options);
    const compiled = compile(project, graph);
    writeCompiled(project, graph, compiled);
    const names = selectNodes(project, graph, { options, kinds: kindsOf[command], output });
    if (names.size === 0) {
        output.out(`Nothing to do\n${closingLine([])}`);
        return { ok: true, results: [] };
    }
    requireSources(project, graph, names);
    const release = takeLock(placesOf(project).lock, command);
    try {
        const database = await openSources(project, { onWait: output.note });
        const interrupt = (): void => database.interrupt();
        options.signal?.addEventListener("abort", interrupt);
        try {
            return await buildIn(database, {
                ...{ command, options, output, project, graph, compiled, names, started },
            });
        } finally {
            options.signal?.removeEventListener("abort", interrupt);
            database.close();
        }
    } finally {
        release();
    }
}

/** What the steps of one build share. */
interface Job {
    readonly command: Command;
    readonly options: BuildOptions;
    readonly output: Output;
    readonly project: Project;
    readonly graph: Graph;
    readonly compiled: Compiled;
    readonly names: ReadonlySet<string>;
    readonly started: number;
}

async function buildIn(database: Database, job: Job): Promise<Outcome> {
    const { command, options, output, project, graph, compiled, names, started } = job;
    const memory = await recall(database, project, { onWait: output.note });
    const engine = String(await database.value("select version()"));
    const sound = await checkOnce(database, job, { memory, engine });
    const all = command === "test" ? "tests were asked for" : options.fullRefresh ? "--full-refresh" : undefined;
    const plan = makePlan(project, graph, { names, compiled, engine, memory, all });
    if (options.explain) {
        output.out(explanation(plan));
        return { ok: true, results: [] };
    }
    const freshness = command === "build" ? await freshnessOfSources(database, job) : [];
    const stale = freshness.filter(({ status }) => status.endsWith("error"));
    const refused = new Map(stale.map((result) => [result.source, `${result.source} is not fresh`]));
    try {
        await attachWork(database, project, { write: true, onWait: output.note });
        await prepareHistory(database);
        await prepareMemory(database);
        await rememberChecked(database, sound);
        const thisRun = { runId: newRunId(), command, startedAt: new Date().toISOString() };
        const { runId } = thisRun;
        const results = await run(database, project, { graph, compiled, plan, runId, refused, onResult: teller(job) });
        const ok = stale.length === 0 && results.every(({ status }) => !["error", "fail", "skip"].includes(status));
        const hasRun = results.some(({ status }) => status !== "reused");
        const status = ok ? "success" : "error";
        if (hasRun) await recordRun(database, project, { run: thisRun, status, results, freshness });
        const published: Published =
            command === "build" && ok
                ? await publishNews(database, project, { graph, runId, inputs: plan.inputs })
                : { reasons: [] };
        if (published.reasons.length > 0) await recordStatus(database, runId, "error");
        output.out(conclusion(command, results, published));
        output.out(`Finished ${command} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
        output.out(closingLine(results));
        const { publication, reasons } = published;
        return { ok: ok && reasons.length === 0, results, ...(publication === undefined ? {} : { publication }) };
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        const file = `${project.target.folder}/work.duckdb`;
        const message = `${file} can't be written, what people read is as it was: ${error.message}`;
        throw new PipelineError(message, { cause: error });
    }
}

/** Checks what is selected, unless just this was found sound before; returns what it goes by. */
async function checkOnce(
    database: Database,
    { output, project, graph, compiled, names, started }: Job,
    { memory, engine }: { memory: Memory; engine: string },
): Promise<string> {
    const content = checkedContent(project, graph, { inputs: inputsOf(project, graph, { compiled, engine }), names });
    const isKnown = memory.checked.has(content);
    const tests = project.unitTests.filter((test) => names.has(test.model));
    if (!isKnown) {
        const columns = await check(database, project, { graph, compiled, names });
        failOn(await runUnitTests(database, project, { graph, columns, tests }));
    }
    const also = tests.length === 0 ? "" : ` and ${count(tests.length)} unit test${tests.length === 1 ? "" : "s"}`;
    const verb = isKnown ? "Nothing to check anew in" : "Checked";
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    output.out(`${verb} ${count(names.size)} nodes${also} in ${seconds} s, target ${project.target.name}`);
    return content;
}

/** How fresh the sources are that the selection is made of; what passes is no news. */
async function freshnessOfSources(
    database: Database,
    { output, project, graph, names }: Job,
): Promise<readonly FreshnessResult[]> {
    const sources = withFreshness(project.nodes.values(), reach(graph.parents, names));
    const results = await checkFreshness(database, sources);
    for (const result of results) if (result.status !== "pass") output.out(freshnessLine(result));
    return results;
}

/**
 * Prints how fresh the selected sources are that say how fresh they must be; false when one is too old.
 * @throws PipelineError when the file of a source is not there, or its freshness has a mistake.
 */
export async function sourceFreshness(
    options: ProjectOptions,
    output: Output,
): Promise<{ ok: boolean; results: readonly FreshnessResult[] }> {
    const { project, graph } = await loadProject(options);
    const selected = selectNodes(project, graph, { options, kinds: ["source"], output });
    const sources = withFreshness(project.nodes.values(), selected);
    const names = new Set(sources.map((source) => source.name));
    requireSources(project, graph, names);
    const database = await openSources(project, { onWait: output.note });
    try {
        await check(database, project, { graph, compiled: new Map(), names });
        const results = await checkFreshness(database, sources);
        for (const result of results) output.out(freshnessLine(result));
        output.out(freshnessClosingLine(results));
        return { ok: results.every(({ status }) => !status.endsWith("error")), results };
    } finally {
        database.close();
    }
}

/** Prints results as they come, and ends the run after the one in which it was interrupted. */
function teller({ command, options, output }: Job): Parameters<typeof run>[2]["onResult"] {
    return (result, position) => {
        // Of tests, only those that found something are news, but to who asked for tests.
        const isQuiet = result.node.kind === "test" && ["pass", "skip"].includes(result.status);
        const isNews = result.status !== "reused" && (!isQuiet || command === "test");
        if (isNews) output.out(resultLine(result, position));
        if (options.signal?.aborted !== true) return;
        const where = `interrupted at ${position.index} of ${position.total}, ${result.node.name}`;
        throw new PipelineError(`${where}. What people read is as it was`, { exitCode: 2 });
    };
}

/** Compiles and checks what a selection takes, without touching the target's files. */
export async function checkProject(
    options: ProjectOptions,
    output: Output,
): Promise<{ project: Project; graph: Graph; compiled: Compiled; names: ReadonlySet<string> }> {
    const { project, graph } = await loadProject(options);
    const compiled = compile(project, graph);
    const names = selectNodes(project, graph, { options, kinds: kindsOf.build, output });
    const database = await openSources(project, { onWait: output.note });
    try {
        const columns = await check(database, project, { graph, compiled, names });
        const tests = project.unitTests.filter((test) => names.has(test.model));
        failOn(await runUnitTests(database, project, { graph, columns, tests }));
    } finally {
        database.close();
    }
    return { project, graph, compiled, names };
}

/** The run's own time first, so that run ids sort by time: 20261122T160501.123Z-3fa9. */
function newRunId(): string {
    const time = new Date().toISOString().replace(/[-:]/g, "");
    return `${time}-${randomBytes(2).toString("hex")}`;
}
