import type { DuckDBConnection } from "@duckdb/node-api";

interface Table {
    readonly comment: string;
    /** Name to type and comment. */
    readonly columns: Readonly<Record<string, readonly [type: string, comment: string]>>;
    readonly primaryKey?: string;
}

const request = {
    url: ["VARCHAR", "The URL that was asked for, with its query; of a dump dump: and the file's name"],
    parameters: ["VARCHAR", "The query as the text of a JSON object; of the route author, the key that the path holds"],
    http_status: [
        "INTEGER",
        "200, or 404 for an author without a document; other answers are not landed. Null for a dump",
    ],
    fetched_at: ["TIMESTAMP", "When the answer was in, in UTC"],
} as const;

const body = {
    body_sha256: ["VARCHAR", "SHA-256 of the body's bytes, in hexadecimal"],
    body: ["VARCHAR", "The answer as it came"],
} as const;

const runId = ["VARCHAR", "The run that landed it"] as const;

/** The tables of a landing file by their names. */
export const tables: Readonly<Record<string, Table>> = {
    extract_runs: {
        comment: "One row for each extraction: one snapshot of its subjects",
        columns: {
            run_id: [
                "VARCHAR",
                "When the run started, in UTC, and its first subject: 20261122T160501Z-science_fiction",
            ],
            source: ["VARCHAR", "api: Open Library's service; dump: its monthly files"],
            base_url: ["VARCHAR", "The service that was asked; null for a dump"],
            status: [
                "VARCHAR",
                "complete: so are all its subjects; partial: one of them is; failed: ended early, and the next " +
                    "extraction of the same subjects goes on with it",
            ],
            message: ["VARCHAR", "What a reader of this run's pages should know; null when there is nothing"],
            max_works: ["BIGINT", "At how many works of each subject the run was told to stop; null for all"],
            works_landed: ["BIGINT", "Distinct work keys in the run's pages"],
            authors_wanted: ["BIGINT", "Distinct author keys of these works"],
            authors_landed: [
                "BIGINT",
                "How many of the wanted authors have a document, redirects and deletions included",
            ],
            authors_reused: ["BIGINT", "Of these, how many were not fetched again"],
            pages_landed: ["BIGINT", "Rows of search_pages and author_pages"],
            rows_quarantined: ["BIGINT", "Rows of quarantine"],
            requests: ["BIGINT", "Requests made, each try of one counted"],
            started_at: ["TIMESTAMP", "In UTC"],
            ended_at: ["TIMESTAMP", "When the run ended last, in UTC"],
        },
        primaryKey: "run_id",
    },
    extract_subjects: {
        comment: "One row for each subject of an extraction",
        columns: {
            run_id: runId,
            subject: ["VARCHAR", "The subject's key as Open Library writes it; * for all works of a dump"],
            status: [
                "VARCHAR",
                "complete: as many distinct works landed as the last count says, and their authors; partial: not so; " +
                    "failed: the run ended before this was known",
            ],
            message: ["VARCHAR", "What a reader of this subject's pages should know; null when there is nothing"],
            num_found: ["BIGINT", "How many works of the subject the service counted last"],
            works_landed: [
                "BIGINT",
                "Distinct works of the subject in the run's pages, also in those of other subjects",
            ],
        },
        primaryKey: "run_id, subject",
    },
    search_pages: {
        comment: "One row for each answer of /search.json: counts (no docs) and pages of works",
        columns: {
            run_id: runId,
            page_number: ["INTEGER", "Counts from 1 within the run, in the order of landing"],
            subject: ["VARCHAR", "The subject that was asked for; null for a dump's page, which may hold any"],
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
    reused_authors: {
        comment: "One row for each author document that a run did not fetch again, with the page on which it landed",
        columns: {
            run_id: runId,
            author_key: ["VARCHAR", "/authors/OL1A"],
            page_run_id: ["VARCHAR", "The run that landed the page"],
            page_number: ["INTEGER", "The page, of author_pages"],
        },
        primaryKey: "run_id, author_key",
    },
    quarantine: {
        comment: "One row for each element of a landed page that does not fit what is expected of it",
        columns: {
            run_id: runId,
            source: [
                "VARCHAR",
                "The table of the page, search_pages or author_pages, or the kind of a dump: works ...",
            ],
            page_number: ["INTEGER", "The page; null for a line of a dump"],
            position: [
                "INTEGER",
                "The element's place in docs or among the documents, from 0; of a dump the line, from 1",
            ],
            reason: ["VARCHAR", "What does not fit"],
            body: ["VARCHAR", "The element, written again as JSON"],
            fetched_at: ["TIMESTAMP", "When the page was in, in UTC"],
        },
    },
    dump_files: {
        comment: "One row for each file that a run from a dump has read",
        columns: {
            run_id: runId,
            kind: ["VARCHAR", "works, authors, editions, ratings or reading_log"],
            file_name: ["VARCHAR", "The file's name, without its folder"],
            bytes: ["BIGINT", "The file's size as it lay there, packed or not"],
            lines: ["BIGINT", "All its lines: landed, quarantined, or of nothing that the run was asked for"],
            rows_landed: ["BIGINT", "How many of them are in the run's pages, those of editions and ratings by a work"],
            rows_quarantined: ["BIGINT", "How many of them are rows of quarantine"],
            last_modified: ["TIMESTAMP", "The newest date of its lines, in UTC"],
        },
        primaryKey: "run_id, kind",
    },
};

const tablesOf = `select table_name, list(column_name) as columns from duckdb_columns()
    where database_name = 'landing' and schema_name = 'openlibrary' group by table_name`;

/** Whether the attached landing file has its tables: one whose first load was cut short has none. */
export async function hasTables(connection: DuckDBConnection): Promise<boolean> {
    return (await connection.runAndReadAll(tablesOf)).currentRowCount > 0;
}

/** Whether the attached landing file was written by version 0.1, in which each run had one subject. */
export async function isOutdated(connection: DuckDBConnection): Promise<boolean> {
    const sql = `${tablesOf} having table_name = 'extract_runs' and list_contains(columns, 'subject')`;
    return (await connection.runAndReadAll(sql)).currentRowCount > 0;
}

/** Creates the tables in the attached landing file that are not there. Those of version 0.1 are brought up to date. */
export async function createTables(connection: DuckDBConnection): Promise<void> {
    if (await isOutdated(connection)) return upgrade(connection);
    const found = (await connection.runAndReadAll(tablesOf)).getRowObjectsJson();
    const names = new Set(found.map((row) => row.table_name));
    const missing = Object.entries(tables).filter(([name]) => !names.has(name));
    if (missing.length === 0) return;
    const definitions = missing.flatMap(([name, table]) => definitionOf(name, table));
    await connection.run(["create schema if not exists landing.openlibrary", ...definitions].join(";\n"));
}

function definitionOf(name: string, { comment, columns, primaryKey }: Table): string[] {
    const path = `landing.openlibrary.${name}`;
    const lines = Object.entries(columns).map(([column, [type]]) => `${column} ${type}`);
    if (primaryKey !== undefined) lines.push(`primary key (${primaryKey})`);
    return [
        `create table ${path} (${lines.join(", ")})`,
        `comment on table ${path} is ${literal(comment)}`,
        ...Object.entries(columns).map(
            ([column, [, about]]) => `comment on column ${path}.${column} is ${literal(about)}`,
        ),
    ];
}

/** There were neither dumps then nor authors that were not fetched again. */
async function upgrade(connection: DuckDBConnection): Promise<void> {
    const old = ["extract_runs", "search_pages", "author_pages", "quarantine"];
    for (const name of old) {
        await connection.run(`create temp table old_${name} as from landing.openlibrary.${name}`);
        await connection.run(`drop table landing.openlibrary.${name}`);
    }
    await createTables(connection);
    await connection.run(`insert into landing.openlibrary.extract_runs by name
        select * exclude (subject, num_found), 'api' as source, 0 as authors_reused from old_extract_runs`);
    await connection.run(`insert into landing.openlibrary.extract_subjects by name
        select run_id, subject, status, message, num_found, works_landed from old_extract_runs`);
    await connection.run(`insert into landing.openlibrary.search_pages by name
        select old_search_pages.*, subject from old_search_pages inner join old_extract_runs using (run_id)`);
    for (const name of ["author_pages", "quarantine"]) {
        await connection.run(`insert into landing.openlibrary.${name} by name from old_${name}`);
    }
    for (const name of old) await connection.run(`drop table old_${name}`);
}

/** A text as SQL writes it: `'it''s'`. */
export function literal(text: string): string {
    return `'${text.replaceAll("'", "''")}'`;
}
