import {
    chmodSync,
    chownSync,
    closeSync,
    existsSync,
    fsyncSync,
    openSync,
    realpathSync,
    renameSync,
    type Stats,
    statSync,
} from "node:fs";
import { dirname } from "node:path";
import * as v from "valibot";
import { messageOf, PipelineError, systemCode } from "../common/errors.ts";
import { discardFresh, freshFile } from "../common/fresh-file.ts";
import {
    attach,
    inTransaction,
    type LandingOptions,
    landingFormat,
    read,
    systemFault,
    withInstance,
} from "./landing.ts";
import { loadSpools } from "./load-spools.ts";
import { spoolFolder } from "./spool.ts";
import { createTables, literal, tables } from "./tables.ts";

export interface PruneOptions extends LandingOptions {
    /** How many runs of each subject stay. */
    readonly keep: number;
    /** Only says what would be dropped. Default: false */
    readonly dryRun?: boolean;
}

export interface Pruned {
    /** The runs that were dropped, oldest first. */
    readonly runs: readonly string[];
    readonly pages: number;
    /** The file's size before, and after; of a dry run the latter is estimated by the documents that would stay. */
    readonly bytes: { readonly before: number; readonly after: number };
}

const total = v.pipe(v.bigint(), v.transform(Number));
const runId = v.object({ run_id: v.string() });
const pageTotals = v.object({ pages: total, docs: total, all_docs: total });

// The models take the same run of a subject before others: complete ones, then partial ones, then failed ones with works.
const keptRuns = (keep: number): string => `
    create temp table kept_runs as
    with ranked as (
        select
            run_id,
            s.subject,
            r.status,
            r.started_at,
            row_number() over (
                partition by s.subject
                order by
                    case when s.works_landed = 0 then 3 when s.status = 'complete' then 0
                        when s.status = 'partial' then 1 else 2 end,
                    r.started_at desc,
                    run_id desc
            ) as place
        from old.openlibrary.extract_runs as r
        inner join old.openlibrary.extract_subjects as s using (run_id)
    ),
    newest as (
        select subject, max(started_at) as started_at from ranked where place <= ${keep} group by subject
    )
    select run_id from ranked where place <= ${keep}
    union
    select run_id from ranked inner join newest using (subject)
    where status = 'failed' and ranked.started_at > newest.started_at`;
const reliedPages = `
    create temp table relied_pages as
    select distinct page_run_id as run_id, page_number
    from old.openlibrary.reused_authors
    where run_id in (from kept_runs)`;

const tablesOf = `select table_name from duckdb_tables()
    where database_name = 'old' and schema_name = 'openlibrary' order by table_name`;

/** What stays of a table. A run of which documents stay that others reuse keeps its row, so that they have an origin. */
function staying(table: string): string {
    if (table === "extract_runs") return "(run_id in (from kept_runs) or run_id in (select run_id from relied_pages))";
    if (table === "author_pages") return "(run_id in (from kept_runs) or (run_id, page_number) in (from relied_pages))";
    return "run_id in (from kept_runs)";
}

const droppedRuns = `
    select run_id
    from old.openlibrary.extract_runs
    where
        run_id not in (from kept_runs)
        and (
            run_id not in (select run_id from relied_pages)
            or run_id in (select run_id from old.openlibrary.extract_subjects)
        )
    order by started_at, run_id`;
const droppedPages = `
    select
        count(*) filter (where not stays) as pages,
        cast(coalesce(sum(docs) filter (where not stays), 0) as bigint) as docs,
        cast(coalesce(sum(docs), 0) as bigint) as all_docs
    from (
        select docs, ${staying("search_pages")} as stays from old.openlibrary.search_pages
        union all
        select documents as docs, ${staying("author_pages")} as stays from old.openlibrary.author_pages
    )`;
const nothing = { pages: 0, docs: 0, all_docs: 0 };

