// The marts once more, from the raw landed answers and the definitions in the models' descriptions, without any SQL.
import { type ColumnTable, escape as computed, desc, op, table } from "arquero";
import * as v from "valibot";
import { keyOfLabel } from "../../extract/subject-key.ts";
import type { LandingRows, Row } from "../warehouse.ts";
import { recomputeChanges } from "./recomputed-changes.ts";

/** What a person may set: the seeds, and the vars of pipeline.config.ts. */
export interface Settings {
    /** Alias to the key that it stands for. Default: the demo's alias, that of seeds/author_aliases.csv */
    readonly aliases?: Readonly<Record<string, string>>;
    /** Default: 1450 */
    readonly minYear?: number;
    /** Words that make a name that of a body, by the seed author_kind_words. */
    readonly kindWords: readonly KindWord[];
}

export interface KindWord {
    readonly word: string;
    readonly author_kind: string;
    readonly match: string;
}

export type Marts = Readonly<Record<string, readonly Row[]>>;

const integer = v.optional(v.nullable(v.number()), null);
const text = v.optional(v.nullable(v.string()), null);
const flag = v.optional(v.nullable(v.boolean()), null);
const texts = v.optional(v.nullable(v.array(v.string())), null);
const doc = v.object({
    key: v.string(),
    title: text,
    subtitle: text,
    author_key: texts,
    author_name: texts,
    first_publish_year: integer,
    publish_year: v.optional(v.nullable(v.array(v.number())), null),
    edition_count: integer,
    language: texts,
    isbn: texts,
    number_of_pages_median: integer,
    ratings_average: integer,
    ratings_count: integer,
    ratings_count_1: integer,
    ratings_count_2: integer,
    ratings_count_3: integer,
    ratings_count_4: integer,
    ratings_count_5: integer,
    readinglog_count: integer,
    want_to_read_count: integer,
    currently_reading_count: integer,
    already_read_count: integer,
    osp_count: integer,
    ebook_access: text,
    has_fulltext: flag,
    public_scan_b: flag,
    cover_i: integer,
    cover_edition_key: text,
    series_name: texts,
    series_position: texts,
});
type Doc = v.InferOutput<typeof doc>;
const labelled = v.pipe(
    v.object({ subject: v.optional(v.nullable(v.array(v.string())), null) }),
    v.transform(({ subject }) => ({ labels: subject ?? [] })),
);
const searchBody = v.object({ docs: v.array(v.unknown()) });

const authorDocument = v.object({
    key: v.string(),
    type: v.object({ key: v.string() }),
    location: text,
    name: text,
    personal_name: text,
    alternate_names: texts,
    birth_date: text,
    death_date: text,
});
const batchBody = v.object({ result: v.record(v.string(), v.unknown()) });

