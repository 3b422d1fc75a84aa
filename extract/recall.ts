import * as v from "valibot";
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
