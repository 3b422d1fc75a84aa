import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { messageOf, PipelineError } from "../../common/errors.ts";
import type { Compiled } from "../compile.ts";
import type { Database } from "../duckdb.ts";
import type { FreshnessResult } from "../freshness.ts";
import type { Graph } from "../graph.ts";
import type { Project } from "../nodes.ts";
import { placesOf } from "../open.ts";
import { catalogOf, readStanding } from "./catalog.ts";
import { compiledPath } from "./dbt-names.ts";
import type { Invocation } from "./invocation.ts";
import { manifestOf } from "./manifest.ts";
import { type Finished, runResultsOf } from "./run-results.ts";
import { sourcesOf } from "./sources.ts";

// What a command leaves for other programs in artifacts/<target>/: the compiled SQL, and dbt's artifacts.

/**
 * Writes the SQL of every model and test to artifacts/, ready to be pasted into the engine's shell. Files that say the
 * same already are left alone, those of nodes that are gone are removed.
 */
export function writeCompiled(project: Project, graph: Graph, compiled: Compiled): void {
    const { artifacts } = placesOf(project);
    const folder = join(artifacts, "compiled");
    const wanted = new Map<string, string>();
    for (const node of graph.order) {
        const sql = compiled.get(node.name);
        if (sql === undefined || (node.kind !== "model" && node.kind !== "test")) continue;
        const path = join(artifacts, compiledPath(node));
        wanted.set(path, `${sql.text}\n`);
        const { increment } = sql;
        if (increment !== undefined) wanted.set(path.replace(/\.sql$/, ".incremental.sql"), `${increment.text}\n`);
    }
    mkdirSync(folder, { recursive: true });
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const standing = new Set(files.map((entry) => join(entry.parentPath, entry.name)));
    // First, because a file system may take the old name of a node for its new one.
    for (const path of standing) if (!wanted.has(path)) rmSync(path);
    for (const parent of new Set([...wanted.keys()].map(dirname))) mkdirSync(parent, { recursive: true });
    for (const [path, text] of wanted) {
        if (standing.has(path) && readFileSync(path, "utf8") === text) continue;
        writeFileSync(path, text);
    }
}

/** Writes manifest.json: what the project is. */
export function writeManifest(
    project: Project,
    graph: Graph,
    facts: { compiled: Compiled; invocation: Invocation },
): void {
    write(project, "manifest.json", manifestOf(project, graph, facts));
}

/** Writes run_results.json: what became of each node that a command was to run. */
export function writeRunResults(project: Project, finished: Finished): void {
    write(project, "run_results.json", runResultsOf(project, finished));
}

/** Removes run_results.json, so that nobody takes an older run for one that ends before it has any results. */
export function forgetRunResults(project: Pick<Project, "root" | "target">): void {
    rmSync(join(placesOf(project).artifacts, "run_results.json"), { force: true });
}

/**
 * Writes catalog.json: what stands in the work file that is attached, and in the files of the sources. Without `isNews`,
 * one that is there is left: at 1,000 models, counting all rows takes the better part of a second.
 */
export async function writeCatalog(
    database: Database,
    project: Project,
    { invocation, isNews }: { invocation: Invocation; isNews: boolean },
): Promise<void> {
    if (!isNews && existsSync(join(placesOf(project).artifacts, "catalog.json"))) return;
    write(project, "catalog.json", catalogOf(project, await readStanding(database, project), invocation));
}

/** Writes sources.json: how old what the sources hold is. */
export function writeSources(
    project: Project,
    results: readonly FreshnessResult[],
    facts: { invocation: Invocation; seconds: number },
): void {
    write(project, "sources.json", sourcesOf(project, results, facts));
}

/** Who reads while this writes gets the old file or the new one, whole. */
function write(project: Project, name: string, content: object): void {
    const { artifacts } = placesOf(project);
    const path = join(artifacts, name);
    const temporary = `${path}.${process.pid}.tmp`;
    mkdirSync(artifacts, { recursive: true });
    try {
        writeFileSync(temporary, JSON.stringify(content));
        renameSync(temporary, path);
    } catch (error) {
        rmSync(temporary, { force: true });
        throw new PipelineError(`${path} can't be written: ${messageOf(error)}`, { cause: error });
    }
}