/** The rows of every mart by its name, with the columns that are recomputed. */
export function recompute(landing: LandingRows, settings: Settings): Marts {
    const runs = tableOf(subjectColumns, landing.extract_subjects)
        .rename({ status: "subject_status", message: "subject_message", works_landed: "subject_works" })
        .join(tableOf(runColumns, landing.extract_runs), "run_id")
        .rename({ source: "extract_source", status: "run_status", message: "run_message" })
        .rename({ subject_status: "status", subject_message: "message" });
    const docs = tableOf(
        [...pageColumns, "page_subject", "labels", "work_key", ...Object.keys(doc.entries)],
        documentRows(landing.search_pages),
    );
    const runWorks = runWorksOf(runs, docs);
    const works = docs.orderby(desc("page_number"), desc("row_position")).dedupe("run_id", "work_key").unorder();
    const records = tableOf(
        [...pageColumns, "author_key", "record_type", "redirect", ...Object.keys(authorDocument.entries)],
        recordRows(landing.author_pages),
    );

    const current = currentRuns(runs, runWorks);
    const currentWorks = runWorks.join(current, [["run_id", "subject"]]);
    const started = current.select("run_id", "started_at").dedupe("run_id");
    const landed = works.semijoin(currentWorks, [["run_id", "work_key"]]).join(started, "run_id");
    const books = withYears(newest(landed, "work_key"), settings.minYear ?? 1450);
    const reused = tableOf(records.columnNames(), reusedRows(rowsOf(records), landing.reused_authors));
    const newestRecords = newest(records.concat(reused).join(started, "run_id"), "author_key");
    const keyOf = resolution(newestRecords, settings.aliases ?? { OL990000071A: "OL990000070A" });
    const resolved = (rows: ColumnTable): ColumnTable =>
        tableOf(["work_key", "landed_key", "landed_name", "author_position"], creditRows(rows)).derive({
            author_key: computed((d: { landed_key: string }) => keyOf(d.landed_key)),
        });
    const credits = creditsOf(resolved(books));
    const subjectWorks = currentWorks
        .select("subject", "work_key")
        .concat(currentWorks.derive({ subject: () => "all" }).select("subject", "work_key"))
        .dedupe("subject", "work_key");
    const subjects = current
        .select("subject", "run_id", "status")
        .concat(current.slice(0, 1).derive({ subject: () => "all", run_id: () => null, status: () => null }));

    const dimAuthors = authors({
        credits,
        landedCredits: resolved(books),
        newestRecords,
        keyOf,
        kindWords: settings.kindWords,
    });
    const dimBooks = booksOf(books, credits);
    const authorYears = authorYearsOf(subjectWorks, dimBooks, credits);
    const inSubject: InSubject = { subjects, subjectWorks, dimBooks, dimAuthors, credits, authorYears };
    const coverage = coverageOf(runs, { docs, runWorks, records, current });
    const tables = {
        dim_authors: dimAuthors,
        dim_books: dimBooks,
        bridge_authors_books: credits,
        bridge_subjects_books: subjectWorks,
        fct_author_year: authorYears,
        author_productivity: productivity(inSubject),
        subject_summary: summary(inSubject),
        extract_coverage: coverage,
        data_quality: quality(inSubject, coverage),
    };
    const changes = recomputeChanges({
        runs: rowsOf(runs),
        runWorks: rowsOf(runWorks),
        works: rowsOf(works),
        records: rowsOf(records),
    });
    return { ...Object.fromEntries(Object.entries(tables).map(([mart, rows]) => [mart, rowsOf(rows)])), ...changes };
}

const pageColumns = ["run_id", "page_number", "row_position", "page_url", "fetched_at"];
const runColumns = [
    ...["run_id", "source", "base_url", "status", "message", "max_works", "works_landed", "authors_wanted"],
    ...["authors_landed", "authors_reused", "pages_landed", "rows_quarantined", "requests", "started_at", "ended_at"],
];
const subjectColumns = ["run_id", "subject", "status", "message", "num_found", "works_landed"];

/** A table that has its columns even when it has no rows. */
function tableOf(columns: readonly string[], rows: readonly object[]): ColumnTable {
    const maps = rows.map((row) => new Map(Object.entries(row)));
    return table(Object.fromEntries(columns.map((name) => [name, maps.map((row) => row.get(name) ?? null)])));
}

/** A table's rows; what is undefined or NaN is null. */
function rowsOf(rows: ColumnTable): Row[] {
    return rows
        .objects()
        .map((row) =>
            Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === undefined ? null : value])),
        );
}

/** The last part of a path: OL1W of /works/OL1W. */
function bare(path: string): string {
    return path.slice(path.lastIndexOf("/") + 1);
}

/** Without white space around it; null when nothing remains. */
function filled(value: string | null | undefined): string | null {
    const trimmed = value?.trim() ?? "";
    return trimmed === "" ? null : trimmed;
}

function joined(list: readonly string[] | null): string | null {
    return list === null || list.length === 0 ? null : list.join("; ");
}

