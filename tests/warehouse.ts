import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Writable } from "node:stream";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { type CatalogueRecord, catalogueOf } from "../demo/catalogue-file.ts";
import { startStandIn } from "../demo/server.ts";
import { Client } from "../extract/client.ts";
import { extract } from "../extract/extract.ts";
import { Progress } from "../extract/progress.ts";
import { createTables } from "../extract/tables.ts";
import { build } from "../runner/build.ts";

const root = join(import.meta.dirname, "..");

export type Cell = string | number | boolean | null;
export type Row = Readonly<Record<string, Cell>>;

/** The rows of the landing file's tables, timestamps as text in UTC. */
export interface LandingRows {
    readonly extract_runs: readonly Row[];
    readonly extract_subjects: readonly Row[];
    readonly search_pages: readonly Row[];
    readonly author_pages: readonly Row[];
    readonly reused_authors: readonly Row[];
    readonly quarantine: readonly Row[];
}

export interface WarehouseOptions {
    /** Files of the project that differ from the real ones, by their path: what to make of the real text. */
    readonly files?: Readonly<Record<string, (text: string) => string>>;
}

/** This project's models in a folder of their own, with a landing file and a warehouse. */
export interface Warehouse {
    readonly folder: string;
    /** Extracts the subjects in one run from a stand-in that has these records. */
    extract(records: Iterable<CatalogueRecord>, ...subjects: string[]): Promise<void>;
    /** Adds rows to the landing file. */
    land(rows: LandingRows): Promise<void>;
    landed(): Promise<LandingRows>;
    /** Builds and publishes. @throws Error with what the runner printed, when it did not publish. */
    build(): Promise<void>;
    /** Rows of the published warehouse; decimals and bigints are numbers, timestamps text. */
    rows(sql: string): Promise<Row[]>;
    /** Rows of the builder's own file, which has the models that are not published too. */
    workRows(sql: string): Promise<Row[]>;
    /** What the last build left for other programs: manifest, run_results or catalog. */
    artifact(name: string): unknown;
    close(): void;
}

export function openWarehouse({ files = {} }: WarehouseOptions = {}): Warehouse {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-models-"));
    copyProject(folder);
    for (const [path, change] of Object.entries(files)) {
        const before = readFileSync(join(folder, path), "utf8");
        const after = change(before);
        if (after === before) throw new Error(`${path} is as it was: what was to be replaced is not in it`);
        writeFileSync(join(folder, path), after);
    }
    const landing = join(folder, "data", "landing.duckdb");
    mkdirSync(dirname(landing));
    return {
        folder,
        extract: (records, ...subjects) => extractAll(landing, records, subjects),
        land: (rows) =>
            withFile(landing, "landing (storage_version 'v1.2.0')", async (connection) => {
                await createTables(connection);
                await insert(connection, rows);
            }),
        landed: async () => {
            const table = (name: string): Promise<Row[]> => readRows(landing, `from openlibrary.${name} order by all`);
            return {
                extract_runs: await table("extract_runs"),
                extract_subjects: await table("extract_subjects"),
                search_pages: await table("search_pages"),
                author_pages: await table("author_pages"),
                reused_authors: await table("reused_authors"),
                quarantine: await table("quarantine"),
            };
        },
        build: async () => {
            const lines: string[] = [];
            const write = (line: string): void => {
                lines.push(line);
            };
            const outcome = await build("build", { projectDir: folder }, { out: write, note: write });
            if (!outcome.ok || outcome.publication === undefined) throw new Error(lines.join("\n"));
        },
        rows: (sql) => readRows(join(folder, "data", "warehouse.duckdb"), sql),
        workRows: (sql) => readRows(join(folder, "data", "work.duckdb"), sql),
        artifact: (name) => JSON.parse(readFileSync(join(folder, "artifacts", "dev", `${name}.json`), "utf8")),
        close: () => rmSync(folder, { recursive: true }),
    };
}

/** Opens a warehouse for as long as `use` takes. */
export async function inWarehouse<T>(
    use: (warehouse: Warehouse) => Promise<T>,
    options: WarehouseOptions = {},
): Promise<T> {
    const warehouse = openWarehouse(options);
    try {
        return await use(warehouse);
    } finally {
        warehouse.close();
    }
}

/** Copies the real project, without landed data, to be built there. */
export function copyProject(folder: string): void {
    for (const part of ["models", "macros", "seeds", "targets", "pipeline.config.ts", "tests/generic"]) {
        cpSync(join(root, part), join(folder, part), { recursive: true });
    }
    for (const name of readdirSync(join(root, "tests"))) {
        if (/\.(sql|yml)$/.test(name)) cpSync(join(root, "tests", name), join(folder, "tests", name));
    }
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
}

