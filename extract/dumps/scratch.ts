import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import * as v from "valibot";
import { PipelineError } from "../../common/errors.ts";
import { attach, detach, inTransaction, type LandingOptions, systemFault, withInstance } from "../landing.ts";
import { literal } from "../tables.ts";

export interface ScratchOptions {
    /** What DuckDB may use; beyond, it writes to the disk. */
    readonly memoryLimit: string;
    readonly signal?: AbortSignal;
}

/**
 * A database of its own beside the landing file, for what is larger than memory. It is the current one, and is gone when
 * `use` has ended; what a killed process left is removed before. The caller holds the landing's extraction lock.
 */
export async function withScratch<T>(
    landing: string,
    { memoryLimit, signal }: ScratchOptions,
    use: (scratch: Scratch) => Promise<T>,
): Promise<T> {
    const folder = `${landing}.scratch`;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    try {
        const settings = {
            memory_limit: memoryLimit,
            temp_directory: join(folder, "spill"),
            preserve_insertion_order: "false",
        };
        return await withInstance(settings, async (connection) => {
            const interrupt = (): void => connection.interrupt();
            signal?.addEventListener("abort", interrupt);
            try {
                await connection.run(`attach ${literal(join(folder, "scratch.duckdb"))} as scratch`);
                await connection.run("use scratch");
                return await use(new Scratch(connection, signal));
            } finally {
                signal?.removeEventListener("abort", interrupt);
            }
        });
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
}

export class Scratch {
    readonly connection: DuckDBConnection;
    readonly #signal: AbortSignal | undefined;

    constructor(connection: DuckDBConnection, signal: AbortSignal | undefined) {
        this.connection = connection;
        this.#signal = signal;
    }

    /** Runs one statement. @throws the reason of the signal, when that has stopped it */
    async run(sql: string): Promise<void> {
        await this.#stoppable(() => this.connection.run(sql));
    }

    /** All rows of a query; big integers come as text. */
    async rows<S extends v.GenericSchema>(schema: S, sql: string): Promise<v.InferOutput<S>[]> {
        const reader = await this.#stoppable(() => this.connection.runAndReadAll(sql));
        return reader.getRowObjectsJson().map((row) => v.parse(schema, row));
    }

    /** The one row of a query. */
    async row<S extends v.GenericSchema>(schema: S, sql: string): Promise<v.InferOutput<S>> {
        const [row] = await this.rows(schema, sql);
        if (row === undefined) throw new Error(`no row: ${sql}`);
        return row;
    }

    /** Has the landing file, attached as "landing", for as long as `use` takes. */
    async withLanding<T>(
        landing: string,
        options: LandingOptions & { readonly readOnly: boolean },
        use: () => Promise<T>,
    ): Promise<T> {
        await this.#stoppable(() => attach(this.connection, landing, options.readOnly, options));
        try {
            return await use();
        } finally {
            await detach(this.connection, landing, options);
        }
    }

    /** Runs `work` in a transaction, which is undone when it throws. */
    async transaction(work: () => Promise<void>): Promise<void> {
        await this.#stoppable(() => inTransaction(this.connection, work));
    }

    async #stoppable<T>(start: () => Promise<T>): Promise<T> {
        this.#signal?.throwIfAborted();
        try {
            return await start();
        } catch (error) {
            this.#signal?.throwIfAborted();
            const fault = systemFault(error);
            if (error instanceof PipelineError || fault === undefined) throw error;
            throw new PipelineError(fault, { cause: error });
        }
    }
}
