import { messageOf, PipelineError } from "../common/errors.ts";
import { takeLock } from "../common/lock.ts";
import { type Invocation, newInvocation } from "./artifacts/invocation.ts";
import { forgetRunResults, writeCatalog, writeCompiled, writeManifest, writeRunResults } from "./artifacts/write.ts";
import type { Checker } from "./check.ts";
import { type Checked, checkOnce, type Selected } from "./check-project.ts";
import { compile } from "./compile.ts";
import { targetOf } from "./config.ts";
import { type Database, SqlError } from "./duckdb.ts";
import { freshnessRecord, plannedNodes } from "./events.ts";
import { checkFreshness, type FreshnessResult, withFreshness } from "./freshness.ts";
import { type Graph, reach } from "./graph.ts";
import { prepareHistory, recordLineage, recordRun, recordStatus } from "./history.ts";
import { keptTables, recallWithHistory } from "./kept.ts";
import { loadProject, type Output, type ProjectOptions, selectNodes } from "./load.ts";
import { noMemory, prepareMemory, rememberChecked } from "./memory.ts";
import type { Node, Project } from "./nodes.ts";
import { attachScratch, attachWork, leave, openSources, placesOf, requireSources } from "./open.ts";
import { makePlan } from "./plan.ts";
import { ProjectError } from "./problem.ts";
import { type Publication, type Published, publishNews } from "./publish.ts";
import { checkedLine, conclusion, explanation, freshnessLine } from "./report.ts";
import { hasFailed, type Result, run } from "./run.ts";
import { Teller, type TellOptions } from "./tell.ts";

export type Command = "build" | "run" | "test" | "seed";

/** The kinds of node that a command runs. */
const kindsOf: Record<Command, readonly Node["kind"][]> = {
    build: ["seed", "model", "test"],
    run: ["model"],
    test: ["test"],
    seed: ["seed"],
};

export interface BuildOptions extends ProjectOptions, TellOptions {
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
    /** Ends a run: the running statement is interrupted, nothing is published. */
    readonly signal?: AbortSignal;
    /** Checks and runs on its database, which must have been opened for this target, and is left without any file. */
    readonly checker?: Checker;
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
    const teller = new Teller(command, options, output);
    let release = (): void => undefined;
    try {
        const place = await targetOf(options);
        release = takeLock(placesOf(place).lock, command);
        if (options.explain !== true) {
            teller.keepIn(place);
            forgetRunResults(place);
        }
        const invocation = newInvocation(command, options);
        const selected = await selectFrom(options, { invocation, kinds: kindsOf[command], output });
        return await buildSelected({ ...selected, command, options, output, teller, invocation });
    } catch (error) {
        const { length } = teller.results;
        // What a check makes of a statement that was interrupted looks like a mistake in the project.
        const isInterrupted = options.signal?.aborted === true && (length === 0 || error instanceof SqlError);
        const where = length === 0 ? "before anything ran" : `after ${teller.results.at(-1)?.node.name}`;
        throw isInterrupted ? teller.interrupted(teller.results, where) : teller.failed(error);
    } finally {
        release();
    }
}

/** Compiles a project, leaves what it is in artifacts/, and takes what is selected. */
async function selectFrom(
    options: BuildOptions,
    { invocation, kinds, output }: { invocation: Invocation; kinds: readonly Node["kind"][]; output: Output },
): Promise<Selected> {
    const { project, graph } = await loadProject(options);
    const compiled = compile(project, graph);
    writeCompiled(project, graph, compiled);
    writeManifest(project, graph, { compiled, invocation });
    const names = await selectNodes(project, graph, { options, compiled, kinds, output });
    // A sample has nothing to stand on but itself.
    const isSample = options.sampleRows !== undefined;
    return { project, graph, compiled, names: isSample ? withAncestors(names, project, graph) : names };
}

/** What the steps of one build share. */
interface Job extends Selected {
    readonly command: Command;
    readonly options: BuildOptions;
    readonly output: Output;
    readonly teller: Teller;
    readonly invocation: Invocation;
}

/** Builds what is selected, with DuckDB opened for it, and leaves the results in artifacts/. */
async function buildSelected(job: Job): Promise<Outcome> {
    const { project, graph, names, options, output, teller } = job;
    if (names.size === 0) {
        teller.nothing("Nothing to do");
        recordResults(job);
        return { ok: true, results: [] };
    }
    requireSources(project, graph, names);
    const { sampleRows, checker, signal } = options;
    const kept = checker?.database;
    const database = await openSources(project, { sampleRows, kept, onWait: output.note });
    const interrupt = (): void => database.interrupt();
    signal?.addEventListener("abort", interrupt);
    let outcome: Outcome;
    try {
        outcome = await buildIn(database, job);
    } catch (error) {
        const told = saidOfFile(error, job);
        recordFailure(job, told);
        throw told;
    } finally {
        signal?.removeEventListener("abort", interrupt);
        await leave(database, kept);
    }
    recordResults(job);
    return outcome;
}

/** What a full disk did to a statement of the builder's own, as a sentence; any other error as it is. */
function saidOfFile(error: unknown, { project, options }: Job): unknown {
    const isOfFile = error instanceof SqlError && error.isOfFile && options.sampleRows === undefined;
    if (!isOfFile || options.explain === true || options.signal?.aborted === true) return error;
    const file = `${project.target.folder}/work.duckdb`;
    const message = `${file} can't be written, what people read is as it was: ${error.message}`;
    return new PipelineError(message, { cause: error });
}

