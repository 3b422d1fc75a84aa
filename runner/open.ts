import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PipelineError } from "../common/errors.ts";
import { createFile } from "../common/fresh-file.ts";
import { fileHolder, isThisProcess, livingHolder, processText } from "../common/lock.ts";
import { Database, identifier, literal, SqlError } from "./duckdb.ts";
import { type Graph, reach } from "./graph.ts";
import type { Project } from "./nodes.ts";

/** Where a target keeps its files; absolute paths. */
export interface Places {
    readonly folder: string;
    /** The builder's own file, which keeps all models between runs. */
    readonly work: string;
    /** What people read; both are links into the current publication. */
    readonly warehouse: string;
    readonly exports: string;
    /** A link to the publication that is in force, and the folder of all that are kept. */
    readonly current: string;
    readonly publications: string;
    readonly lock: string;
    readonly artifacts: string;
}

export function placesOf({ root, target }: Pick<Project, "root" | "target">): Places {
    const folder = join(root, target.folder);
    return {
        folder,
        work: join(folder, "work.duckdb"),
        warehouse: join(folder, "warehouse.duckdb"),
        exports: join(folder, "exports"),
        current: join(folder, "current"),
        publications: join(folder, "publications"),
        lock: join(folder, "build.lock"),
        artifacts: join(root, "artifacts", target.name),
    };
}

export interface OpenOptions {
    /** Told once when a file is held by another process, which is then waited for. */
    readonly onWait?: (message: string) => void;
    /** How long to wait for another process, in milliseconds. */
    readonly patience?: number;
}

/** Opens DuckDB with what the target lets it have, and nothing attached. */
export function openEmpty(project: Pick<Project, "root" | "target">): Promise<Database> {
    const { memoryLimit } = project.target;
    return Database.open({
        temp_directory: join(placesOf(project).folder, "work.duckdb.tmp"),
        ...(memoryLimit === undefined ? {} : { memory_limit: memoryLimit }),
    });
}

interface SourceOptions extends OpenOptions {
    readonly sampleRows?: number | undefined;
    /** One that is kept from build to build, in place of a new one; see {@link leave}. */
    readonly kept?: Database | undefined;
}

/**
 * Opens DuckDB with the files of the project's sources attached, read-only. A file that does not exist is left out.
 * With `sampleRows`, sources have no more than so many rows.
 * @throws PipelineError when another process keeps a file locked for longer than `patience`.
 */
export async function openSources(
    project: Project,
    { sampleRows, kept, ...options }: SourceOptions = {},
): Promise<Database> {
    const database = kept ?? (await openEmpty(project));
    try {
        for (const [name, file] of Object.entries(project.target.attach)) {
            const path = join(project.root, file);
            if (!existsSync(path)) continue;
            const catalog = sampleRows === undefined ? name : `shelfmark_all_${name}`;
            await attach(database, `${literal(path)} as ${identifier(catalog)} (read_only)`, { ...options, file });
            if (sampleRows !== undefined) await sample(database, project, { catalog, name, sampleRows });
        }
    } catch (error) {
        await leave(database, kept);
        throw error;
    }
    return database;
}

/** Lets go of all files. The database is closed, unless it is the one that is kept, with what it has in memory. */
export async function leave(database: Database, kept: Database | undefined): Promise<void> {
    if (database !== kept) return database.close();
    await database.run("use memory");
    const files = await database.rows(
        "select database_name as name from duckdb_databases() where not internal and path is not null",
    );
    for (const { name } of files) await database.run(`detach ${identifier(String(name))}`);
}

/** Puts the first rows of each source table of an attached file under the names that models read them by. */
async function sample(
    database: Database,
    project: Project,
    { catalog, name, sampleRows }: { catalog: string; name: string; sampleRows: number },
): Promise<void> {
    await database.run(`attach ':memory:' as ${identifier(name)}`);
    const there = await database.rows(
        `select schema_name || '.' || table_name as name from duckdb_columns() where database_name = ${literal(catalog)} group by all`,
    );
    const tables = there.map((row) => String(row.name));
    for (const node of project.nodes.values()) {
        if (node.kind !== "source" || node.database !== name) continue;
        if (!tables.includes(`${node.schema}.${node.identifier}`)) continue;
        const table = `${identifier(node.schema)}.${identifier(node.identifier)}`;
        await database.run(`create schema if not exists ${identifier(name)}.${identifier(node.schema)}`);
        await database.run(
            `create table ${identifier(name)}.${table} as from ${identifier(catalog)}.${table} limit ${sampleRows}`,
        );
    }
}

/** Makes an empty work catalog in memory the default, so that a run leaves nothing behind. */
export async function attachScratch(database: Database): Promise<void> {
    await database.run(`attach ':memory:' as ${workCatalog}`);
    await database.run(`use ${workCatalog}`);
}

/** The catalog name under which the work file is attached, whatever the file is called. */
export const workCatalog = "shelfmark_work";

/** How a file is attached that is made anew, or that a kill may set back to its last checkpoint: half of a commit is the log. */
export const unlogged = "recovery_mode 'no_wal_writes'";

/**
 * Attaches the target's work file and makes it the default, so that `main.x` is a model there.
 * Without `write` it is only read, and several processes may. What a killed process had not checkpointed is made again.
 */
export async function attachWork(
    database: Database,
    project: Pick<Project, "root" | "target">,
    { write, ...options }: OpenOptions & { write: boolean },
): Promise<void> {
    const { folder, work, lock } = placesOf(project);
    if (write) mkdirSync(folder, { recursive: true });
    else if (!existsSync(work)) {
        const file = `${project.target.folder}/work.duckdb`;
        throw new PipelineError(`${file} does not exist: nothing has been built for target "${project.target.name}"`);
    }
    const holder = livingHolder(lock);
    if (!write && holder !== undefined && !isThisProcess(holder))
        options.onWait?.(`"${holder.command}" is running (${processText(holder)})`);
    if (write) await createFile(work, { run: (sql) => database.run(sql), how: unlogged });
    const mode = write ? unlogged : "read_only";
    const file = `${project.target.folder}/work.duckdb`;
    await attach(database, `${literal(work)} as ${workCatalog} (${mode})`, { ...options, file, remedy: workRemedy });
    await database.run(`use ${workCatalog}`);
}

/** What to do about a work file that can't be opened. */
export const workRemedy =
    "If it is damaged, move it away: the next build makes everything again, with the history that is published";

/**
 * Attaches a file, and waits for it while another process holds it. `what` is what stands behind `attach`; `remedy` is
 * said of a file that can't be opened.
 */
export async function attach(
    database: Database,
    what: string,
    { file, remedy, onWait, patience = 600_000 }: OpenOptions & { file: string; remedy?: string },
): Promise<void> {
    const deadline = Date.now() + patience;
    for (let told = false; ; ) {
        try {
            return await database.run(`attach ${what}`);
        } catch (error) {
            if (!(error instanceof SqlError)) throw error;
            const who = fileHolder(error.message);
            if (who === undefined) {
                const reason = `${file} can't be opened: ${error.message}`;
                throw new PipelineError(remedy === undefined ? reason : `${reason}. ${remedy}`, { cause: error });
            }
            if (Date.now() > deadline) {
                throw new PipelineError(`${file} is in use by ${who}. Wait for it, or stop it`, {
                    cause: error,
                });
            }
            if (!told) onWait?.(`${file} is in use by ${who}; waiting for it`);
            told = true;
            await sleep(200);
        }
    }
}

/** Sources must exist to run what reads them; to check it, what their YAML says of them is enough. */
export function requireSources(project: Project, graph: Graph, names: ReadonlySet<string>): void {
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
