import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";
import * as v from "valibot";
import { messageOf, PipelineError } from "../common/errors.ts";
import {
    type EndRow,
    type RunRow,
    readSpool,
    type SubjectRow,
    spoolFolder,
    type Totals,
    waitingSpools,
} from "./spool.ts";
import { createTables, hasTables } from "./tables.ts";

export interface LandingOptions {
    /** Told when the file has to be waited for. */
    readonly say: (line: string) => void;
    /** Ends the waiting. */
    readonly signal?: AbortSignal;
    /** Milliseconds to wait for a file that another process holds. Default: 600000 */
    readonly patience?: number;
}

/**
 * Loads the spools that wait beside the landing file into it, and removes them. Each is one transaction, and what is in
 * the file already stays as it is, so that a load that was cut short can be done again. A spool without an end is that of
 * a process that was killed: its run becomes a failed one.
 * @throws PipelineError when another process holds the landing file for too long.
 */
export async function loadSpools(landing: string, options: LandingOptions): Promise<void> {
    const spools = waitingSpools(landing);
    if (spools.length === 0) return;
    await withLanding(landing, false, options, async (connection) => {
        for (const spool of spools) {
            await connection.run("begin");
            try {
                await createTables(connection);
                await loadSpool(connection, spool);
                await connection.run("commit");
            } catch (error) {
                await connection.run("rollback");
                throw error;
            }
            rmSync(spool);
        }
    });
}

