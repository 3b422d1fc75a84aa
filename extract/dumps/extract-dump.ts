import * as v from "valibot";
import { PipelineError } from "../../common/errors.ts";
import type { Extraction } from "../extract.ts";
import { hasRun, type LandingOptions } from "../landing.ts";
import { count, duration, type Progress } from "../progress.ts";
import { createTables, literal } from "../tables.ts";
import { type DumpFile, openDumpFile } from "./dump-file.ts";
import { formOf, type Wish } from "./forms.ts";
import { findPast, judge, type Past } from "./judge.ts";
import { type Account, readLines } from "./lines.ts";
import { documentsSql, type Given } from "./pages.ts";
import { type Scratch, withScratch } from "./scratch.ts";

/** Paths of the files of one monthly dump, packed by gzip or not. */
export interface DumpFiles {
    readonly works: string;
    readonly authors: string;
    /** Without it, works have neither years nor languages nor whatever else the service takes from their editions. */
    readonly editions?: string | undefined;
    readonly ratings?: string | undefined;
    readonly readingLog?: string | undefined;
}

export interface DumpOptions {
    /** Path of the landing file. Whoever calls holds its extraction lock. */
    readonly landing: string;
    /** Keys of subjects, each of which must have works. */
    readonly subjects: readonly string[];
    /** Whether all works land, whatever their subjects. Default: false */
    readonly all?: boolean;
    /** Whether a dump that is old, or has far fewer lines than the one before, lands all the same. Default: false */
    readonly force?: boolean;
    readonly progress: Progress;
    /** What DuckDB keeps in memory at most; some 370 MB more are in use beside. Default: 400MB; with 1GB it was no faster */
    readonly memoryLimit?: string;
    /** Ends the run; nothing lands. */
    readonly signal?: AbortSignal;
    /** Milliseconds to wait for a landing file that another process holds. Default: 600000 */
    readonly patience?: number;
}

/**
 * Works of a page, and documents of authors. DuckDB reads 2,048 pages at once: of a million works in pages of a thousand,
 * as the service has them, it took 750 MB to look into all, in pages of a hundred 385.
 */
const pageSize = 100;
/** Pages that are made by one statement: more take more memory, fewer more time. */
const pagesAtOnce = 500;

/**
 * Lands the works of some subjects, or all, from the files of a monthly dump, as one complete run whose pages have the
 * shape of the service's answers. All lands in one transaction; what is larger than memory waits in files beside.
 * @throws PipelineError when a file is cut, damaged, another than it should be, or old; then nothing has landed.
 */
export async function extractDump(files: DumpFiles, options: DumpOptions): Promise<Extraction> {
    const since = performance.now();
    const { landing, progress, memoryLimit = "400MB", signal } = options;
    const opened = {
        works: openDumpFile("works", files.works),
        authors: openDumpFile("authors", files.authors),
        editions: files.editions === undefined ? undefined : openDumpFile("editions", files.editions),
        ratings: files.ratings === undefined ? undefined : openDumpFile("ratings", files.ratings),
        readingLog: files.readingLog === undefined ? undefined : openDumpFile("reading_log", files.readingLog),
    };
    return withScratch(landing, { memoryLimit, ...(signal && { signal }) }, async (scratch) => {
        const dump = new Dump(scratch, opened, options);
        await dump.read();
        const run = await dump.land();
        const names = [...options.subjects, ...(options.all === true ? ["all"] : [])].join(" ");
        const seconds = duration((performance.now() - since) / 1000);
        const figures = `${count(run.works)} works and ${count(run.authors)} author documents`;
        progress.say(`${count(run.quarantined)} lines are quarantined`);
        return {
            runId: run.runId,
            status: "complete",
            isStopped: false,
            summary: `extract ${names}: complete: ${figures} from ${opened.works.name}, ${seconds}, run ${run.runId}`,
        };
    });
}

interface OpenedFiles {
    readonly works: DumpFile;
    readonly authors: DumpFile;
    readonly editions: DumpFile | undefined;
    readonly ratings: DumpFile | undefined;
    readonly readingLog: DumpFile | undefined;
}

interface LandedRun {
    readonly runId: string;
    readonly works: number;
    readonly authors: number;
    readonly quarantined: number;
}

const number = v.pipe(
    v.union([v.string(), v.number()]),
    v.transform((value) => Number(value)),
);
const total = v.object({ total: number });
const range = v.object({ from: number, to: number, first: v.string(), last: v.string() });

