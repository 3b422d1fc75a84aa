// A small project of its own in a temporary folder, for tests of the runner: nothing in it is about books.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { type BuildOptions, build, type Command, type Outcome } from "../../runner/build.ts";

export interface Toy {
    readonly folder: string;
    /** Everything that was written so far, results and notes. */
    said(): string;
    build(options?: Partial<BuildOptions> & { readonly command?: Command }): Promise<Outcome>;
    write(path: string, text: string): void;
    /** Rows of a file of the target, opened read-only and closed again. */
    rows(sql: string, file?: string): Promise<Record<string, unknown>[]>;
    close(): void;
}

/** Makes a project out of its files; pipeline.config.ts is there unless it is given. */
export function toyProject(files: Readonly<Record<string, string>>): Toy {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-toy-"));
    const said: string[] = [];
    const write = (path: string, text: string): void => {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), text);
    };
    write(
        "pipeline.config.ts",
        'export default { name: "toy", vars: { batch: 0 }, models: { materialized: "table" } };',
    );
    for (const [path, text] of Object.entries(files)) write(path, text);
    const say = (text: string): void => void said.push(text);
    return {
        folder,
        write,
        said: () => said.join("\n"),
        build: ({ command = "build", ...options } = {}) =>
            build(command, { projectDir: folder, ...options }, { out: say, note: say }),
        rows: (sql, file = "data/warehouse.duckdb") => readRows(join(folder, file), sql),
        close: () => rmSync(folder, { recursive: true }),
    };
}

export async function readRows(path: string, sql: string): Promise<Record<string, unknown>[]> {
    const instance = await DuckDBInstance.create(path, { access_mode: "READ_ONLY" });
    try {
        const connection = await instance.connect();
        const reader = await connection.runAndReadAll(sql);
        connection.closeSync();
        return reader.getRowObjectsJson();
    } finally {
        instance.closeSync();
    }
}

/** Makes a DuckDB file with one statement. */
export async function makeDatabase(path: string, sql: string): Promise<void> {
    const instance = await DuckDBInstance.create(path);
    const connection = await instance.connect();
    await connection.run(sql);
    connection.closeSync();
    instance.closeSync();
}

/** Collects what a command prints: its result, and what it notes. */
export function listener(): {
    out: (text: string) => void;
    note: (text: string) => void;
    said: string[];
    noted: string[];
} {
    const said: string[] = [];
    const noted: string[] = [];
    return { out: (text) => void said.push(text), note: (text) => void noted.push(text), said, noted };
}
