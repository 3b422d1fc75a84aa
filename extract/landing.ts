import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";
import * as v from "valibot";
import { messageOf, PipelineError } from "../common/errors.ts";
import {
    type EndRow,
    type ReusedPage,
    type RunRow,
    readSpool,
    type SubjectRow,
    spoolFolder,
    type Totals,
    waitingSpools,
} from "./spool.ts";
import { createTables, hasTables, isOutdated, literal } from "./tables.ts";

export interface LandingOptions {
    /** Told when the file has to be waited for. */
    readonly say: (line: string) => void;
    /** Ends the waiting. */
    readonly signal?: AbortSignal;
    /** Milliseconds to wait for a file that another process holds. Default: 600000 */
    readonly patience?: number;
    /** What the attached file is called. Default: landing */
    readonly as?: string;
}

/**
 * How a landing file is written: bodies are packed, to a sixth. The row group in which the newest rows are is written anew
 * by every load; with 2,048 pages, that takes as long for the hundredth extraction as for the thousandth.
 */
export const landingFormat = "storage_version 'v1.2.0', row_group_size 2048";

/** Another process holds the landing file. */
export class LandingHeld extends PipelineError {
    /** `process 4711 (/usr/bin/node)`. */
    readonly who: string;

    constructor(landing: string, who: string, cause: unknown) {
        super(`${who} still holds ${landing}. What was fetched waits beside it; run again to load it.`, { cause });
        this.who = who;
    }
}

/**
 * Loads the spools that wait beside the landing file into it, and removes them. Each is one transaction, and what is in
 * the file already stays as it is, so that a load that was cut short can be done again. A spool without an end is that of
 * a process that was killed: its run becomes a failed one. A file of version 0.1 is brought up to date, and what a killed
 * process left half done is put in order. The caller holds the extraction lock.
 * @throws PipelineError when another process holds the landing file for too long.
 */
export async function loadSpools(landing: string, options: LandingOptions): Promise<void> {
    const spools = waitingSpools(landing);
    if (spools.length === 0 && !(await needsCare(landing, options))) return;
    await withLanding(landing, false, options, async (connection) => {
        if (spools.length === 0) await inTransaction(connection, () => createTables(connection));
        for (const spool of spools) {
            await inTransaction(connection, async () => {
                await createTables(connection);
                await loadSpool(connection, spool);
            });
            rmSync(spool);
        }
    });
}

/** A killed process may have left a log that the file must take up before anything else is done with it. */
async function needsCare(landing: string, options: LandingOptions): Promise<boolean> {
    if (existsSync(`${landing}.wal`)) return true;
    return (await readLanding(landing, options, isOutdated)) ?? false;
}

async function inTransaction(connection: DuckDBConnection, work: () => Promise<void>): Promise<void> {
    await connection.run("begin");
    try {
        await work();
        await connection.run("commit");
    } catch (error) {
        await connection.run("rollback");
        throw error;
    }
}

async function loadSpool(connection: DuckDBConnection, path: string): Promise<void> {
    let run: RunRow | undefined;
    let totals: Totals | undefined;
    const subjects = new Map<string, SubjectRow>();
    const landed = new Map<string, ReadonlySet<number>>();
    let end: EndRow = {
        status: "failed",
        message: "the process ended before the run did",
        ended_at: new Date().toISOString(),
    };
    for await (const record of readSpool(path)) {
        totals = record.totals;
        if (record.kind === "run") run = record.row;
        if (record.kind === "end") end = record.row;
        if (record.kind === "search_pages") subjects.set(record.standing.subject, record.standing);
        if (record.kind === "run" || record.kind === "end") {
            for (const subject of record.subjects) subjects.set(subject.subject, subject);
        } else if (record.kind === "reused_authors") {
            for (const page of record.pages) await insertReused(connection, record.run_id, page);
        } else {
            const { run_id, page_number, fetched_at } = record.row;
            // An insert that looks out for conflicts takes three times as long.
            const known = landed.get(record.kind) ?? (await pagesOf(connection, record.kind, run_id));
            landed.set(record.kind, known);
            if (known.has(page_number)) continue;
            await insert(connection, record.kind, record.row);
            for (const misfit of record.misfits) {
                const row = { run_id, source: record.kind, page_number, ...misfit, fetched_at };
                await insert(connection, "quarantine", row);
            }
        }
    }
    // Nothing but a torn first line: the process was killed before it asked for anything.
    if (run === undefined || totals === undefined) return;
    await insert(connection, "extract_runs", { ...run, source: "api", ...end, ...totals }, replacing("run_id"));
    for (const subject of subjects.values()) {
        const row = { run_id: run.run_id, ...subject };
        await insert(connection, "extract_subjects", row, replacing("run_id, subject"));
    }
}

async function insertReused(connection: DuckDBConnection, runId: string, page: ReusedPage): Promise<void> {
    const sql = `insert into landing.openlibrary.reused_authors (run_id, author_key, page_run_id, page_number)
        select $1, unnest(from_json($2, '["VARCHAR"]')), $3, $4 on conflict do nothing`;
    await connection.run(sql, [runId, JSON.stringify(page.author_keys), page.page_run_id, page.page_number]);
}

