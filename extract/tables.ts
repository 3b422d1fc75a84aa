import type { DuckDBConnection } from "@duckdb/node-api";

interface Table {
    readonly comment: string;
    /** Name to type and comment. */
    readonly columns: Readonly<Record<string, readonly [type: string, comment: string]>>;
    readonly primaryKey?: string;
}

const request = {
    url: ["VARCHAR", "The URL that was asked for, with its query"],
    parameters: ["VARCHAR", "The query as the text of a JSON object; of the route author, the key that the path holds"],
    http_status: ["INTEGER", "200, or 404 for an author without a document; other answers are not landed"],
    fetched_at: ["TIMESTAMP", "When the answer was in, in UTC"],
} as const;

const body = {
    body_sha256: ["VARCHAR", "SHA-256 of the body's bytes, in hexadecimal"],
    body: ["VARCHAR", "The answer as it came"],
} as const;

const runId = ["VARCHAR", "The run that landed it"] as const;

const tables: Readonly<Record<string, Table>> = {
    extract_runs: {
        comment: "One row for each extraction of a subject from Open Library, written when it ends",
        columns: {
            run_id: ["VARCHAR", "When the run started, in UTC, and its subject: 20261122T160501Z-science_fiction"],
            subject: ["VARCHAR", "The subject's key as Open Library writes it"],
            base_url: ["VARCHAR", "The service that was asked"],
            status: [
                "VARCHAR",
                "complete: as many distinct works landed as the last count says; partial: not so; failed: ended early, " +
                    "and the next extraction goes on with it; running: not written by this version",
            ],
            message: ["VARCHAR", "What a reader of this run's pages should know; null when there is nothing"],
            max_works: ["BIGINT", "At how many works the run was told to stop; null for all"],
            num_found: ["BIGINT", "How many works the service counted last"],
            works_landed: ["BIGINT", "Distinct work keys in the run's pages"],
            authors_wanted: ["BIGINT", "Distinct author keys of these works"],
            authors_landed: [
                "BIGINT",
                "How many of the wanted authors have a document, redirects and deletions included",
            ],
            pages_landed: ["BIGINT", "Rows of search_pages and author_pages"],
            rows_quarantined: ["BIGINT", "Rows of quarantine"],
            requests: ["BIGINT", "Requests made, each try of one counted"],
            started_at: ["TIMESTAMP", "In UTC"],
            ended_at: ["TIMESTAMP", "When the run ended last, in UTC"],
        },
        primaryKey: "run_id",
    },
    search_pages: {
        comment: "One row for each answer of /search.json: counts (no docs) and pages of works",
        columns: {
            run_id: runId,
            page_number: ["INTEGER", "Counts from 1 within the run, in the order of landing"],
            ...request,
            num_found: ["BIGINT", "numFound of the answer: the works that match the URL's query, which may be a range"],
            docs: ["INTEGER", "Elements of docs, quarantined ones included"],
            ...body,
        },
        primaryKey: "run_id, page_number",
    },
    author_pages: {
        comment: "One row for each answer with author documents",
        columns: {
            run_id: runId,
            page_number: ["INTEGER", "Counts from 1 within the run, in the order of landing"],
            route: ["VARCHAR", "get_many: /api/get_many with a batch of keys; author: /authors/{key}.json"],
            ...request,
            documents: ["INTEGER", "Author documents in the answer, redirects and deletions included"],
            ...body,
        },
        primaryKey: "run_id, page_number",
    },
    quarantine: {
        comment: "One row for each element of a landed page that does not fit what is expected of it",
        columns: {
            run_id: runId,
            source: ["VARCHAR", "The table of the page: search_pages or author_pages"],
            page_number: ["INTEGER", "The page"],
            position: ["INTEGER", "The element's place in docs or among the documents, from 0"],
            reason: ["VARCHAR", "What does not fit"],
            body: ["VARCHAR", "The element, written again as JSON"],
            fetched_at: ["TIMESTAMP", "When the page was in, in UTC"],
        },
    },
};

const exists = `select 1 from duckdb_tables()
    where database_name = 'landing' and schema_name = 'openlibrary' and table_name = 'extract_runs'`;

/** Whether the attached landing file has its tables: one whose first load was cut short has none. */
export async function hasTables(connection: DuckDBConnection): Promise<boolean> {
    return (await connection.runAndReadAll(exists)).currentRowCount > 0;
}

/** Creates the tables in the attached landing file if they are not there. */
export async function createTables(connection: DuckDBConnection): Promise<void> {
    if (await hasTables(connection)) return;
    await connection.run("create schema if not exists landing.openlibrary");
    for (const [name, { comment, columns, primaryKey }] of Object.entries(tables)) {
        const table = `landing.openlibrary.${name}`;
        const lines = Object.entries(columns).map(([column, [type]]) => `${column} ${type}`);
        if (primaryKey !== undefined) lines.push(`primary key (${primaryKey})`);
        await connection.run(`create table ${table} (${lines.join(", ")})`);
        await connection.run(`comment on table ${table} is ${text(comment)}`);
        for (const [column, [, about]] of Object.entries(columns)) {
            await connection.run(`comment on column ${table}.${column} is ${text(about)}`);
        }
    }
}

function text(value: string): string {
    return `'${value.replaceAll("'", "''")}'`;
}