class Dump {
    readonly #scratch: Scratch;
    readonly #files: OpenedFiles;
    readonly #options: DumpOptions;
    readonly #wish: Wish;
    readonly #given: Given;
    readonly #accounts: (Account & { readonly readAt: string })[] = [];
    readonly #notes: string[] = [];
    readonly #startedAt = new Date().toISOString();

    constructor(scratch: Scratch, files: OpenedFiles, options: DumpOptions) {
        this.#scratch = scratch;
        this.#files = files;
        this.#options = options;
        this.#wish = { subjects: options.subjects, all: options.all ?? false };
        this.#given = {
            editions: files.editions !== undefined,
            ratings: files.ratings !== undefined,
            readingLog: files.readingLog !== undefined,
        };
    }

    /** Reads all files into the tables works, authors, credits, editions, ratings and reading_log. */
    async read(): Promise<void> {
        const { works, authors, editions, ratings, readingLog } = this.#files;
        const past = await findPast(this.#scratch, this.#options.landing, this.#landingOptions);
        await this.#scratch.run("create table misfits (source varchar, position bigint, reason varchar, body varchar)");
        await this.#readFile(works, past);
        await this.#scratch.run("create view works as from works_lines where is_wanted");
        if (editions !== undefined) await this.#readFile(editions, past);
        await this.#sortWorks();
        await this.#scratch.run("create table wanted_authors as select distinct unnest(authors) as key from works");
        await this.#readFile(authors, past);
        await this.#sortAuthors();
        if (ratings !== undefined) {
            await this.#readFile(ratings, past);
            await this.#countByWork(
                "ratings",
                [1, 2, 3, 4, 5].map((n): [string, string] => [`stars_${n}`, String(n)]),
            );
        }
        if (readingLog !== undefined) {
            await this.#readFile(readingLog, past);
            await this.#countByWork("reading_log", [
                ["want_to_read", "Want to Read"],
                ["currently_reading", "Currently Reading"],
                ["already_read", "Already Read"],
            ]);
        }
    }

    async #readFile(file: DumpFile, past: Past): Promise<void> {
        const { progress, force = false } = this.#options;
        progress.say(`reading ${file.name}`);
        const readAt = new Date().toISOString();
        const account = await readLines(this.#scratch, file, formOf[file.kind](this.#wish));
        for (const doubt of judge(account, past)) {
            if (!force) throw new PipelineError(`${file.path}  ${doubt}; --force lands it all the same`);
            this.#notes.push(`${file.name} ${doubt}`);
            progress.say(`${file.name} ${doubt}`);
        }
        this.#accounts.push({ ...account, readAt });
    }

    /** Works in the order of their keys, editions without a work among them, and the editions in the same order. */
    async #sortWorks(): Promise<void> {
        const orphans = this.#given.editions
            ? `union all
               select key, title, null, subjects, keys, authors, covers[1] from editions_lines where is_wanted and is_orphan`
            : "";
        await this.#scratch.run(`
            create table sorted_works as
            select row_number() over () as position, * from (
                select key, title, subtitle, subjects, keys, authors, cover from works_lines where is_wanted
                ${orphans}
                order by key
            )`);
        await this.#requireOnce(this.#files.works, "sorted_works");
        await this.#scratch.run("drop view works");
        await this.#scratch.run("alter table sorted_works rename to works");
        if (!this.#given.editions) return;
        await this.#scratch.run(`
            create table editions as
            select work, key, title, year, languages, isbns, publishers, pages, ia, covers
            from editions_lines
            where is_wanted
            order by work`);
        await this.#scratch.run("drop table editions_lines");
        await this.#requireOnce(this.#files.editions, "editions");
    }

    /** @throws PipelineError when rows of a table, which are of a file, have a key in common. */
    async #requireOnce(file: DumpFile | undefined, table: string): Promise<void> {
        const [repeated] = await this.#scratch.rows(
            v.object({ key: v.string(), keys: number }),
            `with repeated as (select key from ${table} group by key having count(*) > 1)
            select min(key) as key, count(*) as keys from repeated having count(*) > 0`,
        );
        if (repeated === undefined || file === undefined) return;
        const more = repeated.keys > 1 ? `, and ${count(repeated.keys - 1)} others` : "";
        const what = `has "/${file.kind}/${repeated.key}" more than once${more}: it is more than one dump`;
        throw new PipelineError(`${file.path}  ${what}`);
    }

    async #sortAuthors(): Promise<void> {
        await this.#scratch.run(`
            create table authors as
            select row_number() over () as position, * from (
                select key, name, document
                from authors_lines
                semi join wanted_authors using (key)
                where is_wanted
                order by key
            )`);
        await this.#scratch.run("drop table authors_lines");
        await this.#requireOnce(this.#files.authors, "authors");
        await this.#scratch.run(`
            create table credits as
            with roles as (
                select key as work, unnest(authors) as author, generate_subscripts(authors, 1) as position from works
            )
            select roles.work, roles.position, roles.author, authors.name
            from roles
            inner join authors on roles.author = authors.key
            order by roles.work`);
    }

    /** How often each value was given to a work, of works that have any. */
    async #countByWork(name: string, values: readonly (readonly [column: string, value: string])[]): Promise<void> {
        const columns = values.map(([column, value]) => `count(*) filter (value = ${literal(value)}) as ${column}`);
        await this.#scratch.run(`
            create table ${name} as
            select work, count(*) as ${name === "ratings" ? "ratings" : "readinglog"}, ${columns.join(", ")}
            from ${name}_lines
            where is_wanted
            group by work
            order by work`);
        await this.#scratch.run(`drop table ${name}_lines`);
    }

    /** Lands what was read as one run, in one transaction. */
    async land(): Promise<LandedRun> {
        const { landing, subjects } = this.#options;
        const works = (await this.#scratch.row(total, "select count(*) as total from works")).total;
        for (const subject of subjects) {
            if ((await this.#worksOf(subject)) > 0) continue;
            const text = `has no works of the subject "${subject}"`;
            throw new PipelineError(`${this.#files.works.path}  ${text}; nothing was landed`);
        }
        if (works === 0) throw new PipelineError(`${this.#files.works.path}  has no works that fit`);
        const authors = (await this.#scratch.row(total, "select count(*) as total from authors")).total;
        const quarantined = this.#accounts.reduce((sum, account) => sum + account.quarantined, 0);
        const runId = await this.#newRunId();
        const run = { runId, works, authors, quarantined };
        await this.#scratch.withLanding(landing, { ...this.#landingOptions, readOnly: false }, async () => {
            await this.#scratch.transaction(async () => {
                await createTables(this.#scratch.connection);
                const landed = await this.#landWorks(run);
                await this.#landAuthors(run);
                await this.#landAccounts(run, landed);
            });
        });
        return run;
    }

    async #newRunId(): Promise<string> {
        const { landing, subjects } = this.#options;
        const name = `${this.#startedAt.replace(/[-:]|\.\d+/g, "")}-${[...(subjects[0] ?? "all")].slice(0, 60).join("")}`;
        let runId = name;
        for (let n = 2; await hasRun(landing, runId, this.#landingOptions); n++) runId = `${name}-${n}`;
        return runId;
    }

    /** Returns how many rows of each other file are in the pages. */
    async #landWorks({ runId, works }: LandedRun): Promise<Record<string, number>> {
        const { name } = this.#files.works;
        const used: Record<string, number> = { editions: 0, ratings: 0, reading_log: 0 };
        const step = pageSize * pagesAtOnce;
        for (let from = 1; from <= works; from += step) {
            const part = await this.#scratch.row(
                range,
                `select min(position) as "from", max(position) as "to", min(key) as first, max(key) as last
                from works where position between ${from} and ${from + step - 1}`,
            );
            await this.#scratch.run(`
                insert into landing.openlibrary.search_pages by name
                with documents as (${documentsSql(part, this.#given)}),
                pages as (
                    select
                        (position - 1) // ${pageSize} as page,
                        count(*) as docs,
                        '{"numFound":${works},"start":' || (position - 1) // ${pageSize} * ${pageSize}
                            || ',"numFoundExact":true,"docs":[' || string_agg(document, ',' order by position) || ']}'
                            as body
                    from documents
                    group by (position - 1) // ${pageSize}
                )
                select
                    ${pageColumns(runId, name, this.#readAt("works"))},
                    null as subject,
                    ${works} as num_found,
                    docs
                from pages
                order by page`);
            for (const [table, rows] of [
                ["editions", "count(*)"],
                ["ratings", "sum(ratings)"],
                ["reading_log", "sum(readinglog)"],
            ] as const) {
                if (!this.#accounts.some(({ file }) => file.kind === table)) continue;
                const { total: more } = await this.#scratch.row(
                    total,
                    `select coalesce(${rows}, 0)::bigint as total from ${table}
                    where work between '${part.first}' and '${part.last}'
                        and work in (select key from works where position between ${part.from} and ${part.to})`,
                );
                used[table] = (used[table] ?? 0) + more;
            }
        }
        return used;
    }

    async #landAuthors({ runId, authors }: LandedRun): Promise<void> {
        const step = pageSize * pagesAtOnce;
        for (let from = 1; from <= authors; from += step) {
            await this.#scratch.run(`
                insert into landing.openlibrary.author_pages by name
                with pages as (
                    select
                        (position - 1) // ${pageSize} as page,
                        count(*) as documents,
                        '{"status":"ok","result":{'
                            || string_agg('"/authors/' || key || '":' || document, ',' order by position)
                            || '}}' as body
                    from authors
                    where position between ${from} and ${from + step - 1}
                    group by (position - 1) // ${pageSize}
                )
                select
                    ${pageColumns(runId, this.#files.authors.name, this.#readAt("authors"))},
                    'get_many' as route,
                    documents
                from pages
                order by page`);
        }
    }

    async #landAccounts(
        { runId, works, authors, quarantined }: LandedRun,
        used: Record<string, number>,
    ): Promise<void> {
        const wanted = (await this.#scratch.row(total, "select count(*) as total from wanted_authors")).total;
        const landed: Record<string, number> = { ...used, authors, works: await this.#landedWorkLines() };
        for (const { file, lines, quarantined: misfits, newest, readAt } of this.#accounts) {
            await this.#insert("dump_files", {
                run_id: runId,
                kind: file.kind,
                file_name: file.name,
                bytes: file.bytes,
                lines,
                rows_landed: landed[file.kind] ?? 0,
                rows_quarantined: misfits,
                last_modified: newest,
            });
            await this.#scratch.run(`
                insert into landing.openlibrary.quarantine by name
                select ${literal(runId)} as run_id, source, null as page_number, position, reason, body,
                    ${literal(readAt.replace("Z", ""))}::timestamp as fetched_at
                from misfits
                where source = '${file.kind}'
                order by position`);
        }
        const message = this.#notes.length === 0 ? null : this.#notes.join("; ");
        const found = new Map<string, number>(this.#wish.all ? [["*", works]] : []);
        for (const subject of this.#wish.subjects) found.set(subject, await this.#worksOf(subject));
        for (const [subject, num_found] of found) {
            const row = {
                run_id: runId,
                subject,
                status: "complete",
                message: null,
                num_found,
                works_landed: num_found,
            };
            await this.#insert("extract_subjects", row);
        }
        await this.#insert("extract_runs", {
            run_id: runId,
            source: "dump",
            base_url: null,
            status: "complete",
            message,
            max_works: null,
            works_landed: works,
            authors_wanted: wanted,
            authors_landed: authors,
            authors_reused: 0,
            pages_landed: Math.ceil(works / pageSize) + Math.ceil(authors / pageSize),
            rows_quarantined: quarantined,
            requests: 0,
            started_at: this.#startedAt.replace("Z", ""),
            ended_at: new Date().toISOString().replace("Z", ""),
        });
    }

    async #worksOf(subject: string): Promise<number> {
        const sql = `select count(*) as total from works where list_contains(keys, ${literal(subject)})`;
        return (await this.#scratch.row(total, sql)).total;
    }

    async #landedWorkLines(): Promise<number> {
        return (await this.#scratch.row(total, "select count(*) as total from works_lines where is_wanted")).total;
    }

    async #insert(table: string, row: Readonly<Record<string, string | number | null>>): Promise<void> {
        const values = Object.values(row).map((value) => {
            if (value === null) return "null";
            return typeof value === "number" ? String(value) : literal(value);
        });
        const columns = Object.keys(row).join(", ");
        await this.#scratch.run(`insert into landing.openlibrary.${table} (${columns}) values (${values.join(", ")})`);
    }

    #readAt(kind: string): string {
        return this.#accounts.find(({ file }) => file.kind === kind)?.readAt ?? this.#startedAt;
    }

    get #landingOptions(): LandingOptions {
        const { progress, signal, patience } = this.#options;
        return {
            say: (line) => progress.say(line),
            ...(signal && { signal }),
            ...(patience !== undefined && { patience }),
        };
    }
}

/** What pages of both tables have; sees `page`, from 0, and `body`. */
function pageColumns(runId: string, name: string, readAt: string): string {
    return `
        ${literal(runId)} as run_id,
        (page + 1)::integer as page_number,
        ${literal(`dump:${name}`)} as url,
        '{"offset":' || page * ${pageSize} || '}' as parameters,
        null as http_status,
        ${literal(readAt.replace("Z", ""))}::timestamp as fetched_at,
        sha256(body) as body_sha256,
        body`;
}
