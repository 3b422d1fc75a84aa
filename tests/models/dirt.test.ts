// Pages that hold what they should not: what is sound on them still counts.
import * as assert from "uvu/assert";
import { suite } from "../suite.ts";
import { inWarehouse, landingRows, type Row, type Snapshot, type WarehouseOptions } from "../warehouse.ts";

const test = suite("models/dirt");

/** Rows of each query, of a warehouse that was built on these extractions. */
async function ask(
    snapshots: readonly Partial<Snapshot>[],
    queries: readonly string[],
    options: WarehouseOptions = {},
): Promise<Row[][]> {
    return inWarehouse(async (warehouse) => {
        for (const snapshot of snapshots) {
            await warehouse.land(
                landingRows({ subject: "tales", startedAt: "2024-06-01 12:00:00", pages: [], ...snapshot }),
            );
        }
        await warehouse.build();
        const answers: Row[][] = [];
        for (const query of queries) answers.push([...(await warehouse.rows(query))]);
        return answers;
    }, options);
}

const alias = { "seeds/author_aliases.csv": () => "author_key,canonical_author_key,note\nOL9A,OL1A,reviewed\n" };

test("keeps a page on which one letter is half of a surrogate pair", async () => {
    const pages = [
        [
            {
                key: "/works/OL1W",
                title: "Half \ud83d a letter, and a whole one: 🚀",
                author_key: ["OL1A"],
                author_name: ["A"],
            },
            {
                key: "/works/OL2W",
                title: String.raw`A backslash before \ud83d is text`,
                author_key: ["OL1A"],
                author_name: ["A"],
            },
        ],
    ];
    const authors = [
        { key: "/authors/OL1A", type: { key: "/type/author" }, name: "Ann \udc00 Other", birth_date: "1920" },
        { key: "/authors/OL2A", type: { key: "/type/author" }, name: "Ben", birth_date: "1930" },
    ];
    const [books, people] = await ask(
        [{ pages, authors }],
        [
            "select work_key, title from dim_books order by 1",
            "select author_name, birth_date, record_status from dim_authors",
        ],
    );
    assert.equal(books, [
        { work_key: "OL1W", title: "Half  a letter, and a whole one: 🚀" },
        { work_key: "OL2W", title: String.raw`A backslash before \ud83d is text` },
    ]);
    assert.equal(people, [{ author_name: "Ann  Other", birth_date: "1920", record_status: "current" }]);
});

test("leaves what has no work's key to the quarantine, and reads an author's key with or without its path", async () => {
    const pages = [
        [{ key: 7 }, {}, { key: "/works/OL1W", title: "T", author_key: ["/authors/OL2A"], author_name: ["B"] }],
    ];
    const standing = { num_found: 1, works_landed: 1 };
    const [books, people] = await ask(
        [{ pages, standing }],
        ["select work_key from dim_books", "select author_key from dim_authors"],
    );
    assert.equal(books, [{ work_key: "OL1W" }]);
    assert.equal(people, [{ author_key: "OL2A" }]);
});

test("follows the key that a reviewed alias names when that key has been merged since", async () => {
    const pages = [
        [
            { key: "/works/OL1W", title: "One", author_key: ["OL9A"], author_name: ["A"], first_publish_year: 2001 },
            { key: "/works/OL2W", title: "Two", author_key: ["OL1A"], author_name: ["A"], first_publish_year: 2002 },
        ],
    ];
    const authors = [{ key: "/authors/OL1A", type: { key: "/type/redirect" }, location: "/authors/OL5A" }];
    const queries = ["select author_key, works_total from author_productivity where subject = 'all'"];
    assert.equal(await ask([{ pages, authors }], queries, { files: alias }), [
        [{ author_key: "OL5A", works_total: 2 }],
    ]);
});

test("learns an author's name and record from current extractions only", async () => {
    const named = (name: string): Partial<Snapshot> => ({
        pages: [[{ key: "/works/OL1W", title: "T", author_key: ["OL1A"], author_name: [name] }]],
    });
    const record = { key: "/authors/OL1A", type: { key: "/type/author" }, name: "Aaron Mispelt" };
    const [people] = await ask(
        [
            { ...named("Aaron Mispelt"), startedAt: "2023-06-01 12:00:00", authors: [record] },
            { ...named("Zoe Right"), startedAt: "2024-06-01 12:00:00" },
        ],
        ["select author_name, record_status from dim_authors"],
    );
    assert.equal(people, [{ author_name: "Zoe Right", record_status: "missing" }]);
});

test("counts different ISBNs, and takes empty lists for not known", async () => {
    const isbn = ["978-1-4169-3249-9", "9781416932499", "BAD", ""];
    const pages = [[{ key: "/works/OL1W", title: "T", isbn, language: [] }]];
    const [books] = await ask([{ pages }], ["select isbn_count, languages from dim_books"]);
    assert.equal(books, [{ isbn_count: 1, languages: null }]);
});

test("tells Open Library's subject all from all subjects", async () => {
    const pages = [[{ key: "/works/OL1W", title: "T" }]];
    const [subjects] = await ask(
        [{ pages, subject: "all" }],
        ["select subject, works_total from subject_summary order by 1"],
    );
    assert.equal(subjects, [
        { subject: "all", works_total: 1 },
        { subject: "subject:all", works_total: 1 },
    ]);
});

test("says how many works are missing, and how many are not counted, apart", async () => {
    const pages = [["OL1W", "OL2W", "OL3W"].map((key) => ({ key: `/works/${key}`, title: key }))];
    const standing = { status: "partial", num_found: 1 };
    const [checks] = await ask(
        [{ pages, standing }],
        ["select check_name, affected from data_quality where check_name like 'landing: works%' order by 1"],
    );
    assert.equal(checks, [
        { check_name: "landing: works counted but not landed", affected: 0 },
        { check_name: "landing: works landed but not counted", affected: 2 },
    ]);
});

test("counts what an extraction put into quarantine: works with their subject, author documents with all", async () => {
    const half = "Half a letter \ud83d";
    const work = (n: number, title: string, ...subject: string[]) => ({
        ...{ key: `/works/OL${n}W`, title, subject, first_publish_year: 1990 },
        ...{ author_key: ["OL1A"], author_name: ["Ann"] },
    });
    await inWarehouse(async (warehouse) => {
        const authors = [{ key: "/authors/OL1A", type: { key: "/type/author" as const }, name: half }];
        const works = [work(1, half, "Tides"), work(2, "Whole", "Tides"), work(3, "Whole", "Moons")];
        await warehouse.extract([...works, ...authors], "tides", "moons");
        await warehouse.build();
        const { quarantine } = await warehouse.landed();
        assert.equal(quarantine.map((row) => [row.source, row.page_number, row.position, row.reason]).sort(), [
            ["author_pages", 1, 0, "it holds a lone surrogate, which is not text"],
            ["search_pages", 2, 0, "it holds a lone surrogate, which is not text"],
        ]);
        const sql =
            "select subject, affected from data_quality where check_name = 'landing: row quarantined' order by 1";
        assert.equal(await warehouse.rows(sql), [
            { subject: "moons", affected: 1 },
            { subject: "tides", affected: 2 },
        ]);
        assert.equal(await warehouse.rows("select distinct rows_quarantined from extract_coverage"), [
            { rows_quarantined: 2 },
        ]);
        assert.is((await warehouse.rows("from dim_books")).length, 3);
    });
});

test.run();