/** To six places, as the marts state their quotients. */
function ratio(dividend: number, divisor: number): number | null {
    return divisor === 0 ? null : Math.round((dividend / divisor) * 1e6) / 1e6;
}

function documentRows(pages: readonly Row[]): object[] {
    return pages.flatMap((page) => {
        const body = v.parse(searchBody, JSON.parse(String(page.body)));
        return body.docs.flatMap((element, i) => {
            const read = v.safeParse(doc, element);
            if (!read.success) return [];
            const { run_id, page_number, url, fetched_at, subject: page_subject } = page;
            const { labels } = v.parse(labelled, element);
            const work = { ...read.output, labels, page_subject, work_key: bare(read.output.key) };
            return [{ ...work, run_id, page_number, row_position: i + 1, page_url: url, fetched_at }];
        });
    });
}

function recordRows(pages: readonly Row[]): object[] {
    return pages.flatMap((page) => {
        const body: unknown = JSON.parse(String(page.body));
        const elements =
            page.http_status !== 200
                ? []
                : page.route === "author"
                  ? [body]
                  : Object.values(v.parse(batchBody, body).result);
        return elements.flatMap((element, i) => {
            const read = v.safeParse(authorDocument, element);
            if (!read.success) return [];
            const { key, type, location, ...fields } = read.output;
            return [
                {
                    run_id: page.run_id,
                    page_number: page.page_number,
                    row_position: i + 1,
                    page_url: page.url,
                    fetched_at: page.fetched_at,
                    author_key: bare(key),
                    record_type: bare(type.key),
                    redirect: location === null ? null : bare(location),
                    ...fields,
                },
            ];
        });
    });
}

/** Records of earlier runs, as rows of the runs that did not fetch them again. */
function reusedRows(records: readonly Row[], reused: readonly Row[]): object[] {
    const name = (run: unknown, page: unknown, key: unknown): string => `${run} ${page} ${key}`;
    const known = new Map(records.map((row) => [name(row.run_id, row.page_number, row.author_key), row]));
    return reused.flatMap(({ run_id, author_key, page_run_id, page_number }) => {
        const record = known.get(name(page_run_id, page_number, bare(String(author_key))));
        return record === undefined ? [] : [{ ...record, run_id }];
    });
}

/** Which works each run has of each of its subjects: those on a page of the subject, and those with its label. */
function runWorksOf(runs: ColumnTable, docs: ColumnTable): ColumnTable {
    return docs
        .select("run_id", "work_key", "page_subject", "labels")
        .join(runs.select("run_id", "subject"), "run_id")
        .filter(
            computed(
                (d: { page_subject: string; labels: readonly string[]; subject: string }) =>
                    d.page_subject === d.subject || d.labels.some((label) => keyOfLabel(label) === d.subject),
            ),
        )
        .select("run_id", "subject", "work_key")
        .dedupe();
}

/** One run a subject of those that landed any work: the newest complete one, else the newest partial one, else the newest. */
function currentRuns(runs: ColumnTable, runWorks: ColumnTable): ColumnTable {
    return runs
        .semijoin(runWorks, [["run_id", "subject"]])
        .derive({ is_complete: (d) => d.status === "complete", is_partial: (d) => d.status === "partial" })
        .orderby(desc("is_complete"), desc("is_partial"), desc("started_at"), desc("run_id"))
        .dedupe("subject")
        .unorder()
        .select("run_id", "subject", "status", "started_at");
}

/** The row of each key in the run that started last, and within it what was landed last. */
function newest(rows: ColumnTable, key: string): ColumnTable {
    return rows
        .orderby(desc("started_at"), desc("run_id"), desc("page_number"), desc("row_position"))
        .dedupe(key)
        .unorder();
}

interface YearFields {
    readonly publish_year: readonly number[] | null;
    readonly first_publish_year: number | null;
    readonly started_at: string;
}

