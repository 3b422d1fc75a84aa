import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PipelineError } from "../common/errors.ts";
import { takeLock } from "../common/lock.ts";
import { check } from "./check.ts";
import { type Compiled, compile } from "./compile.ts";
import { type Database, SqlError } from "./duckdb.ts";
import { checkedContent, type Inputs, inputsOf, publishedContent } from "./fingerprint.ts";
import { buildGraph, type Graph, reach } from "./graph.ts";
import { prepareHistory, recordRun } from "./history.ts";
import { prepareMemory, type Remembered, readMemory, recall, rememberChecked } from "./memory.ts";
import type { Node, Project } from "./nodes.ts";
import { attachWork, openSources, placesOf } from "./open.ts";
import { type ParseOptions, parse } from "./parse.ts";
import { makePlan, type Plan } from "./plan.ts";
import {
    currentContent,
    currentPublication,
    type Publication,
    publish,
    publishedNodes,
    unpublishable,
} from "./publish.ts";
import { closingLine, count, details, resultLine } from "./report.ts";
import { isRun, type Result, run } from "./run.ts";
import { type Selection, select } from "./selectors.ts";

/** What a command writes: `out` is the result that was asked for, `note` is for the person who waits. */
export interface Output {
    out(text: string): void;
    note(text: string): void;
}

export interface ProjectOptions extends ParseOptions, Selection {
    readonly projectDir: string;
    /** Run what is selected although nothing that it is made of has changed. */
    readonly fullRefresh?: boolean | undefined;
    /** Say for each node why it would run or not, and run nothing. */
    readonly explain?: boolean | undefined;
    /** Ends a run: the running statement is interrupted, nothing is published. */
    readonly signal?: AbortSignal;
}

export type Command = "build" | "run" | "test" | "seed";

/** The kinds of node that a command runs. */
const kindsOf: Record<Command, readonly Node["kind"][]> = {
    build: ["seed", "model", "test"],
    run: ["model"],
    test: ["test"],
    seed: ["seed"],
};

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
export async function build(command: Command, options: ProjectOptions, output: Output): Promise<Outcome> {
    const { project, graph } = await loadProject(options);
    const compiled = compile(project, graph);
    writeCompiled(project, graph, compiled);
    const names = selectNodes(project, graph, { options, kinds: kindsOf[command], output });
    if (names.size === 0) {
        output.out(`Nothing to do\n${closingLine([])}`);
        return { ok: true, results: [] };
    }
    requireSources(project, graph, names);

    const started = performance.now();
    const release = takeLock(placesOf(project).lock, command);
    try {
        const database = await openSources(project, { onWait: output.note });
        const interrupt = (): void => database.interrupt();
        options.signal?.addEventListener("abort", interrupt);
        try {
            const memory = await recall(database, project, { onWait: output.note });
            const engine = String(await database.value("select version()"));
            const content = checkedContent(project, graph, {
                inputs: inputsOf(project, graph, { compiled, engine }),
                names,
            });
            const isChecked = memory.checked.has(content);
            if (!isChecked) await check(database, project, { graph, compiled, names });
            const seconds = ((performance.now() - started) / 1000).toFixed(2);
            const verb = isChecked ? "Nothing to check anew in" : "Checked";
            output.out(`${verb} ${count(names.size)} nodes in ${seconds} s, target ${project.target.name}`);

            const standing = new Map(
                [...memory.nodes].filter(([name]) => !names.has(name) && isRelation(project, name)),
            );
            const inputs = inputsOf(project, graph, { compiled, engine, standing: inputsIn(standing) });
            const all =
                command === "test" ? "tests were asked for" : options.fullRefresh ? "--full-refresh" : undefined;
            const plan = makePlan(graph, names, { compiled, inputs, memory, all });
            if (options.explain) {
                explain(plan, output);
                return { ok: true, results: [] };
            }

            await attachWork(database, project, { write: true, onWait: output.note });
            await prepareHistory(database);
            await prepareMemory(database);
            if (!isChecked) await rememberChecked(database, content);
            const runOf = { runId: newRunId(), command, startedAt: new Date().toISOString() };
            const { runId } = runOf;
            const results = await run(database, project, {
                ...{ graph, compiled, plan, runId },
                onResult: (result, position) => {
                    // Of tests, only those that found something are news, but to who asked for tests.
                    const isQuiet = result.node.kind === "test" && ["pass", "skip"].includes(result.status);
                    const isNews = result.status !== "reused" && (!isQuiet || command === "test");
                    if (isNews) output.out(resultLine(result, position));
                    if (options.signal?.aborted !== true) return;
                    const { index, total } = position;
                    const where = `interrupted at ${index} of ${total}, ${result.node.name}`;
                    throw new PipelineError(`${where}. What people read is as it was`, { exitCode: 2 });
                },
            });
            const ok = results.every(({ status }) => !["error", "fail", "skip"].includes(status));
            const hasRun = results.some(({ status }) => status !== "reused");
            if (hasRun) await recordRun(database, project, { run: runOf, status: ok ? "success" : "error", results });

            const { publication, standingRun, reasons } =
                command === "build" && ok ? await tryPublish(database, project, { runId, inputs }) : { reasons: [] };
            report(command, { results, reasons, publication, standingRun, started }, output);
            return { ok: ok && reasons.length === 0, results, ...(publication === undefined ? {} : { publication }) };
        } catch (error) {
            if (!(error instanceof SqlError)) throw error;
            const file = `${project.target.folder}/work.duckdb`;
            const message = `${file} can't be written, what people read is as it was: ${error.message}`;
            throw new PipelineError(message, { cause: error });
        } finally {
            options.signal?.removeEventListener("abort", interrupt);
            database.close();
        }
    } finally {
        release();
    }
}

