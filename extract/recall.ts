import * as v from "valibot";
import { type AuthorDocument, type AuthorsPage, noAuthors, readAuthor, readAuthors } from "./answers.ts";
import { type LandingOptions, read, readLanding } from "./landing.ts";
import type { RunRow } from "./spool.ts";

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
    fetched_at: v.string(),
    body: v.string(),
});

/** What is read back of a landed page. */
export type LandedPage = v.InferOutput<typeof landedPage>;

/** An author document with the page on which it landed. */
export interface LandedDocument {
    readonly document: AuthorDocument;
    readonly page: PageOfAuthors;
}

/** A row of author_pages. */
export interface PageOfAuthors {
    readonly page_run_id: string;
    readonly page_number: number;
}

/** A run that takes up again what it landed before it was interrupted. */
export interface Recalling {
    recall(page: LandedPage): void;
    recallReused(documents: readonly LandedDocument[]): void;
}

export interface RecallOptions<T> extends LandingOptions {
    readonly subjects: readonly string[];
    readonly begin: (row: RunRow, requests: number) => T;
}

/**
 * Finds the newest failed run that the same command would go on with, and hands its pages to the `recall` of what `begin`
 * makes of it, works before authors, then the documents that it reused. Returns that, or undefined when there is no such run.
 */
export async function recallFailedRun<T extends Recalling>(
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
        const load: Load = (schema, sql, given) => read(connection, schema, sql, given);
        for await (const page of pagesOf(load, "search_pages", row.run_id)) run.recall(page);
        for await (const page of pagesOf(load, "author_pages", row.run_id)) run.recall(page);
        const relied = await load(reliedPage, reliedSql, [row.run_id]);
        for (const page_run_id of new Set(relied.map((each) => each.page_run_id))) {
            const keysOf = new Map(
                relied.filter((each) => each.page_run_id === page_run_id).map((each) => [each.page_number, each.keys]),
            );
            for await (const page of pagesOf(load, "author_pages", page_run_id)) {
                const keys = new Set(keysOf.get(page.page_number));
                const documents = landedOn(page_run_id, page).filter(({ document }) => keys.has(document.key));
                if (documents.length > 0) run.recallReused(documents);
            }
        }
        return run;
    });
}

const reliedPage = v.object({
    page_run_id: v.string(),
    page_number: v.number(),
    keys: v.pipe(v.string(), v.parseJson(), v.array(v.string())),
});
const reliedSql = `
    select page_run_id, page_number, cast(to_json(list(author_key)) as varchar) as keys
    from landing.openlibrary.reused_authors
    where run_id = $1
    group by page_run_id, page_number`;

/**
 * The newest documents of authors that runs against a service have landed since a time, by their keys. Nothing but what
 * tells documents apart is held in memory.
 */
export async function findDocuments(
    landing: string,
    { base_url, since }: { base_url: string; since: Date },
    options: LandingOptions,
): Promise<ReadonlyMap<string, LandedDocument>> {
    const found = new Map<string, LandedDocument & { readonly fetchedAt: string }>();
    await readLanding(landing, options, async (connection) => {
        const load: Load = (schema, sql, given) => read(connection, schema, sql, given);
        const from = since.toISOString();
        for (const { run_id } of await load(v.object({ run_id: v.string() }), recentSql, [base_url, from])) {
            for await (const page of pagesOf(load, "author_pages", run_id)) {
                if (page.fetched_at < from) continue;
                for (const landed of landedOn(run_id, page)) {
                    const other = found.get(landed.document.key);
                    if (other !== undefined && other.fetchedAt >= page.fetched_at) continue;
                    found.set(landed.document.key, { ...landed, fetchedAt: page.fetched_at });
                }
            }
        }
    });
    return found;
}

const recentSql = `
    select distinct run_id
    from landing.openlibrary.extract_runs
    inner join landing.openlibrary.author_pages using (run_id)
    where base_url = $1 and fetched_at >= cast($2 as timestamp)`;

type Load = <S extends v.GenericSchema>(
    schema: S,
    sql: string,
    values: (string | number)[],
) => Promise<v.InferOutput<S>[]>;

/** The pages of a run in the order of landing. */
async function* pagesOf(load: Load, table: "search_pages" | "author_pages", runId: string): AsyncGenerator<LandedPage> {
    const columns = table === "search_pages" ? "subject, 'search' as route" : "null as subject, route";
    const sql = `
        select
            ${columns}, page_number, parameters, http_status,
            strftime(fetched_at, '%Y-%m-%dT%H:%M:%S.%gZ') as fetched_at,
            body
        from landing.openlibrary.${table}
        where run_id = $1 and page_number > $2
        order by page_number
        limit 25`;
    // In parts: all bodies at once may be more than fits in memory, and DuckDB unpacks many bodies to read one.
    for (let part = await load(landedPage, sql, [runId, 0]); part.length > 0; ) {
        yield* part;
        part = await load(landedPage, sql, [runId, part.at(-1)?.page_number ?? 0]);
    }
}

function landedOn(page_run_id: string, landed: LandedPage): LandedDocument[] {
    const page = { page_run_id, page_number: landed.page_number };
    return readAuthorsPage(landed).documents.map((document) => ({ document, page }));
}

/** Reads a landed page of authors again. */
export function readAuthorsPage({ route, http_status, body }: LandedPage): AuthorsPage {
    if (http_status !== 200) return noAuthors;
    return route === "author" ? readAuthor(JSON.parse(body)) : readAuthors(JSON.parse(body));
}