function withYears(books: ColumnTable, minYear: number): ColumnTable {
    const asOf = (d: YearFields): number => Number(d.started_at.slice(0, 4));
    const raw = (d: YearFields): number[] =>
        [...(d.publish_year ?? []), d.first_publish_year].filter((year) => year !== null);
    const plausible = (d: YearFields): number[] =>
        [...new Set(raw(d))].filter((year) => year >= minYear && year <= asOf(d) + 1).sort((a, b) => a - b);
    const judged = (d: YearFields): { year: number | null; status: string } => {
        const [first, second] = plausible(d);
        if (first === undefined) return { year: null, status: raw(d).length === 0 ? "missing" : "implausible" };
        if (second !== undefined && plausible(d).length >= 5 && second - first > 40) {
            return { year: second, status: "outlier_dropped" };
        }
        const isAnswered = d.first_publish_year === null || d.first_publish_year === first;
        return { year: first, status: isAnswered ? "ok" : "implausible_dropped" };
    };
    return books.derive({
        year_status: computed((d: YearFields) => judged(d).status),
        year: computed((d: YearFields) => judged(d).year),
        as_of_year: computed(asOf),
        edition_year_count: computed((d: YearFields) => plausible(d).length),
    });
}

/** The author that a landed key stands for: the end of the redirects, a reviewed alias, the end of its redirects. */
function resolution(records: ColumnTable, aliases: Readonly<Record<string, string>>): (key: string) => string {
    const redirects = new Map(
        rowsOf(records.filter((d) => d.record_type === "redirect" && d.redirect !== null)).map((row) => [
            String(row.author_key),
            String(row.redirect),
        ]),
    );
    const follow = (landed: string): string => {
        const seen = new Set<string>();
        let key = landed;
        while (redirects.has(key) && !seen.has(key)) {
            seen.add(key);
            key = redirects.get(key) ?? key;
        }
        // A circle has no end: each of its keys stays itself.
        return seen.has(key) ? landed : key;
    };
    return (landed) => {
        const end = follow(landed);
        const alias = aliases[end];
        return alias === undefined ? end : follow(alias);
    };
}

/** One row for each element of each book's list of author keys. */
function creditRows(books: ColumnTable): object[] {
    const rows = rowsOf(books) as unknown as (Doc & { work_key: string })[];
    return rows.flatMap(({ work_key, author_key, author_name }) =>
        (author_key ?? []).map((landed_key, i) => ({
            work_key,
            landed_key,
            landed_name: filled(author_name?.[i]),
            author_position: i + 1,
        })),
    );
}

function creditsOf(landedCredits: ColumnTable): ColumnTable {
    return landedCredits
        .groupby("work_key", "author_key")
        .rollup({ author_position: (d) => op.min(d.author_position) })
        .groupby("work_key")
        .derive({ author_count: () => op.count() })
        .ungroup()
        .derive({ credit_share: computed((d: { author_count: number }) => ratio(1, d.author_count)) });
}

interface AuthorInputs {
    readonly credits: ColumnTable;
    /** As the books' records list them. */
    readonly landedCredits: ColumnTable;
    readonly newestRecords: ColumnTable;
    readonly keyOf: (key: string) => string;
    readonly kindWords: readonly KindWord[];
}

