// The same books through the service and through the monthly files: the marts must not tell which way they came.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { gzipSync } from "node:zlib";
import type { AuthorDocument, CatalogueRecord, Work } from "../../demo/catalogue-file.ts";
import { generate } from "../../demo/generator.ts";
import { extractDump } from "../../extract/dumps/extract-dump.ts";
import { Progress } from "../../extract/progress.ts";
import { publishedMarts, same } from "../models/agreement.ts";
import { suite } from "../suite.ts";
import { inWarehouse, type Row } from "../warehouse.ts";

const test = suite("extract/dumps-marts");

/** What of a work's fields both ways know. */
const known = [
    ...["key", "title", "subject", "author_key", "author_name", "edition_count", "first_publish_year", "publish_year"],
    ...["language", "isbn", "publisher", "number_of_pages_median", "cover_i", "cover_edition_key"],
    ...["ratings_average", "ratings_count", "ratings_count_1", "ratings_count_2", "ratings_count_3", "ratings_count_4"],
    ...["ratings_count_5", "readinglog_count", "want_to_read_count", "currently_reading_count", "already_read_count"],
];

function isWork(record: CatalogueRecord): record is Work {
    return record.key.startsWith("/works/");
}

/** The works of a made-up catalogue without what a dump can't say, and the documents of the authors that are not merged. */
function sharedCatalogue(): { works: Work[]; authors: AuthorDocument[] } {
    const records = [...generate({ works: 400, seed: 7 })];
    const authors = records.filter(
        (record): record is AuthorDocument => !isWork(record) && record.type.key === "/type/author",
    );
    const names = new Map(authors.map((author) => [author.key.replace("/authors/", ""), String(author.name ?? "")]));
    const works = records.filter(isWork).map((record): Work => {
        const credited = (record.author_key ?? []).filter((key) => names.has(key));
        const isOrphan = record.key.endsWith("M");
        const cover = isOrphan && record.cover_i !== undefined ? { cover_edition_key: record.key.split("/")[2] } : {};
        // Readers rate and shelve works, not editions that stand in for one.
        const fields = Object.fromEntries(
            Object.entries(record).filter(
                ([name]) => known.includes(name) && !(isOrphan && /^(ratings|.*_count$)/.test(name)),
            ),
        );
        const { cover_edition_key, author_key, author_name, ...rest } = {
            ...fields,
            key: record.key,
            title: record.title,
        } as Work;
        const authorFields = { author_key: credited, author_name: credited.map((key) => names.get(key) ?? "") };
        return {
            ...rest,
            ...cover,
            ...(credited.length === 0 ? {} : authorFields),
            ...(isOrphan ? { edition_count: 1 } : {}),
        } as Work;
    });
    return { works, authors };
}

/** The lines of the dump that the service would have computed these works from, by the names of the files. */
function dumpOf(works: readonly Work[], authors: readonly AuthorDocument[]): Record<string, string[]> {
    const lines: Record<string, string[]> = { works: [], authors: [], editions: [], ratings: [], readingLog: [] };
    const add = (file: string, type: string, document: { key: string }): void => {
        const date = new Date(Date.now() - 3_600_000).toISOString().replace("Z", "");
        const json = JSON.stringify({ ...document, type: { key: type } });
        lines[file]?.push([type, document.key, "1", date, json].join("\t"));
    };
    for (const author of authors) add("authors", "/type/author", author);
    let lastEdition = 0;
    for (const work of works) {
        const title = work.title === "__None__" ? undefined : work.title;
        const isOrphan = work.key.endsWith("M");
        const keys = (work.author_key ?? []).map((key) => ({ key: `/authors/${key}` }));
        const covers = work.cover_i === undefined ? undefined : [work.cover_i];
        const roles = keys.map((author) => ({ type: "/type/author_role", author }));
        if (!isOrphan)
            add("works", "/type/work", { key: work.key, ...{ title, subjects: work.subject, covers, authors: roles } });
        const years = work.publish_year ?? [];
        for (let n = 0; n < (work.edition_count ?? 0); n++) {
            const year = years[n % Math.max(1, years.length)];
            const first = {
                languages: work.language?.map((code) => ({ key: `/languages/${code}` })),
                isbn_13: work.isbn,
                publishers: work.publisher,
                number_of_pages: work.number_of_pages_median,
            };
            const orphan = {
                key: work.key.replace("works", "books"),
                title,
                subjects: work.subject,
                covers,
                authors: keys,
            };
            const own = { key: `/books/OL${++lastEdition}M`, works: [{ key: work.key }] };
            const date = year === undefined ? "n.d." : `May ${n + 1}, ${String(year).padStart(4, "0")}`;
            add("editions", "/type/edition", {
                ...(isOrphan ? orphan : own),
                ...(n === 0 ? first : {}),
                ...{ publish_date: date },
            });
        }
        const give = (file: string, value: string, times: unknown): void => {
            for (let n = 0; n < Number(times ?? 0); n++) lines[file]?.push(`${work.key}\t\\N\t${value}\t2025-01-01`);
        };
        for (const stars of [1, 2, 3, 4, 5]) give("ratings", String(stars), work[`ratings_count_${stars}`]);
        give("readingLog", "Want to Read", work.want_to_read_count);
        give("readingLog", "Currently Reading", work.currently_reading_count);
        give("readingLog", "Already Read", work.already_read_count);
    }
    return lines;
}

/** Where and when a row was landed is another matter. */
function withoutOrigin(rows: readonly Row[]): Row[] {
    const origin = /^(run_id|page_url|fetched_at|built_at|.*_at)$/;
    return rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !origin.test(name))));
}

/** They tell of runs, not of books: where those came from, and what changed between two of one source. */
const aboutRuns = new Set([
    ...["extract_coverage", "run_history", "work_history", "author_history"],
    ...["work_changes", "demand_change", "author_merges"],
]);

test("gives the same marts from a dump as from the service", async () => {
    const { works, authors } = sharedCatalogue();
    const subjects = ["science_fiction", "fiction_general"];
    const marts = [];
    for (const way of ["service", "dump"]) {
        marts.push(
            await inWarehouse(async (warehouse) => {
                if (way === "service") await warehouse.extract([...works, ...authors], ...subjects);
                else {
                    const paths = Object.entries(dumpOf(works, authors)).map(([name, lines]) => {
                        const path = join(warehouse.folder, `${name}.txt.gz`);
                        writeFileSync(path, gzipSync(lines.map((line) => `${line}\n`).join("")));
                        return [name, path];
                    });
                    const progress = new Progress(new Writable({ write: (_chunk, _encoding, done) => done() }));
                    const landing = join(warehouse.folder, "data", "landing.duckdb");
                    await extractDump(Object.fromEntries(paths), { landing, subjects, progress });
                }
                await warehouse.build();
                const published = Object.entries(await publishedMarts(warehouse)).filter(
                    ([name]) => !aboutRuns.has(name),
                );
                return Object.fromEntries(published.map(([name, rows]) => [name, withoutOrigin(rows)]));
            }),
        );
    }
    const [fromService = {}, fromDump = {}] = marts;
    for (const [name, rows] of Object.entries(fromService)) if (rows.length === 0) throw new Error(`${name} is empty`);
    same(fromDump, fromService);
});

test.run();