async function loadSpool(connection: DuckDBConnection, path: string): Promise<void> {
    let run: RunRow | undefined;
    let totals: Totals | undefined;
    const subjects = new Map<string, SubjectRow>();
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
        } else {
            const { run_id, page_number, fetched_at } = record.row;
            const added = await insert(connection, record.kind, record.row, () => "on conflict do nothing");
            if (added === 0) continue;
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

/** What is inserted takes the place of the row with the same key. */
function replacing(key: string): (columns: readonly string[]) => string {
    return (columns) => {
        const updates = columns.filter((column) => !key.split(", ").includes(column));
        return `on conflict (${key}) do update set ${updates.map((column) => `${column} = excluded.${column}`).join(", ")}`;
    };
}

/** Returns how many rows came to it: 0 or 1. */
async function insert(
    connection: DuckDBConnection,
    table: string,
    row: Readonly<Record<string, string | number | null>>,
    onConflict: (columns: readonly string[]) => string = () => "",
): Promise<number> {
    const columns = Object.keys(row);
    const places = columns.map((_, index) => `$${index + 1}`);
    const sql = `insert into landing.openlibrary.${table} (${columns.join(", ")}) values (${places.join(", ")}) ${onConflict(columns)}`;
    return (await connection.run(sql, Object.values(row))).rowsChanged;
}

const bigint = v.pipe(v.bigint(), v.transform(Number));
const failedRun = v.object({
    run_id: v.string(),
    base_url: v.string(),
    max_works: v.nullable(bigint),
    started_at: v.string(),
    requests: bigint,
});
const failedRunSql = `
    select run_id, base_url, max_works, strftime(started_at, '%Y-%m-%dT%H:%M:%S.%gZ') as started_at, requests
    from landing.openlibrary.extract_runs
    where
        status = 'failed'
        and base_url = $1
        and max_works is not distinct from $2
        and (
            select string_agg(subject, ' ' order by subject)
            from landing.openlibrary.extract_subjects
            where extract_subjects.run_id = extract_runs.run_id
        ) = $3
    order by extract_runs.started_at desc, run_id desc
    limit 1`;
const landedPage = v.object({
    subject: v.nullable(v.string()),
    route: v.picklist(["search", "get_many", "author"]),
    page_number: v.number(),
    parameters: v.string(),
    http_status: v.number(),
    body: v.string(),
});

/** What is read back of a landed page to go on with its run. */
export type LandedPage = v.InferOutput<typeof landedPage>;

export interface RecallOptions<T> extends LandingOptions {
    readonly subjects: readonly string[];
    readonly begin: (row: RunRow, requests: number) => T;
}

/**
 * Finds the newest failed run that the same command would go on with, and hands its pages to the `recall` of what `begin`
 * makes of it, works before authors. Returns that, or undefined when there is no such run.
 */
export async function recallFailedRun<T extends { recall(page: LandedPage): void }>(
    landing: string,
    { base_url, max_works }: Pick<RunRow, "base_url" | "max_works">,
    options: RecallOptions<T>,
): Promise<T | undefined> {
    return readLanding(landing, options, async (connection) => {
        // A subject's key holds no space.
        const values = [base_url, max_works, [...options.subjects].sort().join(" ")];
        const [found] = await read(connection, failedRun, failedRunSql, values);
        if (found === undefined) return undefined;
        const { requests, ...row } = found;
        const run = options.begin(row, requests);
        for (const [table, columns] of [
            ["search_pages", "subject, 'search' as route"],
            ["author_pages", "null as subject, route"],
        ]) {
            const sql = `
                select ${columns}, page_number, parameters, http_status, body
                from landing.openlibrary.${table}
                where run_id = $1 and page_number > $2
                order by page_number
                limit 25`;
            // In parts: all bodies at once may be more than fits in memory, and DuckDB unpacks many bodies to read one.
            for (let last = 0, part = await read(connection, landedPage, sql, [row.run_id, last]); part.length > 0; ) {
                for (const page of part) run.recall(page);
                last = part.at(-1)?.page_number ?? last;
                part = await read(connection, landedPage, sql, [row.run_id, last]);
            }
        }
        return run;
    });
}

/** Whether the landing file knows a run of this name. */
export async function hasRun(landing: string, runId: string, options: LandingOptions): Promise<boolean> {
    const sql = "select run_id from landing.openlibrary.extract_runs where run_id = $1";
    const found = await readLanding(landing, options, (connection) =>
        read(connection, v.object({ run_id: v.string() }), sql, [runId]),
    );
    return found !== undefined && found.length > 0;
}

async function read<S extends v.GenericSchema>(
    connection: DuckDBConnection,
    schema: S,
    sql: string,
    values: DuckDBValue[],
): Promise<v.InferOutput<S>[]> {
    const reader = await connection.runAndReadAll(sql, values);
    return reader.getRowObjects().map((row) => v.parse(schema, row));
}

/** Reads a landing file beside other readers; undefined when there is none or nothing was ever landed in it. */
async function readLanding<T>(
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
    const instance = await DuckDBInstance.create(":memory:", {
        autoinstall_known_extensions: "false",
        memory_limit: "1GB",
        temp_directory: spoolFolder(landing),
    });
    const connection = await instance.connect();
    try {
        await attach(connection, landing, readOnly, options);
        const result = await use(connection);
        await connection.run("detach landing");
        return result;
    } finally {
        connection.closeSync();
        instance.closeSync();
    }
}

async function attach(
    connection: DuckDBConnection,
    landing: string,
    readOnly: boolean,
    { say, signal, patience = 600_000 }: LandingOptions,
): Promise<void> {
    // Who was interrupted does not wait: what was fetched is safe in its spool.
    const until = Date.now() + (signal?.aborted ? 0 : patience);
    const how = readOnly ? "read_only" : "storage_version 'v1.2.0'";
    for (let told = false; ; told = true) {
        try {
            await connection.run(`attach '${landing.replaceAll("'", "''")}' as landing (${how})`);
            return;
        } catch (error) {
            const holder = /Conflicting lock is held in (.*?) \(PID (\d+)\)/.exec(messageOf(error));
            if (holder === null) {
                throw new PipelineError(`${landing} can't be opened: ${messageOf(error)}`, { cause: error });
            }
            const who = `process ${holder[2]} (${holder[1]})`;
            if (Date.now() >= until) {
                const text = `${who} still holds ${landing}. What was fetched waits beside it; run again to load it.`;
                throw new PipelineError(text, { cause: error });
            }
            if (!told) say(`waiting for ${who}, which uses ${landing}`);
        }
        await wait(500);
        signal?.throwIfAborted();
    }
}
