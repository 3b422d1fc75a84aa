// What must hold of any catalogue, however its pages come and whoever is merged with whom.
import * as assert from "uvu/assert";
import type { Work } from "../../demo/catalogue-file.ts";
import { fc } from "../random.ts";
import { suite } from "../suite.ts";
import { inWarehouse, type LandingRows, landingRows, type Warehouse } from "../warehouse.ts";
import { agree, type Published, same } from "./agreement.ts";
import { aliasFile, driftOf, pagesOf, snapshotOf } from "./catalogues.ts";

const test = suite("models/properties");

/** So many tries of a property, none of them shrunk: each is a whole build. @throws Error with its seed and its case. */
async function holds<T>(
    arbitrary: fc.Arbitrary<T>,
    numRuns: number,
    check: (value: T) => Promise<void>,
): Promise<void> {
    const outcome = await fc.check(fc.asyncProperty(arbitrary, check), { numRuns, endOnFailure: true });
    if (!outcome.failed) return;
    const replay = `seed ${outcome.seed}, ${fc.stringify(outcome.counterexample)}`;
    throw new Error(`${replay}\n${String(outcome.errorInstance)}`);
}

test("any catalogues, in pages of any size, in any year, come to the same marts", async () => {
    const extraction = fc.record({
        seed: fc.nat(1_000_000),
        works: fc.nat(120),
        pageSize: fc.integer({ min: 1, max: 50 }),
        overlap: fc.nat(3),
        year: fc.integer({ min: 1985, max: 2030 }),
    });
    // Several subjects at once: their works have the same keys, and differ.
    const subjects = fc.array(extraction, { minLength: 1, maxLength: 5 });
    await holds(subjects, 5, (extractions) =>
        inWarehouse(async (warehouse) => {
            for (const [i, { seed, works, pageSize, overlap, year }] of extractions.entries()) {
                const { docs, authors } = snapshotOf(works, seed);
                const pages = pagesOf(docs, pageSize, overlap);
                const startedAt = `${year}-12-31 23:59:59`;
                await warehouse.land(landingRows({ subject: `subject_${i}`, startedAt, pages, authors }));
            }
            await warehouse.build();
            const { bridge_subjects_books = [] } = await agree(warehouse);
            const inSubjects = bridge_subjects_books.filter((row) => row.subject !== "all");
            assert.is(
                inSubjects.length,
                extractions.reduce((sum, { works }) => sum + works, 0),
            );
        }),
    );
});

test("what changed between any runs is the same, built after each of them or once", async () => {
    const run = fc.record({
        seed: fc.nat(1_000_000),
        days: fc.integer({ min: 0, max: 90 }),
        status: fc.constantFrom("complete", "complete", "complete", "partial", "failed"),
        source: fc.constantFrom("api", "api", "api", "dump"),
    });
    const drifts = fc.record({
        catalogue: fc.nat(1_000_000),
        works: fc.integer({ min: 1, max: 60 }),
        runs: fc.array(run, { minLength: 3, maxLength: 4 }),
    });
    await holds(drifts, 3, async ({ catalogue, works, runs }) => {
        const standing = snapshotOf(works, catalogue);
        let at = Date.parse("2024-01-01T12:00:00Z");
        const landed = runs.map(({ seed, days, status, source }) => {
            at += days * 86_400_000 + 1_000;
            const startedAt = new Date(at).toISOString().slice(0, 19).replace("T", " ");
            const { docs, authors } = driftOf(standing, seed);
            const pages = pagesOf(docs, 20, 2);
            return landingRows({
                subject: "tides",
                startedAt,
                pages,
                authors,
                run: { status, source },
                standing: { status },
            });
        });
        await inWarehouse(async (afterEach) => {
            for (const rows of landed) {
                await afterEach.land(rows);
                await afterEach.build();
            }
            const marts = await agree(afterEach);
            await inWarehouse(async (once) => {
                for (const rows of landed) await once.land(rows);
                await once.build();
                same(await agree(once), marts);
            });
        });
    });
});

/** The marts without the columns and rows that count pages and tell places in a list. */
async function martsOf(warehouse: Warehouse): Promise<Published> {
    const { bridge_authors_books = [], extract_coverage = [], data_quality = [], ...marts } = await agree(warehouse);
    return {
        ...marts,
        bridge_authors_books: bridge_authors_books.map(({ author_position, ...row }) => row),
        extract_coverage: extract_coverage.map(({ rows_repeated, ...row }) => row),
        data_quality: data_quality.filter((row) => row.check_name !== "landing: work repeated on another page"),
    };
}