/** The numbers of the pages of a run that are in the file already. */
async function pagesOf(connection: DuckDBConnection, table: string, runId: string): Promise<ReadonlySet<number>> {
    const sql = `select page_number from landing.openlibrary.${table} where run_id = $1`;
    const pages = await read(connection, v.object({ page_number: v.number() }), sql, [runId]);
    return new Set(pages.map(({ page_number }) => page_number));
}

/** What is inserted takes the place of the row with the same key. */
function replacing(key: string): (columns: readonly string[]) => string {
    return (columns) => {
        const updates = columns.filter((column) => !key.split(", ").includes(column));
        return `on conflict (${key}) do update set ${updates.map((column) => `${column} = excluded.${column}`).join(", ")}`;
    };
}

async function insert(
    connection: DuckDBConnection,
    table: string,
    row: Readonly<Record<string, string | number | null>>,
    onConflict: (columns: readonly string[]) => string = () => "",
): Promise<void> {
    const columns = Object.keys(row);
    const places = columns.map((_, index) => `$${index + 1}`);
    const sql = `insert into landing.openlibrary.${table} (${columns.join(", ")}) values (${places.join(", ")}) ${onConflict(columns)}`;
    await connection.run(sql, Object.values(row));
}

/** Whether the landing file knows a run of this name. */
export async function hasRun(landing: string, runId: string, options: LandingOptions): Promise<boolean> {
    const sql = "select run_id from landing.openlibrary.extract_runs where run_id = $1";
    const found = await readLanding(landing, options, (connection) =>
        read(connection, v.object({ run_id: v.string() }), sql, [runId]),
    );
    return found !== undefined && found.length > 0;
}

/** Reads the rows of a query of an attached landing file. */
export async function read<S extends v.GenericSchema>(
    connection: DuckDBConnection,
    schema: S,
    sql: string,
    values: DuckDBValue[] = [],
): Promise<v.InferOutput<S>[]> {
    const reader = await connection.runAndReadAll(sql, values);
    return reader.getRowObjects().map((row) => v.parse(schema, row));
}

/** Reads a landing file beside other readers; undefined when there is none or nothing was ever landed in it. */
export async function readLanding<T>(
    landing: string,
    options: LandingOptions,
    use: (connection: DuckDBConnection) => Promise<T>,
): Promise<T | undefined> {
    if (!existsSync(landing)) return undefined;
    return withLanding(landing, true, options, async (connection) =>
        (await hasTables(connection)) ? use(connection) : undefined,
    );
}

/** Opens the landing file for as long as `use` takes, and no longer: builds read it at any time. */
async function withLanding<T>(
    landing: string,
    readOnly: boolean,
    options: LandingOptions,
    use: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
    mkdirSync(dirname(landing), { recursive: true });
    const spill = { temp_directory: spoolFolder(landing) };
    // To read one body DuckDB unpacks the 2,048 around it, and fails where they don't fit.
    return withInstance(readOnly ? spill : { ...spill, memory_limit: "1GB" }, async (connection) => {
        await attach(connection, landing, readOnly, options);
        const result = await use(connection);
        await connection.run("detach landing");
        return result;
    });
}

/** Has a DuckDB of its own for as long as `use` takes; `settings` are DuckDB's. */
export async function withInstance<T>(
    settings: Readonly<Record<string, string>>,
    use: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
    const instance = await DuckDBInstance.create(":memory:", { autoinstall_known_extensions: "false", ...settings });
    const connection = await instance.connect();
    try {
        return await use(connection);
    } finally {
        connection.closeSync();
        instance.closeSync();
    }
}

/** Attaches the landing file, and waits for a process that holds it. @throws LandingHeld when that takes too long */
export async function attach(
    connection: DuckDBConnection,
    landing: string,
    readOnly: boolean,
    { say, signal, patience = 600_000, as = "landing" }: LandingOptions,
): Promise<void> {
    // Who was interrupted does not wait: what was fetched is safe in its spool.
    const until = Date.now() + (signal?.aborted ? 0 : patience);
    const how = readOnly ? "read_only" : landingFormat;
    for (let told = false; ; told = true) {
        try {
            await connection.run(`attach ${literal(landing)} as ${as} (${how})`);
            return;
        } catch (error) {
            const holder = /Conflicting lock is held in (.*?) \(PID (\d+)\)/.exec(messageOf(error));
            if (holder === null) {
                throw new PipelineError(`${landing} can't be opened: ${messageOf(error)}`, { cause: error });
            }
            const who = `process ${holder[2]} (${holder[1]})`;
            if (Date.now() >= until) throw new LandingHeld(landing, who, error);
            if (!told) say(`waiting for ${who}, which uses ${landing}`);
        }
        await wait(500);
        signal?.throwIfAborted();
    }
}
