// The marts of what changed between runs once more, from the rows of all landed runs, without SQL and without a history.
import type { Cell, Row } from "../warehouse.ts";

interface Landed {
    /** Runs with the subjects of each. */
    readonly runs: readonly Row[];
    /** (run_id, subject, work_key). */
    readonly runWorks: readonly Row[];
    /** The works of each run as they came last. */
    readonly works: readonly Row[];
    /** Author documents. */
    readonly records: readonly Row[];
}

interface Pair {
    readonly subject: Cell;
    readonly before: Snapshot;
    readonly now: Snapshot;
}

interface Snapshot {
    readonly run_id: Cell;
    readonly ended_at: Cell;
    readonly works: ReadonlyMap<string, Row>;
}

/** The rows of work_changes, demand_change and author_merges. */
export function recomputeChanges(landed: Landed): Readonly<Record<string, readonly Row[]>> {
    const pairs = pairsOf(landed);
    return {
        work_changes: pairs.flatMap(workChanges),
        demand_change: pairs.flatMap(demandChanges),
        author_merges: authorMerges(landed),
    };
}

/** Each complete run of a subject with the one of the same source that ended before it. */
function pairsOf({ runs, runWorks, works }: Landed): Pair[] {
    const workOf = new Map(works.map((row) => [`${row.run_id} ${row.work_key}`, row]));
    const worksOf = new Map<string, Map<string, Row>>();
    for (const { run_id, subject, work_key } of runWorks) {
        const key = `${run_id} ${subject}`;
        const row = workOf.get(`${run_id} ${work_key}`) ?? {};
        worksOf.set(key, (worksOf.get(key) ?? new Map()).set(String(work_key), row));
    }
    const order = (row: Row): string => `${row.ended_at} ${row.run_id}`;
    const complete = runs
        .filter((row) => row.status === "complete" && row.run_status !== "failed")
        .filter((row) => worksOf.has(`${row.run_id} ${row.subject}`))
        .sort((a, b) => (order(a) < order(b) ? -1 : 1));
    const last = new Map<string, Snapshot>();
    return complete.flatMap(({ run_id, subject, extract_source, ended_at }): Pair[] => {
        const series = `${extract_source} ${subject}`;
        const before = last.get(series);
        const now = {
            run_id: run_id ?? null,
            ended_at: ended_at ?? null,
            works: worksOf.get(`${run_id} ${subject}`) ?? new Map(),
        };
        last.set(series, now);
        return before === undefined ? [] : [{ subject: subject ?? null, before, now }];
    });
}

function both({ subject, before, now }: Pair, work_key: string): Row {
    return {
        run_id: now.run_id,
        previous_run_id: before.run_id,
        subject,
        work_key,
        previous_ended_at: before.ended_at,
        ended_at: now.ended_at,
    };
}

function workChanges(pair: Pair): Row[] {
    const { before, now } = pair;
    const none = { value_before: null, value_now: null };
    const gone = [...before.works].filter(([key]) => !now.works.has(key));
    return [
        ...gone.map(([key, work]) => ({ ...both(pair, key), title: titleOf(work), change: "gone", ...none })),
        ...[...now.works].flatMap(([key, work]): Row[] => {
            const row = { ...both(pair, key), title: titleOf(work) };
            const last = before.works.get(key);
            if (last === undefined) return [{ ...row, change: "added", ...none }];
            return Object.entries(compared).flatMap(([change, textIn]) => {
                const [value_before, value_now] = [textIn(last), textIn(work)];
                return value_before === value_now ? [] : [{ ...row, change, value_before, value_now }];
            });
        }),
    ];
}

/** What work_changes says of a work, as text. */
const compared: Readonly<Record<string, (work: Row) => string | null>> = {
    title: titleOf,
    authors: authorsOf,
    year: (work) => text(work.first_publish_year),
    editions: (work) => text(work.edition_count),
};

function titleOf({ title }: Row): string | null {
    return title === "__None__" ? null : text(title);
}

function text(value: Cell | undefined): string | null {
    return value === null || value === undefined ? null : String(value);
}

function authorsOf({ author_key }: Row): string | null {
    const keys = (author_key ?? []) as unknown as string[];
    return keys.length === 0 ? null : [...new Set(keys)].sort().join("; ");
}

const day = 86_400_000;

function demandChanges(pair: Pair): Row[] {
    const { before, now } = pair;
    const days = (time(now.ended_at) - time(before.ended_at)) / day;
    return [...now.works].flatMap(([key, work]): Row[] => {
        const last = before.works.get(key);
        if (last === undefined) return [];
        const figure = (name: string) => [Number(last[name] ?? 0), Number(work[name] ?? 0)] as const;
        const [wantBefore, wantNow] = figure("want_to_read_count");
        const [logBefore, logNow] = figure("readinglog_count");
        const [ratingsBefore, ratingsNow] = figure("ratings_count");
        const [averageBefore, averageNow] = [averageOf(last), averageOf(work)];
        const isSame =
            wantBefore === wantNow &&
            logBefore === logNow &&
            ratingsBefore === ratingsNow &&
            averageBefore === averageNow;
        if (isSame) return [];
        return [
            {
                ...both(pair, key),
                title: titleOf(work),
                want_to_read_before: wantBefore,
                want_to_read_now: wantNow,
                want_to_read_change: wantNow - wantBefore,
                want_to_read_change_per_30_days: days < 1 ? null : ((wantNow - wantBefore) * 30) / days,
                readinglog_before: logBefore,
                readinglog_now: logNow,
                readinglog_change: logNow - logBefore,
                ratings_count_before: ratingsBefore,
                ratings_count_now: ratingsNow,
                ratings_count_change: ratingsNow - ratingsBefore,
                ratings_average_before: averageBefore,
                ratings_average_now: averageNow,
                days_between: days,
            },
        ];
    });
}

/** To six places, as it is published. */
function averageOf({ ratings_average: average }: Row): number | null {
    return typeof average === "number" ? Math.round(average * 1e6) / 1e6 : null;
}

/** To the second, as times are compared. */
function time(at: Cell): number {
    return Date.parse(`${String(at).slice(0, 19).replace(" ", "T")}Z`);
}

function authorMerges({ runs, records }: Landed): Row[] {
    const known = new Set(runs.map((row) => row.run_id));
    const order = (row: Row): string => `${row.fetched_at} ${row.run_id} ${String(row.page_number).padStart(9, "0")}`;
    const seen = records.filter((row) => known.has(row.run_id ?? null)).sort((a, b) => (order(a) < order(b) ? -1 : 1));
    const knownSince = new Map<string, Cell>();
    const names = new Map<string, Cell>();
    const merges = new Map<string, Row>();
    for (const { author_key, record_type, redirect, name, run_id, fetched_at } of seen) {
        const key = String(author_key);
        const at = fetched_at ?? null;
        if (record_type === "author" && !knownSince.has(key)) knownSince.set(key, at);
        const trimmed = String(name ?? "").trim();
        if (trimmed !== "") names.set(key, trimmed);
        const merge = `${key} ${redirect}`;
        if (record_type !== "redirect" || redirect === null || merges.has(merge)) continue;
        merges.set(merge, {
            author_key: key,
            into_author_key: redirect ?? null,
            run_id: run_id ?? null,
            known_since: knownSince.get(key) ?? null,
            seen_at: at,
        });
    }
    return [...merges.values()].map((row) => ({
        ...row,
        author_name: names.get(String(row.author_key)) ?? null,
        into_author_name: names.get(String(row.into_author_key)) ?? null,
    }));
}
