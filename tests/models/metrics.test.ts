// The worked examples of the metrics' definitions, on the real models.
import * as assert from "uvu/assert";
import { suite } from "../suite.ts";
import { type Cell, inWarehouse, landingRows, type Row, type Warehouse, type WarehouseOptions } from "../warehouse.ts";

const test = suite("models/metrics");

/** A document of /search.json. */
function work(key: string, year: number | null, authors: readonly string[], editionYears?: readonly number[]): object {
    return {
        key: `/works/${key}`,
        title: `Title of ${key}`,
        ...(authors.length > 0 && { author_key: authors, author_name: authors.map((author) => `Name of ${author}`) }),
        ...(year !== null && { first_publish_year: year }),
        ...(editionYears && { publish_year: editionYears }),
    };
}

/** What `ask` learns of the warehouse of one extraction in 2024 that landed these pages. */
async function ofPages<T>(
    pages: readonly (readonly object[])[],
    ask: (warehouse: Warehouse) => Promise<T>,
    options: WarehouseOptions = {},
): Promise<T> {
    return inWarehouse(async (warehouse) => {
        await warehouse.land(landingRows({ subject: "tales", startedAt: "2024-06-01 12:00:00", pages }));
        await warehouse.build();
        return ask(warehouse);
    }, options);
}

/** Rows as lists in the order of `columns`, sorted by them. */
function table(rows: readonly Row[], columns: string): Cell[][] {
    const names = columns.split(" ");
    return rows.map((row) => names.map((name) => row[name] ?? null)).sort((a, b) => (String(a) < String(b) ? -1 : 1));
}

const t1 = [
    [work("W1", 2000, ["A1"]), work("W2", 2000, ["A1", "A2"])],
    [work("W2", 2000, ["A1", "A2"]), work("W3", 2003, ["A1"]), work("W4", null, ["A1"]), work("W5", 2003, ["A2"])],
    [work("W6", 8858, ["A2"]), work("W7", 2010, []), work("W8", 2005, ["A3", "A3"]), work("W9", 1200, ["A4"])],
];

test("T1: counts books by author and year, and averages them over active years and over the span", async () => {
    await ofPages(t1, async (warehouse) => {
        for (const subject of ["tales", "all"]) {
            const authorYears = await warehouse.rows(`from fct_author_year where subject = '${subject}'`);
            assert.equal(table(authorYears, "author_key publish_year works works_fractional"), [
                ["A1", 2000, 2, 1.5],
                ["A1", 2003, 1, 1],
                ["A2", 2000, 1, 0.5],
                ["A2", 2003, 1, 1],
                ["A3", 2005, 1, 1],
            ]);
            const authors = await warehouse.rows(`from author_productivity where subject = '${subject}'`);
            const counts = "author_key works_total works_dated works_unknown_year active_years";
            const span = "first_year last_year span_years";
            const averages = "works_fractional avg_books_per_active_year avg_books_per_span_year";
            assert.equal(table(authors, `${counts} ${span} ${averages}`), [
                ["A1", 4, 3, 1, 2, 2000, 2003, 4, 2.5, 1.5, 0.75],
                ["A2", 3, 2, 1, 2, 2000, 2003, 4, 1.5, 1, 0.5],
                ["A3", 1, 1, 0, 1, 2005, 2005, 1, 1, 1, 1],
                ["A4", 1, 0, 1, 0, null, null, null, 0, null, null],
            ]);
            const [summary] = await warehouse.rows(`from subject_summary where subject = '${subject}'`);
            assert.is(summary?.credits_dated, 6);
            assert.is(summary?.author_years, 5);
            assert.is(summary?.avg_books_per_author_year, 1.2);
            const [sum] = await warehouse.rows(
                `select sum(works_fractional) as works from fct_author_year where subject = '${subject}'`,
            );
            assert.is(sum?.works, 5);
        }
        const books = await warehouse.rows("from dim_books");
        assert.equal(table(books, "work_key publish_year year_status author_count"), [
            ["W1", 2000, "ok", 1],
            ["W2", 2000, "ok", 2],
            ["W3", 2003, "ok", 1],
            ["W4", null, "missing", 1],
            ["W5", 2003, "ok", 1],
            ["W6", null, "implausible", 1],
            ["W7", 2010, "ok", 0],
            ["W8", 2005, "ok", 1],
            ["W9", null, "implausible", 1],
        ]);
    });
});

