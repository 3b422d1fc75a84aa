import { existsSync, statSync } from "node:fs";
import { relative } from "node:path";
import * as v from "valibot";
import { PipelineError } from "../common/errors.ts";
import { type LockHolder, livingHolder, processText } from "../common/lock.ts";
import { LandingHeld, read, readLanding } from "./landing.ts";
import { count } from "./progress.ts";
import { glanceAt, type SpoolGlance, waitingSpools } from "./spool.ts";
import { isOutdated } from "./tables.ts";

const number = v.pipe(v.bigint(), v.transform(Number));
const subject = v.object({
    subject: v.string(),
    status: v.string(),
    message: v.nullable(v.string()),
    num_found: v.nullable(v.number()),
    works_landed: v.nullable(v.number()),
});
const run = v.object({
    run_id: v.string(),
    source: v.string(),
    base_url: v.nullable(v.string()),
    status: v.string(),
    message: v.nullable(v.string()),
    max_works: v.nullable(number),
    works_landed: number,
    authors_wanted: number,
    authors_landed: number,
    authors_reused: number,
    pages_landed: number,
    rows_quarantined: number,
    requests: number,
    started_at: v.string(),
    ended_at: v.nullable(v.string()),
    subjects: v.pipe(v.string(), v.parseJson(), v.array(subject)),
});
const iso = (column: string): string => `strftime(${column}, '%Y-%m-%dT%H:%M:%SZ') as ${column}`;
// A run of which prune has left nothing but documents that others reuse has no subjects.
const runsSql = `
    with subjects as (
        select
            run_id,
            to_json(list({
                subject: subject,
                status: status,
                message: message,
                num_found: num_found,
                works_landed: works_landed
            } order by subject)) as subjects
        from landing.openlibrary.extract_subjects
        group by run_id
    )
    select extract_runs.* replace (${iso("started_at")}, ${iso("ended_at")}), cast(subjects as varchar) as subjects
    from landing.openlibrary.extract_runs
    inner join subjects using (run_id)
    order by extract_runs.started_at desc, run_id desc`;

/** A row of extract_runs with its subjects; times are ISO 8601 in UTC. */
export type LandedRun = v.InferOutput<typeof run>;

/** How it stands with a landing file. */
export interface Status {
    readonly landing: string;
    /** The file's size; undefined while there is none. */
    readonly bytes: number | undefined;
    /** Newest first; undefined when `heldBy` writes to the file. */
    readonly runs: readonly LandedRun[] | undefined;
    readonly heldBy: string | undefined;
    /** Who extracts or prunes now. */
    readonly holder: LockHolder | undefined;
    /** What is under way of the holder's run. */
    readonly running: SpoolGlance | undefined;
    /** Runs that the next extraction loads. */
    readonly waiting: readonly SpoolGlance[];
}

/**
 * Reads how it stands with a landing file, beside any extraction or build.
 * @throws PipelineError when nothing was ever extracted, or the file is one of version 0.1.
 */
export async function readStatus(landing: string): Promise<Status> {
    const holder = livingHolder(`${landing}.extract.lock`);
    // Before the file is read: what is loaded meanwhile is then in both places rather than in none.
    const paths = waitingSpools(landing);
    if (holder === undefined && paths.length === 0 && !existsSync(landing)) {
        const file = relative(process.cwd(), landing);
        throw new PipelineError(`there is no landing file ${file} yet; npm run extract makes it`);
    }
    let runs: readonly LandedRun[] | undefined;
    let heldBy: string | undefined;
    try {
        runs = (await readRuns(landing)) ?? [];
    } catch (error) {
        if (!(error instanceof LandingHeld)) throw error;
        heldBy = error.who;
    }
    const spools = paths.flatMap((path) => glanceAt(path) ?? []);
    const since = Date.parse(holder?.startedAt ?? "");
    const running = spools.filter(({ modifiedAt }) => modifiedAt.getTime() >= since).at(-1);
    return {
        landing,
        bytes: statSync(landing, { throwIfNoEntry: false })?.size,
        // A failed run that is gone on with counts as its spool says.
        runs: runs?.filter(({ run_id }) => !spools.some(({ runId }) => runId === run_id)),
        heldBy,
        holder,
        running,
        waiting: spools.filter((spool) => spool !== running),
    };
}