function authors({ credits, landedCredits, newestRecords, keyOf, kindWords }: AuthorInputs): ColumnTable {
    const records = new Map(rowsOf(newestRecords).map((row) => [String(row.author_key), row]));
    const landedNames = grouped(rowsOf(landedCredits.filter((d) => d.landed_name !== null)), (row) =>
        String(row.author_key),
    );
    const landedKeys = new Set([...rowsOf(landedCredits).map((row) => String(row.landed_key)), ...records.keys()]);
    const merged = grouped(landedKeys, keyOf);
    const rows = rowsOf(credits.dedupe("author_key")).map(({ author_key }) => {
        const key = String(author_key);
        const record = records.get(key);
        const name = filled(textOf(record?.name)) ?? nameOf(key, landedNames.get(key) ?? []);
        const others = (merged.get(key) ?? []).filter((other) => other !== key).sort();
        return {
            author_key: key,
            author_name: name,
            personal_name: filled(textOf(record?.personal_name)),
            alternate_names: joined((record?.alternate_names ?? null) as string[] | null),
            birth_date: filled(textOf(record?.birth_date)),
            death_date: filled(textOf(record?.death_date)),
            author_kind: kindOf(name, kindWords),
            record_status: statusOf(textOf(record?.record_type)),
            merged_author_keys: joined(others),
            page_url: record?.page_url ?? null,
            fetched_at: record?.fetched_at ?? null,
        };
    });
    const columns = [
        ...["author_key", "author_name", "personal_name", "alternate_names", "birth_date", "death_date"],
        ...["author_kind", "record_status", "merged_author_keys", "page_url", "fetched_at"],
    ];
    return tableOf(columns, rows);
}

function grouped<T>(items: Iterable<T>, keyOf: (item: T) => string): Map<string, T[]> {
    const groups = new Map<string, T[]>();
    for (const item of items) {
        const group = groups.get(keyOf(item));
        if (group === undefined) groups.set(keyOf(item), [item]);
        else group.push(item);
    }
    return groups;
}

function textOf(value: unknown): string | null {
    return typeof value === "string" ? value : null;
}

/** The first in order of the names that works give to the key itself, else to a key that stands for it. */
function nameOf(key: string, credits: readonly Row[]): string | null {
    const own = credits.filter((row) => row.landed_key === key);
    const [row] = rowsOf(tableOf(["landed_name"], own.length > 0 ? own : credits).orderby("landed_name"));
    return textOf(row?.landed_name);
}

function statusOf(recordType: string | null): string {
    if (recordType === null) return "missing";
    return (
        new Map([
            ["redirect", "merged"],
            ["delete", "deleted"],
        ]).get(recordType) ?? "current"
    );
}

/** Without what stands in brackets, lower case, no accents, words of letters and digits with one space between. */
export function plainWords(value: string | null): string {
    // Letter by letter: only JavaScript knows that a capital sigma at a word's end is another small one.
    return [...(value ?? "").replace(/\([^)]*\)|\[[^\]]*\]/g, "")]
        .map((letter) => letter.toLowerCase())
        .join("")
        .normalize("NFD")
        .replace(/\p{M}/gu, "")
        .replace(/[^\p{L}\p{N}\s]+/gu, "")
        .replace(/\s+/g, " ")
        .trim();
}

function kindOf(name: string | null, kindWords: readonly KindWord[]): string {
    const plain = plainWords(name);
    const found = kindWords.find(({ word, match }) =>
        match === "whole" ? plain === word : ` ${plain} `.includes(` ${word} `),
    );
    return found?.author_kind ?? "person";
}

const zeroes = [
    ...["ratings_count", "ratings_count_1", "ratings_count_2", "ratings_count_3", "ratings_count_4"],
    ...["ratings_count_5", "readinglog_count", "want_to_read_count", "currently_reading_count", "already_read_count"],
    "osp_count",
];