async function extractAll(
    landing: string,
    records: Iterable<CatalogueRecord>,
    subjects: readonly string[],
): Promise<void> {
    const standIn = await startStandIn(catalogueOf(records));
    try {
        const progress = new Progress(new Writable({ write: (_chunk, _encoding, done) => done() }));
        const client = new Client({
            baseUrl: standIn.url,
            userAgent: "shelfmark/test (+tests@example.org)",
            backoff: 1,
        });
        await extract(subjects, { landing, baseUrl: standIn.url, client, progress });
    } finally {
        await standIn.close();
    }
}

/** One extraction to be landed, written down by hand. */
export interface Snapshot {
    readonly subject: string;
    /** "2024-06-01 12:00:00": its year is the as_of_year. */
    readonly startedAt: string;
    /** The documents of each page. */
    readonly pages: readonly (readonly object[])[];
    /** Author documents as Open Library stores them, all in one answer. */
    readonly authors?: readonly { readonly key: string }[];
    /** Columns of extract_runs and extract_subjects that are to differ. */
    readonly run?: Row;
    readonly standing?: Row;
}

/** The rows that the extractor would land for a snapshot. */
export function landingRows({
    subject,
    startedAt,
    pages,
    authors = [],
    run = {},
    standing = {},
}: Snapshot): LandingRows {
    const runId = `${startedAt.replace(/[-:]/g, "").replace(" ", "T")}Z-${subject}`;
    const docs = pages.flat();
    const keys = docs.map((doc) => ("key" in doc ? doc.key : undefined));
    const numFound = new Set(keys).size;
    const wanted = new Set(docs.flatMap((doc) => ("author_key" in doc ? doc.author_key : [])));
    const page = (number: number, route: string, body: string): Row => ({
        run_id: runId,
        page_number: number,
        url: `http://127.0.0.1/${route}?subject=${subject}&page=${number}`,
        parameters: JSON.stringify({ subject, page: number }),
        http_status: 200,
        fetched_at: startedAt,
        body_sha256: createHash("sha256").update(body).digest("hex"),
        body,
    });
    const extractRun: Row = {
        run_id: runId,
        source: "api",
        base_url: "http://127.0.0.1",
        status: "complete",
        message: null,
        max_works: null,
        works_landed: numFound,
        authors_wanted: wanted.size,
        authors_landed: authors.length,
        authors_reused: 0,
        pages_landed: pages.length + 1,
        rows_quarantined: 0,
        requests: pages.length + 1,
        started_at: startedAt,
        ended_at: startedAt,
        ...run,
    };
    const extractSubject: Row = {
        run_id: runId,
        subject,
        status: "complete",
        message: null,
        num_found: numFound,
        works_landed: numFound,
        ...standing,
    };
    const batch = JSON.stringify({ status: "ok", result: Object.fromEntries(authors.map((a) => [a.key, a])) });
    return {
        extract_runs: [extractRun],
        extract_subjects: [extractSubject],
        search_pages: pages.map((pageDocs, i) => ({
            ...page(i + 1, "search.json", JSON.stringify({ numFound, start: 0, numFoundExact: true, docs: pageDocs })),
            subject,
            num_found: numFound,
            docs: pageDocs.length,
        })),
        author_pages: [{ ...page(1, "api/get_many", batch), route: "get_many", documents: authors.length }],
        reused_authors: [],
        quarantine: [],
    };
}

async function insert(connection: DuckDBConnection, rows: LandingRows): Promise<void> {
    for (const [table, list] of Object.entries(rows)) {
        for (const row of list as readonly Row[]) {
            const places = Object.keys(row).map((_, i) => `$${i + 1}`);
            const columns = Object.keys(row).join(", ");
            const sql = `insert into landing.openlibrary.${table} (${columns}) values (${places.join(", ")})`;
            await connection.run(sql, Object.values(row));
        }
    }
}

async function readRows(path: string, sql: string): Promise<Row[]> {
    return withFile(path, "file (read_only)", async (connection) => {
        await connection.run("use file");
        const reader = await connection.runAndReadAll(sql);
        const isNumber = new Map(
            reader
                .deduplicatedColumnNames()
                .map((name, i) => [name, /^(BIGINT|HUGEINT|UBIGINT|DECIMAL)/.test(String(reader.columnType(i)))]),
        );
        return reader.getRowObjectsJson().map((row) =>
            Object.fromEntries(
                Object.entries(row).map(([name, value]): [string, Cell] => {
                    if (value === null) return [name, null];
                    if (isNumber.get(name) === true) return [name, Number(value)];
                    return [name, typeof value === "object" ? JSON.stringify(value) : value];
                }),
            ),
        );
    });
}

/** Attaches one file to a DuckDB of its own for as long as `use` takes. */
async function withFile<T>(path: string, as: string, use: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    const instance = await DuckDBInstance.create(":memory:", { autoinstall_known_extensions: "false" });
    const connection = await instance.connect();
    try {
        await connection.run(`attach '${path.replaceAll("'", "''")}' as ${as}`);
        return await use(connection);
    } finally {
        connection.closeSync();
        instance.closeSync();
    }
}