/** A project with its graph. @throws ProjectError with every mistake found in its files. */
export async function loadProject(options: ProjectOptions): Promise<{ project: Project; graph: Graph }> {
    const project = await parse(options.projectDir, options);
    return { project, graph: buildGraph(project) };
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
        await check(database, project, { graph, compiled, names });
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

/** The nodes of the given kinds that the selection takes; selectors that match nothing are noted. */
export function selectNodes(
    project: Project,
    graph: Graph,
    { options, kinds, output }: { options: Selection; kinds: readonly Node["kind"][]; output: Output },
): Set<string> {
    const { names, unmatched } = select(project, graph, options);
    for (const { selector, nearest, problem } of unmatched) {
        if (problem !== undefined) throw new PipelineError(`selector "${selector}": ${problem}`, { exitCode: 2 });
        const remedy = nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
        output.note(`nothing matches the selector "${selector}".${remedy}`);
    }
    return new Set([...names].filter((name) => kinds.includes(project.nodes.get(name)?.kind ?? "source")));
}

/** Sources must exist to run what reads them; to check it, what their YAML says of them is enough. */
function requireSources(project: Project, graph: Graph, names: ReadonlySet<string>): void {
    const needed = reach(graph.parents, names);
    for (const node of project.nodes.values()) {
        if (node.kind !== "source" || !needed.has(node.name) || node.database === undefined) continue;
        const file = project.target.attach[node.database];
        if (file === undefined || existsSync(join(project.root, file))) continue;
        throw new PipelineError(
            `${file} does not exist: nothing has been landed for source "${node.name}" of target "${project.target.name}"`,
        );
    }
}

/** Writes the SQL of every model and test to artifacts/, ready to be pasted into the engine's shell. */
export function writeCompiled(project: Project, graph: Graph, compiled: Compiled): void {
    const folder = join(placesOf(project).artifacts, "compiled");
    rmSync(folder, { recursive: true, force: true });
    for (const node of graph.order) {
        const sql = compiled.get(node.name);
        if (sql === undefined) continue;
        const path = join(folder, node.kind === "model" ? node.file.path : `tests/${node.name}.sql`);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, `${sql.text}\n`);
    }
}

interface Published {
    readonly publication?: Publication;
    /** The run that published what would be published now. */
    readonly standingRun?: string;
    readonly reasons: readonly string[];
}

/** Publishes where there is anything new for readers, or says why it can't be done. */
async function tryPublish(
    database: Database,
    project: Project,
    { runId, inputs }: { runId: string; inputs: ReadonlyMap<string, Inputs> },
): Promise<Published> {
    const memory = await readMemory(database);
    const reasons = unpublishable(project, memory, inputs);
    if (reasons.length > 0) return { reasons };
    const places = placesOf(project);
    const content = publishedContent(publishedNodes(project), (name) => memory.nodes.get(name)?.runId);
    const standingRun = await currentPublication(places);
    if (standingRun !== undefined && (await currentContent(places)) === content) return { standingRun, reasons };
    try {
        return { publication: await publish(database, project, { runId, content }), reasons };
    } catch (error) {
        if (!(error instanceof PipelineError)) throw error;
        return { reasons: [error.message] };
    }
}

function isRelation(project: Project, name: string): boolean {
    const node = project.nodes.get(name);
    return node !== undefined && node.kind !== "test" && isRun(node);
}

function inputsIn(remembered: ReadonlyMap<string, Remembered>): Map<string, Inputs> {
    return new Map([...remembered].map(([name, { inputs }]) => [name, inputs]));
}

/** Each node with why it would run, or that it would not. */
function explain({ reasons }: Plan, output: Output): void {
    const width = Math.max(...[...reasons.keys()].map((name) => name.length));
    for (const [name, reason] of reasons) {
        output.out(
            `${name.padEnd(width)}  ${reason === undefined ? "reused: nothing it is made of has changed" : `runs: ${reason}`}`,
        );
    }
    const running = [...reasons.values()].filter((reason) => reason !== undefined).length;
    output.out(`\n${running} of ${reasons.size} nodes would run`);
}

interface Report {
    readonly results: readonly Result[];
    readonly reasons: readonly string[];
    readonly publication: Publication | undefined;
    readonly standingRun: string | undefined;
    readonly started: number;
}

function report(
    command: Command,
    { results, reasons, publication, standingRun, started }: Report,
    output: Output,
): void {
    const text = details(results);
    if (text !== "") output.out(`\n${text}`);
    output.out("");
    const reused = results.filter(({ status }) => status === "reused").length;
    if (reused > 0)
        output.out(
            `Reused ${count(reused)} of ${count(results.length)} nodes: nothing that they are made of has changed`,
        );
    if (standingRun !== undefined) {
        output.out(`Nothing new to publish: what run ${standingRun} published stands`);
    } else if (publication !== undefined) {
        const { runId, relations, warehouse, exports, files, seconds } = publication;
        const what = `${relations.length} tables in ${warehouse} and ${files.length} files in ${exports}/`;
        output.out(`Published ${what} in ${seconds.toFixed(2)} s, run ${runId}`);
    } else if (command === "build") {
        const why = reasons.length === 0 ? "" : `:\n${reasons.map((reason) => `    ${reason}`).join("\n")}`;
        output.out(`Nothing was published, what people read is as it was${why}`);
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    output.out(`Finished ${command} in ${seconds} s`);
    output.out(closingLine(results));
}