function booksOf(books: ColumnTable, credits: ColumnTable): ColumnTable {
    const counts = credits.dedupe("work_key").select("work_key", "author_count");
    return books
        .join_left(counts, "work_key")
        .derive({
            title: computed((d: Doc) => (d.title === "__None__" ? null : d.title)),
            languages: computed((d: Doc) => joined(d.language)),
            series_names: computed((d: Doc) => joined(d.series_name)),
            series_positions: computed((d: Doc) => joined(d.series_position)),
            publish_year_raw: (d) => d.first_publish_year,
            publish_year: (d) => d.year,
            author_count: (d) => d.author_count ?? 0,
            isbn_count: computed((d: Doc) => isbnsOf(d).size),
            cover_id: (d) => d.cover_i,
            has_public_scan: (d) => d.public_scan_b,
            is_orphan_edition: (d) => op.endswith(d.work_key, "M"),
            ...Object.fromEntries(
                zeroes.map((name) => [name, computed((d: Record<string, number | null>) => d[name] ?? 0)]),
            ),
        })
        .select(
            ...["work_key", "title", "subtitle", "languages", "series_names", "series_positions", "ebook_access"],
            ...["cover_edition_key", "year_status", "publish_year", "publish_year_raw", "as_of_year"],
            ...["edition_year_count", "edition_count", "author_count", "isbn_count", "number_of_pages_median"],
            ...["ratings_average", ...zeroes, "cover_id", "has_fulltext", "has_public_scan", "is_orphan_edition"],
            ...["run_id", "page_url", "fetched_at"],
        );
}

/** Without hyphens and spaces, of 10 or 13 digits. */
function isbnsOf({ isbn }: Doc): ReadonlySet<string> {
    return new Set(
        (isbn ?? [])
            .map((number) => number.replace(/[- ]/g, "").toUpperCase())
            .filter((number) => /^(\d{9}[\dX]|\d{13})$/.test(number)),
    );
}

function authorYearsOf(subjectWorks: ColumnTable, dimBooks: ColumnTable, credits: ColumnTable): ColumnTable {
    return subjectWorks
        .join(dimBooks.select("work_key", "publish_year"), "work_key")
        .filter((d) => d.publish_year !== null)
        .join(credits.select("work_key", "author_key", "author_count"), "work_key")
        .groupby("subject", "author_key", "publish_year")
        .rollup({ works: (d) => op.distinct(d.work_key), works_fractional: (d) => op.sum(1 / d.author_count) });
}

interface InSubject {
    readonly subjects: ColumnTable;
    readonly subjectWorks: ColumnTable;
    readonly dimBooks: ColumnTable;
    readonly dimAuthors: ColumnTable;
    readonly credits: ColumnTable;
    readonly authorYears: ColumnTable;
}

function productivity({ subjectWorks, dimBooks, dimAuthors, credits, authorYears }: InSubject): ColumnTable {
    const dated = authorYears.groupby("subject", "author_key").rollup({
        works_dated: (d) => op.sum(d.works),
        active_years: () => op.count(),
        first_year: (d) => op.min(d.publish_year),
        last_year: (d) => op.max(d.publish_year),
        works_fractional: (d) => op.sum(d.works_fractional),
    });
    return subjectWorks
        .join(credits.select("work_key", "author_key"), "work_key")
        .semijoin(dimBooks, "work_key")
        .groupby("subject", "author_key")
        .rollup({ works_total: (d) => op.distinct(d.work_key) })
        .join_left(dated, [["subject", "author_key"]])
        .derive({
            works_dated: (d) => d.works_dated ?? 0,
            active_years: (d) => d.active_years ?? 0,
            works_fractional: (d) => d.works_fractional ?? 0,
        })
        .derive({
            works_unknown_year: (d) => d.works_total - d.works_dated,
            span_years: (d) => (d.works_dated === 0 ? null : d.last_year - d.first_year + 1),
        })
        .derive({
            avg_books_per_active_year: computed((d: { works_dated: number; active_years: number }) =>
                ratio(d.works_dated, d.active_years),
            ),
            avg_books_per_span_year: computed((d: { works_dated: number; span_years: number | null }) =>
                ratio(d.works_dated, d.span_years ?? 0),
            ),
        })
        .join(dimAuthors.select("author_key", "author_name"), "author_key");
}