/** What went wrong first is what is thrown, also where a full disk lets nothing be written of it. */
function recordFailure(job: Job, error: unknown): void {
    try {
        recordResults(job, error instanceof ProjectError ? error.problems : []);
    } catch (other) {
        job.output.note(messageOf(other));
    }
}

function recordResults(job: Job, problems: ProjectError["problems"] = []): void {
    const { results, seconds } = job.teller;
    if (job.options.explain !== true) writeRunResults(job.project, { ...job, results, problems, seconds });
}

async function buildIn(database: Database, job: Job): Promise<Outcome> {
    const { command, options, output, project, graph, compiled, names, teller } = job;
    const isSample = options.sampleRows !== undefined;
    const recalling = { names, isReadOnly: options.explain === true, note: output.note };
    const memory = isSample ? noMemory : await recallWithHistory(database, project, recalling);
    const engine = String(await database.value("select version()"));
    const kept = keptTables(project, memory, { names, fullRefresh: options.fullRefresh });
    const checked = await checkOnce(database, job, { memory, engine, kept, checker: options.checker });
    const { content, edges, traced } = checked;
    tellChecked(checked, job);
    const all = command === "test" ? "tests were asked for" : options.fullRefresh ? "--full-refresh" : undefined;
    const plan = makePlan(project, graph, { names, compiled, engine, memory, kept, all });
    if (options.explain) {
        const nodes = plannedNodes(plan);
        teller.tell({ type: "plan", nodes }, explanation(nodes));
        return { ok: true, results: [] };
    }
    const freshness = command === "build" ? await freshnessOfSources(database, job) : [];
    const stale = freshness.filter(({ status }) => status.endsWith("error"));
    const refused = new Map(stale.map((result) => [result.source, `${result.source} is not fresh`]));
    if (isSample) await attachScratch(database);
    else await attachWork(database, project, { write: true, onWait: output.note });
    await prepareHistory(database);
    await prepareMemory(database);
    await rememberChecked(database, content);
    if (edges !== undefined && traced.size > 0) await recordLineage(database, project, { edges, traced });
    const { runId } = teller.run;
    const results = await run(database, project, {
        ...{ graph, compiled, plan, refused, memory, ...teller.run },
        onResult: (result, position) => teller.result(result, position),
        stopAfter: (result) => reasonToStop(result, options),
    });
    const isInterrupted = (): boolean => options.signal?.aborted === true;
    const isSound = stale.length === 0 && !results.some((r) => hasFailed(r) || r.status === "skip");
    const status = isInterrupted() ? "interrupted" : isSound ? "success" : "error";
    const hasRun = results.some(({ status }) => status !== "reused");
    if (hasRun) await recordRun(database, project, { run: teller.run, status, results, freshness });
    const last = `${teller.results.length} of ${results.length}, ${teller.results.at(-1)?.node.name}`;
    if (status === "interrupted") throw teller.interrupted(results, `at ${last}`);
    const wantsPublication = command === "build" && isSound && !isSample && options.keepsPublication !== true;
    const published: Published = wantsPublication
        ? await publishNews(database, project, { graph, runId, inputs: plan.inputs })
        : { reasons: [] };
    const { publication, reasons } = published;
    if (reasons.length > 0) {
        await recordStatus(database, runId, isInterrupted() ? "interrupted" : "error");
        if (isInterrupted()) throw teller.interrupted(results, "before it was published");
    }
    const isNews = hasRun || publication !== undefined;
    if (!isSample) await writeCatalog(database, project, { invocation: job.invocation, isNews });
    const ok = isSound && reasons.length === 0;
    teller.finish(ok, { results, published }, conclusion(results, published, { command, ...options }));
    return { ok, results, ...(publication === undefined ? {} : { publication }) };
}

/** How fresh the sources are that the selection is made of; what passes is no news. */
async function freshnessOfSources(
    database: Database,
    { project, graph, names, teller }: Job,
): Promise<readonly FreshnessResult[]> {
    const sources = withFreshness(project.nodes.values(), reach(graph.parents, names));
    const results = await checkFreshness(database, sources);
    for (const result of results) {
        const text = result.status === "pass" ? undefined : freshnessLine(result);
        teller.tell({ type: "freshness", ...freshnessRecord(result) }, text);
    }
    return results;
}

function tellChecked({ isAnew, unitTests }: Checked, { project, names, teller }: Job): void {
    const facts = { nodes: names.size, unit_tests: unitTests, is_anew: isAnew, seconds: teller.seconds };
    const event = { type: "checked", ...facts, target: project.target.name } as const;
    teller.tell(event, checkedLine(event));
}

function reasonToStop(result: Result, { signal, failFast }: BuildOptions): string | undefined {
    if (signal?.aborted === true) return "the run was interrupted";
    return hasFailed(result) && failFast === true ? `--fail-fast: ${result.node.name} failed` : undefined;
}

function withAncestors(names: ReadonlySet<string>, project: Project, graph: Graph): ReadonlySet<string> {
    const needed = [...reach(graph.parents, names)].filter((name) => project.nodes.get(name)?.kind !== "source");
    return new Set([...names, ...needed]);
}
