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
import * as v from "valibot";
import { messageOf, PipelineError, systemCode } from "../common/errors.ts";
import { type Database, identifier, literal } from "./duckdb.ts";
import { type ExportedFile, writeExports } from "./exports.ts";
import { type Inputs, publishedContent } from "./fingerprint.ts";
import type { Graph } from "./graph.ts";
import { readLineage, recordColumns } from "./history.ts";
import { type Descriptions, inheritedDescriptions } from "./lineage.ts";
import { type Memory, readMemory } from "./memory.ts";
import type { Model, Project, Seed } from "./nodes.ts";
import { type Places, placesOf, unlogged, workCatalog } from "./open.ts";
import { obstacles, publishedNodes, relationsOf } from "./publishable.ts";

export interface Publication {
    readonly runId: string;
    /** Relative to the project folder. */
    readonly warehouse: string;
    readonly exports: string;
    readonly relations: readonly string[];
    readonly files: readonly ExportedFile[];
    /** Why old publications could not be removed, when they could not. What was published is in force all the same. */
    readonly leftBehind: string | undefined;
    readonly seconds: number;
}

const catalog = "shelfmark_publication";
/** The meta tables that readers get; the memory is the builder's own. */
const history = ["runs", "nodes", "test_results", "source_freshness", "columns", "lineage"];

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
    { graph, runId, inputs }: { graph: Graph; runId: string; inputs: ReadonlyMap<string, Inputs> },
): Promise<Published> {
    const memory = await readMemory(database);
    const reasons = obstacles(project, graph, { memory, inputs });
    if (reasons.length > 0) return { reasons };
    const places = placesOf(project);
    const inherited = inheritedDescriptions(project, await readLineage(database));
    const madeBy = (name: string): string | undefined => memory.nodes.get(name)?.runId;
    const [published, described] = [publishedNodes(project), relationsOf(project)];
    const content = publishedContent({ published, described, madeBy, inputs, inherited });
    try {
        for (const path of [places.warehouse, places.exports, places.current]) await requireLinkOrNothing(path);
        const standingRun = await currentPublication(places);
        if (standingRun !== undefined && (await stands(places, content))) return { standingRun, reasons };
        // Of a run that ran nothing, descriptions may be all that is new.
        await database.transaction(() => recordColumns(database, project));
        const state = stateOf(inputs, memory);
        return { publication: await publish(database, project, { runId, content, inherited, state }), reasons };
    } catch (error) {
        if (!(error instanceof PipelineError)) throw error;
        return { reasons: [error.message] };
    }
}

type State = ReadonlyMap<string, { readonly runId: string; readonly inputs: Inputs }>;

interface PublishOptions {
    readonly runId: string;
    readonly inherited: Descriptions;
    readonly state: State;
}