test("pages in another order, repeated pages and authors in another order change no mart", async () => {
    const { docs, authors } = snapshotOf(150, 5);
    const at = { subject: "science_fiction", startedAt: "2024-06-01 12:00:00", authors };
    const pages = pagesOf(docs, 15, 0);
    const rows = landingRows({ ...at, pages });
    const martsOfRows = (landing: LandingRows): Promise<Published> =>
        inWarehouse(async (warehouse) => {
            await warehouse.land(landing);
            await warehouse.build();
            return martsOf(warehouse);
        });
    const marts = await martsOfRows(rows);
    const count = pages.length;
    const numbers = Array.from({ length: count }, (_, i) => i);
    const cases = fc.record({
        order: fc.shuffledSubarray(numbers, { minLength: count, maxLength: count }),
        repeated: fc.subarray(numbers, { minLength: 1 }),
        turn: fc.nat(3),
    });
    await holds(cases, 3, async ({ order, repeated, turn }) => {
        const turned = landingRows({
            ...at,
            pages: pages.map((page) => page.map((doc) => turnAuthors(doc, turn))),
        });
        const search_pages = [...order, ...repeated].map((page, i) => ({
            ...turned.search_pages[page],
            page_number: i + 1,
        }));
        same(await martsOfRows({ ...rows, search_pages }), marts);
    });
});

/** The work with the lists of its authors' keys and names turned by so many places. */
function turnAuthors(doc: object, places: number): object {
    const { author_key = [], author_name = [] } = doc as Partial<Work>;
    if (author_key.length === 0) return doc;
    const turn = (list: readonly string[]): string[] => {
        const at = places % list.length;
        return [...list.slice(at), ...list.slice(0, at)];
    };
    return { ...doc, author_key: turn(author_key), author_name: turn(author_name) };
}

/** Pairs of keys to be merged, so that no key that stands for another is replaced itself. */
function aliasesOf(pairs: Iterable<readonly string[]>): Record<string, string> {
    const used = new Set<string>();
    const aliases: Record<string, string> = {};
    for (const [alias, canonical] of pairs) {
        if (alias === undefined || canonical === undefined || used.has(alias) || used.has(canonical)) continue;
        aliases[alias] = canonical;
        used.add(alias).add(canonical);
    }
    return aliases;
}

test("merging authors never raises a count above their distinct works", async () => {
    const { docs, authors } = snapshotOf(150, 9);
    const pages = pagesOf(docs, 40, 5);
    const rows = landingRows({ subject: "science_fiction", startedAt: "2024-06-01 12:00:00", pages, authors });
    const redirects = new Set(authors.filter((record) => "location" in record).map(({ key }) => key));
    const keysOf = ({ author_key = [] }: Work): string[] =>
        author_key.filter((key) => !redirects.has(`/authors/${key}`));
    // Those who share a book are merged first of all: there a book that counts twice would show.
    const together = docs.map(keysOf).filter((keys) => keys.length > 1);
    const keys = [...new Set(docs.flatMap(keysOf))];
    await holds(fc.shuffledSubarray(keys, { minLength: 20, maxLength: 60 }), 2, async (chosen) => {
        const aliases = aliasesOf([...together, ...pagesOf(chosen, 2, 0)]);
        const files = { "seeds/author_aliases.csv": () => aliasFile(aliases) };
        await inWarehouse(
            async (warehouse) => {
                await warehouse.land(rows);
                await warehouse.build();
                const { dim_authors = [], author_productivity = [] } = await agree(warehouse, { aliases });
                for (const { author_key, merged_author_keys } of dim_authors) {
                    const merged = new Set([author_key, ...String(merged_author_keys ?? "").split("; ")]);
                    const works = docs.filter((doc) => doc.author_key?.some((key) => merged.has(key)));
                    const counts = author_productivity.filter((row) => row.author_key === author_key);
                    assert.equal(
                        counts.map((row) => row.works_total),
                        [works.length, works.length],
                    );
                }
            },
            { files },
        );
    });
});

test.run();