function readRuns(landing: string): Promise<readonly LandedRun[] | undefined> {
    return readLanding(landing, { say: () => {}, patience: 2000 }, async (connection) => {
        if (!(await isOutdated(connection))) return read(connection, run, runsSql);
        const file = relative(process.cwd(), landing);
        throw new PipelineError(`${file} was written by version 0.1; the next extraction brings it up to date`);
    });
}

/** For programs: one object for each run, newest first. What is under way or waits has null where it is not yet known. */
export function listRuns({ runs = [], running, waiting }: Status): object[] {
    const unloaded = [...(running === undefined ? [] : [running]), ...waiting].map((spool) => {
        const status = spool === running ? "running" : "waiting";
        const unknown = { status, message: null, num_found: null, works_landed: null };
        return {
            ...{ run_id: spool.runId, source: "api", base_url: null, status, message: null, max_works: null },
            ...{ works_landed: 0, authors_wanted: 0, authors_landed: 0, authors_reused: 0, pages_landed: 0 },
            ...{ rows_quarantined: 0, requests: 0, started_at: null, ended_at: null },
            ...spool.start?.row,
            ...spool.totals,
            subjects: (spool.start?.subjects ?? []).map((key) => ({ subject: key, ...unknown })),
        };
    });
    return [...unloaded, ...runs];
}

/** For people: lines of 80 columns at most, but for the path of the file. */
export function describeStatus({ landing, bytes, runs, heldBy, holder, running, waiting }: Status): string {
    const file = relative(process.cwd(), landing);
    const lines: string[] = [];
    if (holder !== undefined) {
        const doing = running === undefined ? [] : standing(running);
        lines.push(`under way: ${holder.command}`, `    ${processText(holder)}, since ${time(holder.startedAt)} UTC`);
        lines.push(...doing, "");
    }
    for (const spool of waiting) lines.push("waits to be loaded by the next extraction:", ...standing(spool), "");
    for (const landed of runs ?? []) lines.push(...describeRun(landed), "");
    const size = bytes === undefined ? "not there yet" : megabytes(bytes);
    const content = runs === undefined ? `held by ${heldBy}, which writes to it` : counted(runs.length, "run");
    return [...lines.map(fit), `${file}: ${size}, ${content}`].join("\n");
}

function standing({ runId, bytes, totals }: SpoolGlance): string[] {
    const figures =
        totals === undefined
            ? "nothing yet"
            : `${count(totals.pages_landed)} pages, ${count(totals.works_landed)} works, ` +
              `${count(totals.authors_landed)} of ${count(totals.authors_wanted)} authors`;
    return [runId, `    ${figures}; ${megabytes(bytes)} not loaded yet`];
}

function describeRun(landed: LandedRun): string[] {
    const { status, source, started_at, ended_at, requests, rows_quarantined, authors_wanted } = landed;
    const start = time(started_at);
    const end = ended_at === null ? "" : time(ended_at);
    const until = end.slice(0, 10) === start.slice(0, 10) ? end.slice(11) : end;
    const parts = [`${status}, ${start} to ${until} UTC`];
    parts.push(source === "dump" ? "from a dump" : `${count(requests)} requests`);
    if (rows_quarantined > 0) parts.push(`${count(rows_quarantined)} quarantined`);
    const reused = landed.authors_reused > 0 ? `, ${count(landed.authors_reused)} of them reused` : "";
    return [
        landed.run_id,
        `    ${parts.join(", ")}`,
        ...landed.subjects.map(
            (each) => `    ${each.subject}: ${each.status}: ${works(each.works_landed ?? 0, each.num_found)}`,
        ),
        `    authors: ${count(landed.authors_landed)} of ${count(authors_wanted)}${reused}`,
    ];
}

function works(landed: number, counted: number | null): string {
    if (counted === null) return `${count(landed)} works, never counted`;
    const text = `${count(landed)} works of ${count(counted)}`;
    if (landed < counted) return `${text}, ${count(counted - landed)} missing`;
    return landed > counted ? `${text}, ${count(landed - counted)} too many` : text;
}

/** `2026-11-22 16:05`. */
function time(text: string): string {
    return text.slice(0, 16).replace("T", " ");
}

/** `1 run`, `2 runs`. */
export function counted(n: number, what: string): string {
    return `${count(n)} ${what}${n === 1 ? "" : "s"}`;
}

/** `14.8 MB`. */
export function megabytes(bytes: number): string {
    return `${(bytes / 1e6).toLocaleString("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} MB`;
}

function fit(line: string): string {
    return line.length <= 80 ? line : `${line.slice(0, 77)}...`;
}
