import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import {
    lstat,
    mkdir,
    open,
    readdir,
    readFile,
    readlink,
    rename,
    rm,
    stat,
    symlink,
    writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { messageOf, PipelineError, systemCode } from "../common/errors.ts";
import { columnsOf } from "./check.ts";
import { type Database, identifier, literal } from "./duckdb.ts";
import { fingerprint, type Inputs, publishedContent } from "./fingerprint.ts";
import { type Memory, readMemory } from "./memory.ts";
import type { DataTest, Model, Project, Seed } from "./nodes.ts";
import { type Places, placesOf, workCatalog } from "./open.ts";

export interface ExportedFile {
    readonly file: string;
    readonly rows: number;
    readonly bytes: number;
    readonly sha256: string;
}

export interface Publication {
    readonly runId: string;
    /** Relative to the project folder. */
    readonly warehouse: string;
    readonly exports: string;
    readonly relations: readonly string[];
    readonly files: readonly ExportedFile[];
    readonly seconds: number;
}

const catalog = "shelfmark_publication";
/** The meta tables that readers get; the memory is the builder's own. */
const history = ["runs", "nodes", "test_results", "columns"];

/**
 * Why the work file can't be published as it stands, one sentence a relation, or nothing: every relation that readers
 * see must have been built, and have passed all tests that there are on it now.
 */
function unpublishable(project: Project, memory: Memory, inputs: ReadonlyMap<string, Inputs>): readonly string[] {
    const tests = [...project.nodes.values()].filter((node): node is DataTest => node.kind === "test");
    const hasPassed = (test: DataTest): boolean => {
        const last = memory.nodes.get(test.name);
        if (last === undefined || !["passed", "warned"].includes(last.state)) return false;
        return fingerprint(last.inputs) === fingerprint(inputs.get(test.name) ?? {});
    };
    return publishedNodes(project).flatMap(({ name }) => {
        const last = memory.nodes.get(name);
        if (last?.state === "failed") return [`${name} failed in run ${last.runId}`];
        if (last?.state === "stale")
            return [`${name} was skipped in run ${last.runId}, because of a failure before it`];
        if (last === undefined || !memory.relations.has(name)) return [`${name} has not been built yet`];
        const missing = tests.find((test) => test.parents.includes(name) && !hasPassed(test));
        if (missing === undefined) return [];
        const failed =
            memory.nodes.get(missing.name)?.state === "failed" ? "failed" : "has not passed since it was built";
        return [`${name}: its test ${missing.name} ${failed}`];
    });
}

/** What became of the wish to publish. */
export interface Published {
    readonly publication?: Publication;
    /** The run that published what would be published now. */
    readonly standingRun?: string;
    /** Why nothing was published. */
    readonly reasons: readonly string[];
}

/** Publishes the work file where there is anything new in it for readers and nothing against it, or says why not. */
export async function publishNews(
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

/** What readers get to see. */
function publishedNodes(project: Project): (Model | Seed)[] {
    return [...project.nodes.values()].filter(
        (node): node is Model | Seed => (node.kind === "model" || node.kind === "seed") && node.publish,
    );
}

/**
 * Publishes the work file: a new warehouse file and new exports are written into a folder of their own, and one rename of
 * the link `current` puts all of them in force at once. Whoever has the old file open keeps reading it; a crash at any
 * moment leaves the old publication or the new one. The one before is kept, so that nobody loses it between looking a
 * path up and opening it.
 */
async function publish(
    database: Database,
    project: Project,
    { runId, content }: { runId: string; content: string },
): Promise<Publication> {
    const started = performance.now();
    const places = placesOf(project);
    const unfinished = join(places.publications, `${runId}.unfinished`);
    try {
        await mkdir(join(unfinished, "exports"), { recursive: true });
        const nodes = publishedNodes(project);
        await writeWarehouse(database, join(unfinished, "warehouse.duckdb"), { nodes, project, runId });
        const files = await writeExports(database, join(unfinished, "exports"), nodes);
        const summary = { run_id: runId, target: project.target.name, content, files };
        await writeFile(join(unfinished, "exports", "publication.json"), `${JSON.stringify(summary, undefined, 2)}\n`);
        await syncAll(unfinished);
        const published = join(places.publications, runId);
        await rename(unfinished, published);
        await link(places.warehouse, "current/warehouse.duckdb");
        await link(places.exports, "current/exports");
        await rm(`${places.warehouse}.wal`, { force: true });
        const before = await currentPublication(places);
        await link(places.current, `publications/${runId}`);
        await sync(places.publications);
        await sync(places.folder);
        await prune(places, [runId, before]);
        return {
            runId,
            warehouse: `${project.target.folder}/warehouse.duckdb`,
            exports: `${project.target.folder}/exports`,
            relations: nodes.map((node) => node.name),
            files,
            seconds: (performance.now() - started) / 1000,
        };
    } catch (error) {
        await rm(unfinished, { recursive: true, force: true });
        if (error instanceof PipelineError) throw error;
        throw new PipelineError(messageOf(error), { cause: error });
    }
}

async function writeWarehouse(
    database: Database,
    path: string,
    { nodes, project, runId }: { nodes: readonly (Model | Seed)[]; project: Project; runId: string },
): Promise<void> {
    await database.run(`attach ${literal(path)} as ${catalog}`);
    try {
        // One commit for all: each of some hundred comments would cost one of its own.
        await database.transaction(async () => {
            for (const node of nodes) {
                const relation = `${catalog}.main.${identifier(node.name)}`;
                await database.run(`create table ${relation} as from ${workCatalog}.main.${identifier(node.name)}`);
                await comment(database, `table ${relation}`, node.description);
                for (const column of node.columns) {
                    await comment(database, `column ${relation}.${identifier(column.name)}`, column.description);
                }
            }
            await database.run(`create schema ${catalog}.meta`);
            for (const table of history) {
                await database.run(`create table ${catalog}.meta.${table} as from ${workCatalog}.meta.${table}`);
            }
            await database.run(
                `create table ${catalog}.meta.publication as
                 select ${literal(runId)} as run_id, ${literal(project.target.name)} as target, now() at time zone 'utc' as published_at`,
            );
        });
        await database.run(`checkpoint ${catalog}`);
    } finally {
        await database.run(`detach ${catalog}`);
    }
}

async function comment(database: Database, on: string, text: string): Promise<void> {
    if (text !== "") await database.run(`comment on ${on} is ${literal(text.trim())}`);
}

/** CSV and Parquet of every exported model, sorted by its unique key: equal data gives equal bytes. */
async function writeExports(
    database: Database,
    folder: string,
    nodes: readonly (Model | Seed)[],
): Promise<ExportedFile[]> {
    const files: ExportedFile[] = [];
    for (const node of nodes) {
        if (node.kind !== "model" || node.exportAs === undefined) continue;
        const key = node.uniqueKey.map(identifier).join(", ");
        const relation = `${workCatalog}.main.${identifier(node.name)}`;
        const query = `from ${relation} order by ${key}`;
        const rows = Number(await database.value(`select count(*) from ${relation}`));
        const contract = createHash("sha256")
            .update(JSON.stringify(await columnsOf(database, relation)))
            .digest("hex");
        const formats = {
            csv: "format csv, header",
            parquet: `format parquet, compression zstd, kv_metadata {model: ${literal(node.name)}, contract: ${literal(contract)}}`,
        };
        for (const [ending, options] of Object.entries(formats)) {
            const path = join(folder, `${node.exportAs}.${ending}`);
            await database.run(`copy (${query}) to ${literal(path)} (${options})`);
            const { size } = await stat(path);
            files.push({ file: basename(path), rows, bytes: size, sha256: await sha256(path) });
        }
    }
    return files;
}

async function sha256(path: string): Promise<string> {
    const hash = createHash("sha256");
    await pipeline(createReadStream(path), hash);
    return hash.digest("hex");
}

/** Makes `path` a symbolic link to `target`, in one step and whatever link stood there before. */
async function link(path: string, target: string): Promise<void> {
    const now = await lstat(path).catch((error: unknown) => {
        if (systemCode(error) === "ENOENT") return undefined;
        throw error;
    });
    if (now !== undefined && !now.isSymbolicLink()) {
        throw new PipelineError(
            `${path} is in the way: a publication puts a link there. Move it elsewhere, then build again`,
        );
    }
    if (now !== undefined && (await readlink(path)) === target) return;
    const aside = join(dirname(path), `.${basename(path)}.${process.pid}`);
    await rm(aside, { force: true });
    await symlink(target, aside);
    await rename(aside, path);
}

/** The run id of the publication in force, or undefined before the first. */
export async function currentPublication(places: Places): Promise<string | undefined> {
    try {
        return basename(await readlink(places.current));
    } catch (error) {
        if (systemCode(error) === "ENOENT") return undefined;
        throw error;
    }
}

/** The hash of what the publication in force holds (`publishedContent`), or undefined before the first. */
async function currentContent(places: Places): Promise<string | undefined> {
    try {
        const summary = JSON.parse(await readFile(join(places.current, "exports", "publication.json"), "utf8"));
        return typeof summary.content === "string" ? summary.content : undefined;
    } catch (error) {
        if (systemCode(error) === "ENOENT") return undefined;
        throw error;
    }
}

async function prune(places: Places, keep: readonly (string | undefined)[]): Promise<void> {
    for (const name of await readdir(places.publications)) {
        if (!keep.includes(name)) await rm(join(places.publications, name), { recursive: true, force: true });
    }
}

async function syncAll(folder: string): Promise<void> {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        await (entry.isDirectory() ? syncAll(path) : sync(path));
    }
    await sync(folder);
}

async function sync(path: string): Promise<void> {
    const handle = await open(path, "r");
    try {
        await handle.sync();
    } finally {
        await handle.close();
    }
}
