import { randomBytes } from "node:crypto";
import { PipelineError } from "../common/errors.ts";
import { takeLock } from "../common/lock.ts";
import { type Invocation, newInvocation } from "./artifacts/invocation.ts";
import { forgetRunResults, writeCatalog, writeCompiled, writeManifest, writeRunResults } from "./artifacts/write.ts";
import { type Checker, check } from "./check.ts";
import { type Compiled, compile } from "./compile.ts";
import { type Database, SqlError } from "./duckdb.ts";
import { type Event, EventLog, finishedEvent, freshnessRecord, nodeRecord, problemRecord } from "./events.ts";
import { checkedContent, fingerprint, inputsOf } from "./fingerprint.ts";
import { checkFreshness, type FreshnessResult, withFreshness } from "./freshness.ts";
import { type Graph, reach } from "./graph.ts";
import { prepareHistory, type Run, recordLineage, recordRun, recordStatus } from "./history.ts";
import { keptTables, restoreHistory } from "./kept.ts";
import { type Edge, traceLineage } from "./lineage.ts";
import { loadProject, type Output, type ProjectOptions, selectNodes } from "./load.ts";
import { macroTestsOf, runMacroTests } from "./macro-tests.ts";
import { type Memory, noMemory, prepareMemory, recall, rememberChecked } from "./memory.ts";
import type { Node, Project } from "./nodes.ts";
import { attachScratch, attachWork, leave, openSources, placesOf, requireSources } from "./open.ts";
import { makePlan, type Plan } from "./plan.ts";
import { failOn, ProjectError } from "./problem.ts";
import { type Publication, type Published, publishNews } from "./publish.ts";
import { checkedLine, closingLine, conclusion, explanation, freshnessLine, resultLine } from "./report.ts";
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
    /** Run what is selected although nothing that it is made of has changed; incremental models begin anew. */
    readonly fullRefresh?: boolean | undefined;
    /** Say for each node why it would run or not, and run nothing. */
    readonly explain?: boolean | undefined;
    /** Stop at the first node that fails. */
    readonly failFast?: boolean | undefined;
    /** Run in memory on no more than so many rows of each source; nothing is kept or published. */
    readonly sampleRows?: number | undefined;
    /** Leave what people read as it is, whatever the run comes to. */
    readonly keepsPublication?: boolean | undefined;
    /** What is written: lines for people, or an event a line as JSON. Default: text */
    readonly logFormat?: "text" | "json" | undefined;
    /** Ends a run: the running statement is interrupted, nothing is published. */
    readonly signal?: AbortSignal;
    /** Checks and runs on its database, which must have been opened for this target, and is left without any file. */
    readonly checker?: Checker;
    /** Told of what happens, in place of its being printed; `text` is the line that people would get for it, if any. */
    readonly onEvent?: (event: Event, text: string | undefined) => void;
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
 * @throws PipelineError for what a person can mend before anything runs, and when it is interrupted; what fails while it
 * runs is in the outcome.
 */
export async function build(command: Command, options: BuildOptions, output: Output): Promise<Outcome> {
    const started = performance.now();
    const invocation = newInvocation(command, options);
    if (!options.explain) await forgetRunResults(options);
    const { project, graph } = await loadProject(options);
    const compiled = compile(project, graph);
    writeCompiled(project, graph, compiled);
    writeManifest(project, graph, { compiled, invocation });
    const selected = await selectNodes(project, graph, { options, compiled, kinds: kindsOf[command], output });
    // A sample has nothing to stand on but itself.
    const names = options.sampleRows === undefined ? selected : withAncestors(selected, project, graph);
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
        const { sampleRows, checker } = options;
        const kept = checker?.database;
        const database = await openSources(project, { sampleRows, kept, onWait: output.note });
        const interrupt = (): void => database.interrupt();
        options.signal?.addEventListener("abort", interrupt);
        const run = { runId: newRunId(), command, startedAt: new Date().toISOString() };
        const log = new EventLog(project, run.runId);
        try {
            return await buildIn(database, {
                ...{ run, log, command, options, output, project, graph, compiled, names, started, invocation },
                onResult: (result) => void results.push(result),
            });
        } catch (error) {
            if (error instanceof ProjectError) {
                problems = error.problems;
                log.write({ type: "refused", problems: problems.map(problemRecord) });
            }
            throw error;
        } finally {
            options.signal?.removeEventListener("abort", interrupt);
            await leave(database, kept);
            recordResults();
        }
    } finally {
        release();
    }
}