function summary({ subjects, subjectWorks, dimBooks, credits, authorYears }: InSubject): ColumnTable {
    const books = subjectWorks
        .join(dimBooks.select("work_key", "publish_year", "author_count"), "work_key")
        .groupby("subject")
        .rollup({
            works_total: () => op.count(),
            works_dated: (d) => op.valid(d.publish_year),
            works_without_author: (d) => op.sum(d.author_count === 0 ? 1 : 0),
            first_year: (d) => op.min(d.publish_year),
            last_year: (d) => op.max(d.publish_year),
        });
    const people = subjectWorks
        .join(credits.select("work_key", "author_key"), "work_key")
        .groupby("subject")
        .rollup({ authors: (d) => op.distinct(d.author_key) });
    const years = authorYears
        .groupby("subject")
        .rollup({ author_years: () => op.count(), credits_dated: (d) => op.sum(d.works) });
    return subjects
        .join_left(books, "subject")
        .join_left(people, "subject")
        .join_left(years, "subject")
        .derive({
            extract_status: (d) => d.status,
            works_total: (d) => d.works_total ?? 0,
            works_dated: (d) => d.works_dated ?? 0,
            works_unknown_year: (d) => (d.works_total ?? 0) - (d.works_dated ?? 0),
            works_without_author: (d) => d.works_without_author ?? 0,
            authors: (d) => d.authors ?? 0,
            author_years: (d) => d.author_years ?? 0,
            credits_dated: (d) => d.credits_dated ?? 0,
        })
        .derive({
            avg_books_per_author_year: computed((d: { credits_dated: number; author_years: number }) =>
                ratio(d.credits_dated, d.author_years),
            ),
        })
        .select(
            ...["subject", "run_id", "extract_status", "works_total", "works_dated", "works_unknown_year"],
            ...["works_without_author", "authors", "author_years", "credits_dated", "first_year", "last_year"],
            "avg_books_per_author_year",
        );
}

interface CoverageInputs {
    readonly docs: ColumnTable;
    readonly runWorks: ColumnTable;
    readonly records: ColumnTable;
    readonly current: ColumnTable;
}

function coverageOf(runs: ColumnTable, { docs, runWorks, records, current }: CoverageInputs): ColumnTable {
    const staged = runWorks.groupby("run_id", "subject").rollup({ works_staged: () => op.count() });
    const rows = docs
        .rename({ page_subject: "subject" })
        .groupby("run_id", "subject")
        .rollup({ rows: () => op.count(), distinct_works: (d) => op.distinct(d.work_key) });
    const people = records
        .dedupe("run_id", "author_key")
        .groupby("run_id")
        .rollup({ author_records_staged: () => op.count() });
    const chosen = current.select("run_id", "subject").derive({ is_chosen: () => true });
    return runs
        .join_left(staged, [["run_id", "subject"]])
        .join_left(rows, [["run_id", "subject"]])
        .join_left(people, "run_id")
        .join_left(chosen, [["run_id", "subject"]])
        .derive({
            works_staged: (d) => d.works_staged ?? 0,
            works_missing: (d) => (d.num_found === null ? null : d.num_found - (d.works_staged ?? 0)),
            rows_repeated: (d) => (d.rows ?? 0) - (d.distinct_works ?? 0),
            author_records_staged: (d) => d.author_records_staged ?? 0,
            is_current: (d) => d.is_chosen ?? false,
        })
        .select(
            ...["run_id", "subject", "extract_source", "base_url", "status", "message", "run_status", "run_message"],
            ...["max_works", "num_found", "works_staged"],
            ...["works_missing", "rows_repeated", "rows_quarantined", "authors_wanted", "authors_landed"],
            ...[
                "authors_reused",
                "author_records_staged",
                "pages_landed",
                "requests",
                "is_current",
                "started_at",
                "ended_at",
            ],
        );
}

