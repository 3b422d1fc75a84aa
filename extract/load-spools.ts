import { existsSync, rmSync } from "node:fs";
import type { DuckDBAppender, DuckDBConnection } from "@duckdb/node-api";
import * as v from "valibot";
import { PipelineError } from "../common/errors.ts";
import { inTransaction, type LandingOptions, read, readLanding, systemFault, withLanding } from "./landing.ts";
import {
    type EndRow,
    type ReusedPage,
    type RunRow,
    readSpool,
    type SubjectRow,
    type Totals,
    waitingSpools,
} from "./spool.ts";
import { createTables, isOutdated, tables } from "./tables.ts";

type Row = Readonly<Record<string, string | number | null>>;

/**
 * Loads the spools that wait beside the landing file into it, and removes them. Each is one transaction, and what is in
 * the file already stays as it is, so that a load that was cut short can be done again. A spool without an end is that of
 * a process that was killed: its run becomes a failed one. A file of version 0.1 is brought up to date, and what a killed
 * process left half done is put in order. The caller holds the extraction lock.
 * @throws PipelineError when another process holds the landing file for too long, or the disk is full.
 */
export async function loadSpools(landing: string, options: LandingOptions): Promise<void> {
    const spools = waitingSpools(landing);
    if (spools.length === 0 && !(await needsCare(landing, options))) return;
    try {
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
    } catch (error) {
        const fault = systemFault(error);
        if (error instanceof PipelineError || fault === undefined) throw error;
        const text = `${landing} can't be written: ${fault}. What was fetched waits beside it; run again to load it.`;
        throw new PipelineError(text, { cause: error });
    }
}

/** A killed process may have left a log that the file must take up before anything else is done with it. */
async function needsCare(landing: string, options: LandingOptions): Promise<boolean> {
    if (existsSync(`${landing}.wal`)) return true;
    return (await readLanding(landing, options, isOutdated)) ?? false;
}

async function loadSpool(connection: DuckDBConnection, path: string): Promise<void> {
    let run: RunRow | undefined;
    let totals: Totals | undefined;
    const subjects = new Map<string, SubjectRow>();
    const landed = new Map<string, ReadonlySet<number>>();
    const rows = new Appenders(connection);
    let end: EndRow = {
        status: "failed",
        message: "the process ended before the run did",
        ended_at: new Date().toISOString(),
    };
    try {
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
                const known = landed.get(record.kind) ?? (await pagesOf(connection, record.kind, run_id));
                landed.set(record.kind, known);
                if (known.has(page_number)) continue;
                await rows.append(record.kind, record.row);
                for (const misfit of record.misfits) {
                    const row = { run_id, source: record.kind, page_number, ...misfit, fetched_at };
                    await rows.append("quarantine", row);
                }
            }
        }
        rows.close();
    } catch (error) {
        rows.drop();
        throw error;
    }
    // Nothing but a torn first line: the process was killed before it asked for anything.
    if (run === undefined || totals === undefined) return;
    await replace(connection, "extract_runs", ["run_id"], { ...run, source: "api", ...end, ...totals });
    for (const subject of subjects.values()) {
        await replace(connection, "extract_subjects", ["run_id", "subject"], { run_id: run.run_id, ...subject });
    }
}

/** Rows on their way into the landing's tables; some megabytes go at once, where one by one takes five times as long. */
class Appenders {
    readonly #connection: DuckDBConnection;
    readonly #appenders = new Map<string, DuckDBAppender>();
    #waiting = 0;

    constructor(connection: DuckDBConnection) {
        this.#connection = connection;
    }

    async append(table: string, row: Row): Promise<void> {
        const appender =
            this.#appenders.get(table) ?? (await this.#connection.createAppender(table, "openlibrary", "landing"));
        this.#appenders.set(table, appender);
        for (const column of Object.keys(tables[table]?.columns ?? {})) {
            const value = row[column] ?? null;
            if (value === null) appender.appendNull();
            else if (typeof value === "number") appender.appendBigInt(BigInt(value));
            else appender.appendVarchar(value);
            if (typeof value === "string") this.#waiting += value.length;
        }
        appender.endRow();
        if (this.#waiting < 16_000_000) return;
        for (const each of this.#appenders.values()) each.flushSync();
        this.#waiting = 0;
    }

    /** What waits is forgotten, a row that was begun included. */
    drop(): void {
        for (const appender of this.#appenders.values()) appender.clear();
        this.close();
    }

    /** What waits goes into the tables. */
    close(): void {
        for (const appender of this.#appenders.values()) appender.closeSync();
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

/** Inserts a row, in the place of the one with the same key. */
async function replace(connection: DuckDBConnection, table: string, key: readonly string[], row: Row): Promise<void> {
    const columns = Object.keys(row);
    const places = columns.map((_, index) => `$${index + 1}`);
    const updates = columns.filter((column) => !key.includes(column)).map((column) => `${column} = excluded.${column}`);
    const sql = `insert into landing.openlibrary.${table} (${columns.join(", ")}) values (${places.join(", ")})
        on conflict (${key.join(", ")}) do update set ${updates.join(", ")}`;
    await connection.run(sql, Object.values(row));
}