/** What the steps of one build share. */
interface Job {
    readonly run: Run;
    readonly log: EventLog;
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
    const { command, options, output, project, graph, compiled, names } = job;
    const isSample = options.sampleRows !== undefined;
    const memory = isSample ? noMemory : await recallWithHistory(database, job);
    const engine = String(await database.value("select version()"));
    const kept = keptTables(project, memory, { names, fullRefresh: options.fullRefresh });
    const { content, edges, traced } = await checkOnce(database, job, { memory, engine, kept });
    const all = command === "test" ? "tests were asked for" : options.fullRefresh ? "--full-refresh" : undefined;
    const plan = makePlan(project, graph, { names, compiled, engine, memory, kept, all });
    if (options.explain) {
        output.out(explanation(plan));
        return { ok: true, results: [] };
    }
    const freshness = command === "build" ? await freshnessOfSources(database, job) : [];
    const stale = freshness.filter(({ status }) => status.endsWith("error"));
    const refused = new Map(stale.map((result) => [result.source, `${result.source} is not fresh`]));
    try {
        if (isSample) await attachScratch(database);
        else await attachWork(database, project, { write: true, onWait: output.note });
        await prepareHistory(database);
        await prepareMemory(database);
        await rememberChecked(database, content);
        if (edges !== undefined && traced.size > 0) await recordLineage(database, project, { edges, traced });
        const { runId } = job.run;
        const results = await run(database, project, {
            ...{ graph, compiled, plan, refused, memory, ...job.run },
            onResult: (result, position) => tellResult(result, position, job),
            stopAfter: (result) => reasonToStop(result, options),
        });
        const ok = stale.length === 0 && results.every(({ status }) => !["error", "fail", "skip"].includes(status));
        const isInterrupted = options.signal?.aborted === true;
        const status = isInterrupted ? "interrupted" : ok ? "success" : "error";
        const hasRun = results.some(({ status }) => status !== "reused");
        if (hasRun) await recordRun(database, project, { run: job.run, status, results, freshness });
        if (isInterrupted) return interrupted(results, job);
        const wantsPublication = command === "build" && ok && !isSample && options.keepsPublication !== true;
        const published: Published = wantsPublication
            ? await publishNews(database, project, { graph, runId, inputs: plan.inputs })
            : { reasons: [] };
        if (published.reasons.length > 0) await recordStatus(database, runId, "error");
        const isNews = hasRun || published.publication !== undefined;
        if (!isSample) await writeCatalog(database, project, { invocation: job.invocation, isNews });
        return conclude(results, published, { ...job, ok });
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        const file = `${project.target.folder}/work.duckdb`;
        const message = `${file} can't be written, what people read is as it was: ${error.message}`;
        throw new PipelineError(message, { cause: error });
    }
}

/** The memory of the work file, into which history that only the publication has is brought back first. */
async function recallWithHistory(database: Database, { options, output, project, names }: Job): Promise<Memory> {
    const onWait = output.note;
    const memory = await recall(database, project, { onWait });
    if (options.explain === true) return memory;
    const restored = await restoreHistory(database, project, { memory, names, onWait });
    if (restored.length === 0) return memory;
    output.note(`The history of ${restored.join(", ")} is taken over from what is published`);
    return recall(database, project, { onWait });
}

/** How fresh the sources are that the selection is made of; what passes is no news. */
async function freshnessOfSources(database: Database, job: Job): Promise<readonly FreshnessResult[]> {
    const { project, graph, names } = job;
    const sources = withFreshness(project.nodes.values(), reach(graph.parents, names));
    const results = await checkFreshness(database, sources);
    for (const result of results) {
        const text = result.status === "pass" ? undefined : freshnessLine(result);
        tell({ type: "freshness", ...freshnessRecord(result) }, text, job);
    }
    return results;
}

/** What the check goes by, and, where it was made, the lineage that comes out of it. */
interface Checked {
    readonly content: string;
    readonly edges?: readonly Edge[];
    /** The models whose lineage it is or would be, with the fingerprints of what they are made of. */
    readonly traced: ReadonlyMap<string, string>;
}