/** How much of each subject each check concerns, of works, of authors, and of its extraction. */
function quality(
    { subjects, subjectWorks, dimBooks, dimAuthors, credits }: InSubject,
    coverage: ColumnTable,
): ColumnTable {
    const books = dimBooks.derive({
        plain_title: computed((d: { title: string | null }) => plainWords(d.title)),
    });
    const people = dimAuthors.derive({
        plain_name: computed((d: { author_name: string | null }) => plainWords(d.author_name)),
    });
    // The other one may be in another subject.
    const sameTitle = credits
        .join(books.select("work_key", "plain_title"), "work_key")
        .filter((d) => d.plain_title !== "")
        .groupby("author_key", "plain_title")
        .derive({ alike: () => op.count() })
        .filter((d) => d.alike > 1)
        .ungroup();
    const rows = rowsOf(subjects).flatMap(({ subject, run_id }): object[] => {
        const ofSubject = subjectWorks.filter(computed((d: { subject: string }) => d.subject === subject));
        const works = books.semijoin(ofSubject, "work_key");
        const subjectCredits = credits.semijoin(ofSubject, "work_key");
        const authorsOf = people.semijoin(subjectCredits, "author_key");
        // Of keys with one name, all but one are too many; "Various" is no name that two people share.
        const sameName = authorsOf
            .filter((d) => d.plain_name !== "" && d.author_kind !== "placeholder")
            .groupby("plain_name")
            .filter(() => op.row_number() > 1);
        const check = (check_name: string, affected: number, total: number): object => ({
            subject,
            check_name,
            affected,
            total,
            share: ratio(affected, total),
        });
        const ofWorks = (name: string, hits: ColumnTable): object =>
            check(`work: ${name}`, hits.numRows(), works.numRows());
        const ofAuthors = (name: string, hits: ColumnTable): object =>
            check(`author: ${name}`, hits.numRows(), authorsOf.numRows());
        const [run] = rowsOf(
            coverage.filter(
                computed((d: { run_id: string; subject: string }) => d.run_id === run_id && d.subject === subject),
            ),
        );
        return [
            ofWorks(
                "no title",
                works.filter((d) => d.title === null),
            ),
            ofWorks(
                "no author",
                works.filter((d) => d.author_count === 0),
            ),
            ofWorks(
                "no year answered",
                works.filter((d) => d.year_status === "missing"),
            ),
            ofWorks(
                "no plausible year",
                works.filter((d) => d.year_status === "implausible"),
            ),
            ofWorks(
                "first year answered is implausible, next taken",
                works.filter((d) => d.year_status === "implausible_dropped"),
            ),
            ofWorks(
                "first year stands apart, next taken",
                works.filter((d) => d.year_status === "outlier_dropped"),
            ),
            ofWorks(
                "an edition without a work",
                works.filter((d) => d.is_orphan_edition),
            ),
            ofWorks("same author and title as another", works.semijoin(sameTitle, "work_key")),
            ofAuthors(
                "no name",
                authorsOf.filter((d) => d.author_name === null),
            ),
            ofAuthors(
                "no record",
                authorsOf.filter((d) => d.record_status === "missing"),
            ),
            ofAuthors(
                "record deleted",
                authorsOf.filter((d) => d.record_status === "deleted"),
            ),
            ofAuthors(
                "a body or a placeholder",
                authorsOf.filter((d) => d.author_kind !== "person"),
            ),
            ofAuthors("same name as another", sameName),
            ofAuthors(
                "stands for other keys too",
                authorsOf.filter((d) => d.merged_author_keys !== null),
            ),
            ...(run === undefined
                ? []
                : [
                      check(
                          "landing: works counted but not landed",
                          Math.max(Number(run.works_missing), 0),
                          Number(run.num_found),
                      ),
                      check(
                          "landing: works landed but not counted",
                          Math.max(-Number(run.works_missing), 0),
                          Number(run.works_staged),
                      ),
                      check(
                          "landing: work repeated on another page",
                          Number(run.rows_repeated),
                          Number(run.works_staged),
                      ),
                      check("landing: row quarantined", Number(run.rows_quarantined), Number(run.works_staged)),
                  ]),
        ];
    });
    return tableOf(["subject", "check_name", "affected", "total", "share"], rows);
}