/** Ephemeral models have run nowhere, and still they change. */
function stateOf(inputs: ReadonlyMap<string, Inputs>, memory: Memory): State {
    return new Map(
        [...inputs].map(([name, now]) => [name, { runId: memory.nodes.get(name)?.runId ?? "", inputs: now }]),
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
    { runId, content, inherited, state }: PublishOptions & { content: string },
): Promise<Publication> {
    const started = performance.now();
    const places = placesOf(project);
    const unfinished = join(places.publications, `${runId}.unfinished`);
    try {
        await mkdir(join(unfinished, "exports"), { recursive: true });
        const nodes = publishedNodes(project);
        let files: readonly ExportedFile[];
        await database.run(`attach ${literal(join(unfinished, "warehouse.duckdb"))} as ${catalog} (${unlogged})`);
        try {
            await writeWarehouse(database, { nodes, project, runId, inherited, state });
            // Out of the tables just written: a view of the work file would be run again for each file.
            files = await writeExports(database, join(unfinished, "exports"), { nodes, catalog });
        } finally {
            await database.run(`detach ${catalog}`);
        }
        const { size } = await stat(join(unfinished, "warehouse.duckdb"));
        const summary = { run_id: runId, target: project.target.name, content, warehouse: { bytes: size }, files };
        await writeFile(join(unfinished, "exports", "publication.json"), `${JSON.stringify(summary, undefined, 2)}\n`);
        await syncAll(unfinished);
        const published = join(places.publications, runId);
        await rename(unfinished, published);
        await rm(`${places.warehouse}.wal`, { force: true });
        const before = await currentPublication(places);
        await link(places.current, `publications/${runId}`);
        // They always point through `current`: made once, and after it, so that they never point to nothing.
        await link(places.warehouse, "current/warehouse.duckdb");
        await link(places.exports, "current/exports");
        await sync(places.publications);
        await sync(places.folder);
        return {
            leftBehind: await prune(places, [runId, before]),
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
    {
        nodes,
        project,
        runId,
        inherited,
        state,
    }: PublishOptions & { nodes: readonly (Model | Seed)[]; project: Project },
): Promise<void> {
    // One commit for all: each of some hundred comments would cost one of its own.
    await database.transaction(async () => {
        for (const node of nodes) {
            const relation = `${catalog}.main.${identifier(node.name)}`;
            await copyRelation(database, node, relation);
            await comment(database, `table ${relation}`, node.description);
            for (const column of node.columns) {
                await comment(database, `column ${relation}.${identifier(column.name)}`, column.description);
            }
            for (const [name, { description, from }] of inherited.get(node.name) ?? []) {
                await comment(database, `column ${relation}.${identifier(name)}`, `${description} (from ${from})`);
            }
        }
        await database.run(`create schema ${catalog}.meta`);
        for (const table of history) {
            await database.run(`create table ${catalog}.meta.${table} as from ${workCatalog}.meta.${table}`);
        }
        await writeState(database, state);
        await database.run(
            `create table ${catalog}.meta.publication as
                 select ${literal(runId)} as run_id, ${literal(project.target.name)} as target, now() at time zone 'utc' as published_at`,
        );
    });
    await database.run(`checkpoint ${catalog}`);
}

/** What the published nodes are made of, and which run made them: what `state:` and `diff` compare with. */
async function writeState(database: Database, state: State): Promise<void> {
    await database.run(`create table ${catalog}.meta.state (node varchar, run_id varchar, inputs varchar)`);
    const rows = [...state].map(([name, { runId, inputs }]) => {
        return `(${[name, runId, JSON.stringify(inputs)].map(literal).join(", ")})`;
    });
    if (rows.length > 0) await database.run(`insert into ${catalog}.meta.state values\n${rows.join(",\n")}`);
}

/** A view is published as the table that it gives now, so it may fail only here. */
async function copyRelation(database: Database, node: Model | Seed, relation: string): Promise<void> {
    try {
        await database.run(`create table ${relation} as from ${workCatalog}.main.${identifier(node.name)}`);
    } catch (error) {
        throw new PipelineError(`${node.file.path}  ${messageOf(error)}`, { cause: error });
    }
}

async function comment(database: Database, on: string, text: string): Promise<void> {
    if (text !== "") await database.run(`comment on ${on} is ${literal(text.trim())}`);
}

/** @throws PipelineError when something else stands where a publication puts a link. */
async function requireLinkOrNothing(path: string): Promise<void> {
    try {
        if ((await lstat(path)).isSymbolicLink()) return;
    } catch (error) {
        if (systemCode(error) === "ENOENT") return;
        throw error;
    }
    throw new PipelineError(
        `${path} is in the way: a publication puts a link there. Move it elsewhere, then build again`,
    );
}

/** Makes `path` a symbolic link to `target`, in one step and whatever link stood there before. */
async function link(path: string, target: string): Promise<void> {
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

/** What is read back of publication.json. Publications of older versions don't have all of it. */
const summarySchema = v.object({
    content: v.string(),
    warehouse: v.object({ bytes: v.number() }),
    files: v.array(v.object({ file: v.string(), bytes: v.number() })),
});

/**
 * Whether readers find just this content (`publishedContent`) where they look for it: somebody may have removed or emptied
 * a file, and a first publication may have been killed before it made its links.
 */
async function stands({ warehouse, exports }: Places, content: string): Promise<boolean> {
    try {
        const summary = v.parse(summarySchema, JSON.parse(await readFile(join(exports, "publication.json"), "utf8")));
        const files = [
            { path: warehouse, bytes: summary.warehouse.bytes },
            ...summary.files.map(({ file, bytes }) => ({ path: join(exports, file), bytes })),
        ];
        const sizes = await Promise.all(files.map(async ({ path }) => (await stat(path)).size));
        return summary.content === content && files.every(({ bytes }, i) => sizes[i] === bytes);
    } catch (error) {
        if (error instanceof SyntaxError || v.isValiError(error)) return false;
        if (["ENOENT", "ENOTDIR", "EISDIR"].includes(systemCode(error) ?? "")) return false;
        throw error;
    }
}

/** Removes the publications but for those to keep; returns why that failed, if it did. */
async function prune(places: Places, keep: readonly (string | undefined)[]): Promise<string | undefined> {
    try {
        for (const name of await readdir(places.publications)) {
            if (!keep.includes(name)) await rm(join(places.publications, name), { recursive: true, force: true });
        }
        return undefined;
    } catch (error) {
        return messageOf(error);
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
