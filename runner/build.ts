import { randomBytes } from "node:crypto";
import { PipelineError } from "../common/errors.ts";
import { takeLock } from "../common/lock.ts";
import { forgetRunResults, writeCatalog, writeCompiled, writeManifest, writeRunResults } from "./artifacts.ts";
import { check } from "./check.ts";
import { type Compiled, compile } from "./compile.ts";
import { type Database, SqlError } from "./duckdb.ts";
import { checkedContent, inputsOf } from "./fingerprint.ts";
import type { Graph } from "./graph.ts";
import { prepareHistory, recordRun, recordStatus } from "./history.ts";
import { type Invocation, newInvocation } from "./invocation.ts";
import { loadProject, type Output, type ProjectOptions, selectNodes } from "./load.ts";
import { type Memory, prepareMemory, recall, rememberChecked } from "./memory.ts";
import type { Node, Project } from "./nodes.ts";
import { attachWork, openSources, placesOf, requireSources } from "./open.ts";
import { makePlan } from "./plan.ts";
import { failOn, ProjectError } from "./problem.ts";
import { type Publication, type Published, publishNews } from "./publish.ts";
import { closingLine, conclusion, count, explanation, resultLine } from "./report.ts";
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
    const invocation = newInvocation(command, options);
    if (!options.explain) await forgetRunResults(options);
    const { project, graph } = await loadProject(options);
    const compiled = compile(project, graph);
    writeCompiled(project, graph, compiled);
    writeManifest(project, graph, { compiled, invocation });
    const names = selectNodes(project, graph, { options, kinds: kindsOf[command], output });
    const results: Result[] = [];
    let problems: ProjectError["problems"] = [];
    const recordResults = (): void => {
        const seconds = (performance.now() - started) / 1000;
        if (!options.explain) writeRunResults(project, { invocation, compiled, names, results, problems, seconds });
    };
    if (names.size === 0) {
        recordResults();
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
                ...{ command, options, output, project, graph, compiled, names, started, invocation },
                onResult: (result) => void results.push(result),
            });
        } catch (error) {
            if (error instanceof ProjectError) problems = error.problems;
            throw error;
        } finally {
            options.signal?.removeEventListener("abort", interrupt);
            database.close();
            recordResults();
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
    readonly invocation: Invocation;
    /** Told of each result, whatever comes of the run after it. */
    readonly onResult: (result: Result) => void;
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
    try {
        await attachWork(database, project, { write: true, onWait: output.note });
        await prepareHistory(database);
        await prepareMemory(database);
        await rememberChecked(database, sound);
        const thisRun = { runId: newRunId(), command, startedAt: new Date().toISOString() };
        const { runId } = thisRun;
        const results = await run(database, project, { graph, compiled, plan, runId, onResult: teller(job) });
        const ok = results.every(({ status }) => !["error", "fail", "skip"].includes(status));
        const hasRun = results.some(({ status }) => status !== "reused");
        if (hasRun) await recordRun(database, project, { run: thisRun, status: ok ? "success" : "error", results });
        const published: Published =
            command === "build" && ok
                ? await publishNews(database, project, { graph, runId, inputs: plan.inputs })
                : { reasons: [] };
        if (published.reasons.length > 0) await recordStatus(database, runId, "error");
        const isNews = hasRun || published.publication !== undefined;
        await writeCatalog(database, project, { invocation: job.invocation, isNews });
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

/** Prints results as they come, and ends the run after the one in which it was interrupted. */
function teller({ command, options, output, onResult }: Job): Parameters<typeof run>[2]["onResult"] {
    return (result, position) => {
        onResult(result);
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