const late = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const t2 = [
    work("a", 1932, ["A1"], [1932, 1946, 1958, 1998, 2006]),
    work("b", 1800, ["A1"], [1800, 1932, 1946, 1958, 1998, 2006]),
    work("c", 1900, ["A1"], [1900, ...late(1998, 2023)]),
    work("d", 1390, ["A1"], [1390]),
    work("e", 8858, ["A1"], [8858]),
    work("f", 1990, ["A1"], [1990, 8858]),
    work("g", 1635, ["A1"], [1635, 1970]),
    work("h", null, ["A1"], []),
    work("i", 1390, ["A1"], [1390, 1970, 1974, 1981, 1988, 1993]),
    work("j", 2025, ["A1"], [2025]),
    work("k", 2026, ["A1"], [2026]),
    work("l", 1999, ["A1"]),
];
// What else the rule says: where its limits are, and that the order and the repetition of edition years do not matter.
const limits = [
    work("m", 1900, ["A1"], [1900, 1940, 1950, 1960, 1970]),
    work("n", 1900, ["A1"], [1900, 1941, 1950, 1960, 1970]),
    work("o", 1900, ["A1"], [1900, 1941, 1950, 1960]),
    work("p", 1450, ["A1"], [1450]),
    work("q", 1449, ["A1"], [1449]),
    work("r", null, ["A1"], [1449, 1960]),
    work("s", 1800, ["A1"], [2006, 1932, 1932, 1800, 1946, 1998, 1958, 1800]),
    work("t", 1635, ["A1"], [1970, 1970, 1970, 1970, 1970, 1635]),
];
const years = async (warehouse: Warehouse): Promise<Cell[][]> =>
    table(await warehouse.rows("from dim_books"), "work_key publish_year_raw publish_year year_status");

test("T2: takes the first plausible year, or the second where the first stands apart", async () => {
    assert.equal(await ofPages([t2, limits], years), [
        ["a", 1932, 1932, "ok"],
        ["b", 1800, 1932, "outlier_dropped"],
        ["c", 1900, 1998, "outlier_dropped"],
        ["d", 1390, null, "implausible"],
        ["e", 8858, null, "implausible"],
        ["f", 1990, 1990, "ok"],
        ["g", 1635, 1635, "ok"],
        ["h", null, null, "missing"],
        ["i", 1390, 1970, "implausible_dropped"],
        ["j", 2025, 2025, "ok"],
        ["k", 2026, null, "implausible"],
        ["l", 1999, 1999, "ok"],
        ["m", 1900, 1900, "ok"],
        ["n", 1900, 1941, "outlier_dropped"],
        ["o", 1900, 1900, "ok"],
        ["p", 1450, 1450, "ok"],
        ["q", 1449, null, "implausible"],
        ["r", null, 1960, "ok"],
        ["s", 1800, 1932, "outlier_dropped"],
        ["t", 1635, 1635, "ok"],
    ]);
});

test("T2: the rule of the outlier can be turned off", async () => {
    const files = {
        "pipeline.config.ts": (text: string) => text.replace("year_outlier_rule: true", "year_outlier_rule: false"),
    };
    const rows = await ofPages([t2], years, { files });
    assert.equal(
        rows.filter(([key]) => key === "b" || key === "c" || key === "i"),
        [
            ["b", 1800, 1800, "ok"],
            ["c", 1900, 1900, "ok"],
            ["i", 1390, 1970, "implausible_dropped"],
        ],
    );
});

const t7 = [work("W10", 2001, ["A1", "A9"]), work("W11", 2001, ["A9"])];
const authorYears = async (warehouse: Warehouse): Promise<Cell[][]> =>
    table(
        await warehouse.rows("from fct_author_year where subject = 'tales'"),
        "author_key publish_year works works_fractional",
    );

test("T7: without an alias two keys are two authors", async () => {
    assert.equal(await ofPages([t7], authorYears), [
        ["A1", 2001, 1, 0.5],
        ["A9", 2001, 2, 1.5],
    ]);
});

test("T7: a reviewed alias makes them one, and a book with both keys counts once", async () => {
    const files = { "seeds/author_aliases.csv": () => "author_key,canonical_author_key,note\nA9,A1,one person\n" };
    await ofPages(
        [t7],
        async (warehouse) => {
            assert.equal(await authorYears(warehouse), [["A1", 2001, 2, 2]]);
            const credits = await warehouse.rows("from bridge_authors_books");
            assert.equal(table(credits, "work_key author_key author_count credit_share"), [
                ["W10", "A1", 1, 1],
                ["W11", "A1", 1, 1],
            ]);
            const authors = await warehouse.rows("from dim_authors");
            assert.equal(table(authors, "author_key merged_author_keys"), [["A1", "A9"]]);
        },
        { files },
    );
});

test.run();