/** Checks what is selected, unless just this was found sound before and its lineage is the one that is written down. */
async function checkOnce(
    database: Database,
    job: Job,
    { memory, engine, kept }: { memory: Memory; engine: string; kept: Plan["kept"] },
): Promise<Checked> {
    const { project, graph, compiled, names, started } = job;
    const inputs = inputsOf(project, graph, { compiled, engine });
    const macroTests = macroTestsOf(project, names);
    const content = checkedContent(project, graph, { inputs, names, kept, macroTests });
    const traced = new Map(
        tracedModels(project, graph, names).map((name) => [name, fingerprint(inputs.get(name) ?? {})]),
    );
    const isTraced = [...traced].every(([name, made]) => memory.traced.get(name) === made);
    const isKnown = isTraced && memory.checked.has(content);
    const tests = project.unitTests.filter((test) => names.has(test.model));
    const { checker } = job.options;
    let edges: readonly Edge[] | undefined;
    // One that is kept is to know the project before it changes.
    if (isKnown) await checker?.check(project, { graph, compiled, names, kept });
    else {
        const what = { graph, compiled, names, kept };
        const columns = await (checker === undefined ? check(database, project, what) : checker.check(project, what));
        failOn([
            ...(await runMacroTests(database, project, macroTests)),
            ...(await runUnitTests(database, project, { graph, columns, tests })),
        ]);
        edges = await traceLineage(database, project, { graph, compiled, columns, names: traced.keys() });
    }
    const seconds = (performance.now() - started) / 1000;
    const checked: Event = {
        ...{
            type: "checked",
            nodes: names.size,
            unit_tests: tests.length + macroTests.length,
            is_anew: !isKnown,
            seconds,
        },
        target: project.target.name,
    };
    tell(checked, checkedLine(checked), job);
    return { content, traced, ...(edges === undefined ? {} : { edges }) };
}

/** The models that are selected, and the ephemeral ones that are written into them. */
function tracedModels(project: Project, graph: Graph, names: ReadonlySet<string>): readonly string[] {
    return [...reach(graph.parents, names)].filter((name) => {
        const node = project.nodes.get(name);
        return node?.kind === "model" && (names.has(name) || node.materialized === "ephemeral");
    });
}

/** Keeps an event, and prints it: the line that people get for it, if any, or all of it. */
function tell(event: Event, text: string | undefined, { log, options, output }: Job): void {
    const line = log.write(event);
    if (options.onEvent !== undefined) options.onEvent(event, text);
    else if (options.logFormat === "json") output.out(line);
    else if (text !== undefined) output.out(text);
}

function tellResult(result: Result, position: { index: number; total: number }, job: Job): void {
    job.onResult(result);
    // Of tests, only those that found something are news, but to who asked for tests.
    const isQuiet = result.node.kind === "test" && ["pass", "skip"].includes(result.status);
    const isNews = result.status !== "reused" && (!isQuiet || job.command === "test");
    tell({ type: "node", ...position, ...nodeRecord(result) }, isNews ? resultLine(result, position) : undefined, job);
}

function reasonToStop({ node, status }: Result, { signal, failFast }: BuildOptions): string | undefined {
    if (signal?.aborted === true) return "the run was interrupted";
    const hasFailed = status === "error" || status === "fail";
    return hasFailed && failFast === true ? `--fail-fast: ${node.name} failed` : undefined;
}

/** @throws PipelineError which says where it was interrupted. */
function interrupted(results: readonly Result[], job: Job): never {
    const last = results.findLastIndex(({ message }) => message !== "the run was interrupted");
    const where = `interrupted at ${last + 1} of ${results.length}, ${results[last]?.node.name}`;
    const seconds = (performance.now() - job.started) / 1000;
    const facts = { command: job.command, status: "interrupted", seconds } as const;
    job.log.write(finishedEvent(facts, results, { reasons: [where] }));
    throw new PipelineError(`${where}. What people read is as it was`, { exitCode: 2 });
}

function conclude(results: readonly Result[], published: Published, job: Job & { ok: boolean }): Outcome {
    const { command, options, started } = job;
    const { publication, reasons } = published;
    const ok = job.ok && reasons.length === 0;
    const seconds = (performance.now() - started) / 1000;
    const text = [
        conclusion(results, published, { command, ...options }),
        `Finished ${command} in ${seconds.toFixed(1)} s`,
        closingLine(results),
    ].join("\n");
    const status = ok ? "success" : "error";
    tell(finishedEvent({ command, status, seconds }, results, published), text, job);
    return { ok, results, ...(publication === undefined ? {} : { publication }) };
}

function withAncestors(names: ReadonlySet<string>, project: Project, graph: Graph): ReadonlySet<string> {
    const needed = [...reach(graph.parents, names)].filter((name) => project.nodes.get(name)?.kind !== "source");
    return new Set([...names, ...needed]);
}

/** Compiles and checks what a selection takes, without touching the target's files. */
export async function checkProject(
    options: ProjectOptions,
    output: Output,
): Promise<{ project: Project; graph: Graph; compiled: Compiled; names: ReadonlySet<string> }> {
    const { project, graph } = await loadProject(options);
    const compiled = compile(project, graph);
    const names = await selectNodes(project, graph, { options, compiled, kinds: kindsOf.build, output });
    const database = await openSources(project, { onWait: output.note });
    try {
        const columns = await check(database, project, { graph, compiled, names });
        const tests = project.unitTests.filter((test) => names.has(test.model));
        failOn([
            ...(await runMacroTests(database, project, macroTestsOf(project, names))),
            ...(await runUnitTests(database, project, { graph, columns, tests })),
        ]);
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