/**
 * Drops all but the newest runs of each subject and gives their room on the disk back: what stays is written to a new file,
 * which then takes the old one's place. Whoever has the old file open goes on reading it. Failed runs stay while the next
 * extraction may go on with them, that is, when they are newer than the runs that stay. The caller holds the extraction lock.
 * @throws PipelineError when the new file can't be written; then the old one is as it was.
 */
export async function prune(path: string, options: PruneOptions): Promise<Pruned> {
    const { keep, dryRun = false, signal } = options;
    if (!existsSync(path)) throw new PipelineError(`there is no landing file ${path} to prune`);
    // A link goes on pointing to where the file is.
    const landing = realpathSync(path);
    const fresh = freshFile(landing);
    discardFresh(landing);
    if (!dryRun) await loadSpools(path, options);
    // DuckDB unpacks 2,048 bodies to copy one of them: on more threads, or to keep their order, it does so several times.
    const settings = { threads: "1", preserve_insertion_order: "false", temp_directory: spoolFolder(path) };
    return withInstance(settings, async (connection) => {
        const interrupt = (): void => connection.interrupt();
        signal?.addEventListener("abort", interrupt);
        try {
            await attach(connection, landing, true, { ...options, as: "old" });
            const found = await read(connection, v.object({ table_name: v.string() }), tablesOf);
            const names = found.map(({ table_name }) => table_name);
            const foreign = names.find((name) => !(name in tables));
            if (foreign !== undefined) {
                throw new PipelineError(
                    `${landing} has a table "${foreign}" that is not the extractor's; move it away`,
                );
            }
            if (!names.includes("extract_subjects")) {
                throw new PipelineError(
                    `${landing} was written by version 0.1; the next extraction brings it up to date`,
                );
            }
            await connection.run(keptRuns(keep));
            await connection.run(reliedPages);
            const dropped = await read(connection, runId, droppedRuns);
            const { pages, docs, all_docs } = (await read(connection, pageTotals, droppedPages))[0] ?? nothing;
            const before = statSync(landing).size;
            const runs = dropped.map(({ run_id }) => run_id);
            const estimate = Math.round(before * (1 - docs / Math.max(1, all_docs)));
            if (dryRun || (runs.length === 0 && pages === 0))
                return { runs, pages, bytes: { before, after: estimate } };
            // Without a log, which would need as much room as all bodies unpacked: the file counts only when it is whole.
            const how = `${landingFormat}, recovery_mode 'no_wal_writes'`;
            await connection.run(`attach ${literal(fresh)} as landing (${how})`);
            await createTables(connection);
            await inTransaction(connection, async () => {
                for (const name of names) {
                    await connection.run(
                        `insert into landing.openlibrary.${name} by name from old.openlibrary.${name} where ${staying(name)}`,
                    );
                }
            });
            await connection.run("checkpoint landing");
            await connection.run("detach landing");
            sync(fresh);
            const after = statSync(fresh).size;
            beAs(statSync(landing), fresh);
            // While "old" is attached nobody writes to it.
            renameSync(fresh, landing);
            sync(dirname(landing));
            return { runs, pages, bytes: { before, after } };
        } catch (error) {
            signal?.throwIfAborted();
            if (error instanceof PipelineError) throw error;
            const reason = systemFault(error) ?? messageOf(error).split("\n")[0];
            throw new PipelineError(`${fresh} can't be written: ${reason}. ${landing} is as it was.`, { cause: error });
        } finally {
            signal?.removeEventListener("abort", interrupt);
        }
    }).finally(() => discardFresh(landing));
}

/** Gives a file the owner and the permissions of another; only root may give it to somebody else. */
function beAs({ mode, uid, gid }: Stats, path: string): void {
    try {
        chownSync(path, uid, gid);
    } catch (error) {
        if (systemCode(error) !== "EPERM") throw error;
    }
    chmodSync(path, mode);
}

function sync(path: string): void {
    const file = openSync(path, "r");
    fsyncSync(file);
    closeSync(file);
}
