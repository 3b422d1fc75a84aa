import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";
import * as v from "valibot";
import { messageOf, PipelineError } from "../common/errors.ts";
import { createFile } from "../common/fresh-file.ts";
import { fileHolder } from "../common/lock.ts";
import { spoolFolder } from "./spool.ts";
import { hasTables, literal } from "./tables.ts";

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
export async function withLanding<T>(
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
        const result = await use(connection).catch((error: unknown) => {
            const fault = readOnly && !(error instanceof PipelineError) ? systemFault(error) : undefined;
            if (fault === undefined) throw error;
            const remedy = "If it is damaged, move it away: the next extraction begins a new one.";
            throw new PipelineError(`${landing} can't be read: ${fault}. ${remedy}`, { cause: error });
        });
        await detach(connection, landing, options);
        return result;
    });
}

/** Lets go of the landing file. Where it has no room for what was committed, that stands in its log, and is taken up later. */
export async function detach(connection: DuckDBConnection, landing: string, { say }: LandingOptions): Promise<void> {
    try {
        await connection.run("detach landing");
    } catch (error) {
        const fault = systemFault(error);
        if (fault === undefined) throw error;
        say(`${landing} takes up what has landed when it is opened next: ${fault}`);
    }
}

/** Runs `work` in a transaction, which is undone when it throws. @throws what it throws, or why it can't be committed */
export async function inTransaction(connection: DuckDBConnection, work: () => Promise<void>): Promise<void> {
    await connection.run("begin");
    try {
        await work();
        await connection.run("commit");
    } catch (error) {
        // After a commit that failed there is no transaction any more.
        await connection.run("rollback").catch(() => undefined);
        throw error;
    }
}

/** What a person can mend of what DuckDB says: a full disk, a folder that may not be written, too little memory. */
export function systemFault(error: unknown): string | undefined {
    const message = messageOf(error);
    // Of a file that it could not write it says first of all that the database is invalidated.
    const full = /No space left on device|File too large/.exec(message)?.[0];
    const [text = ""] = message.split("\n");
    return full ?? (/^(IO|Out of Memory) Error/.test(text) ? text : undefined);
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
    if (!readOnly) await createFile(landing, { run: (sql) => connection.run(sql), how: landingFormat });
    for (let told = false; ; told = true) {
        try {
            await connection.run(`attach ${literal(landing)} as ${as} (${how})`);
            return;
        } catch (error) {
            const who = fileHolder(messageOf(error));
            if (who === undefined) {
                throw new PipelineError(`${landing} can't be opened: ${messageOf(error)}`, { cause: error });
            }
            if (Date.now() >= until) throw new LandingHeld(landing, who, error);
            if (!told) say(`waiting for ${who}, which uses ${landing}`);
        }
        await wait(500);
        signal?.throwIfAborted();
    }
}
