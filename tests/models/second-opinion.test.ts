// The published marts against the same landing file read without SQL, row by row and column by column.
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type CatalogueRecord, readCatalogue } from "../../demo/catalogue-file.ts";
import { generate } from "../../demo/generator.ts";
import { suite } from "../suite.ts";
import { inWarehouse, type LandingRows, landingRows } from "../warehouse.ts";
import { agree } from "./agreement.ts";
import { aliasFile, isWork } from "./catalogues.ts";

const test = suite("models/second-opinion");

/** What an extraction of the demo's two subjects lands. */
async function demoLanding(): Promise<LandingRows> {
    const { works, documents } = readCatalogue([join(import.meta.dirname, "..", "..", "demo", "catalogue")]);
    return inWarehouse(async (warehouse) => {
        await warehouse.extract([...works, ...documents.values()], "science_fiction", "fantasy");
        return warehouse.landed();
    });
}

test("the demo catalogue's two subjects come to the same marts", async () => {
    await inWarehouse(async (warehouse) => {
        await warehouse.land(await demoLanding());
        await warehouse.build();
        const { dim_books, dim_authors, subject_summary } = await agree(warehouse);
        assert.is(dim_books?.length, 403);
        assert.ok(dim_authors?.some((row) => row.merged_author_keys === "OL990000087A"));
        assert.equal(subject_summary?.map(({ subject, works_total }) => `${subject} ${works_total}`).sort(), [
            "all 403",
            "fantasy 160",
            "science_fiction 277",
        ]);
    });
});

test("a generated catalogue comes to the same marts", async () => {
    await inWarehouse(async (warehouse) => {
        await warehouse.extract(generate({ works: 800, seed: 11 }), "science_fiction");
        await warehouse.build();
        const marts = await agree(warehouse);
        const statuses = new Set(marts.dim_books?.map((row) => row.year_status));
        assert.equal([...statuses].sort(), ["implausible", "missing", "ok", "outlier_dropped"]);
        const records = new Set(marts.dim_authors?.map((row) => row.record_status));
        assert.equal([...records].sort(), ["current", "deleted", "missing"]);
        assert.ok(marts.dim_authors?.some((row) => row.merged_author_keys !== null));
    });
});

/** The catalogue some time later: works are gone, came, and were edited, and so were author documents. */
function later(records: readonly CatalogueRecord[]): CatalogueRecord[] {
    return records.flatMap((record, n): CatalogueRecord[] => {
        if (n % 13 === 0) return [];
        if (!isWork(record)) {
            const isAuthor = record.type.key === "/type/author";
            return [n % 5 === 0 && isAuthor ? { ...record, name: `${String(record.name)} the Younger` } : record];
        }
        const { author_key, author_name, ...rest } = record;
        if (n % 11 === 0) return [rest];
        return [n % 3 === 0 ? { ...record, first_publish_year: 1999, edition_count: 77 } : record];
    });
}

test("two extractions of one subject come to the same marts, made of the newer", async () => {
    const all = [...generate({ works: 300, seed: 7 })];
    await inWarehouse(async (warehouse) => {
        await warehouse.extract(
            all.filter((record, n) => !isWork(record) || n % 6 > 0),
            "science_fiction",
        );
        await warehouse.extract(later(all), "science_fiction");
        await warehouse.build();
        const { dim_books, extract_coverage, work_changes } = await agree(warehouse);
        assert.equal(extract_coverage?.map((row) => row.is_current).sort(), [false, true]);
        const changes = new Set(work_changes?.map((row) => row.change));
        assert.equal([...changes].sort(), ["added", "authors", "editions", "gone", "year"]);
        assert.ok(dim_books?.some((row) => row.edition_count === 77));
    });
});

const credit = (...keys: string[]): object => ({ author_key: keys, author_name: keys.map((key) => `As ${key}`) });
const work = (key: string, fields: object = {}): object => ({ key: `/works/${key}`, title: `Of ${key}`, ...fields });
const author = (key: string): { key: string; type: object; name: string } => {
    return { key: `/authors/${key}`, type: { key: "/type/author" }, name: `Record ${key}` };
};
const merged = (key: string, into: string): { key: string; type: object; location: string } => {
    return { key: `/authors/${key}`, type: { key: "/type/redirect" }, location: `/authors/${into}` };
};

test("of complete, partial and failed extractions both choose the same", async () => {
    await inWarehouse(async (warehouse) => {
        const book = work("OL1W", { first_publish_year: 1990, ...credit("OL1A") });
        const changed = work("OL1W", { first_publish_year: 1970, ...credit("OL1A", "OL2A") });
        for (const [subject, startedAt, pages, standing] of [
            ["tides", "2023-03-01 10:00:00", [[book]], {}],
            ["tides", "2024-03-01 10:00:00", [[changed], [work("OL2W")]], { status: "partial", num_found: 9 }],
            ["moons", "2022-12-31 23:59:59", [[book, work("OL3W", { first_publish_year: 2023 })]], { num_found: 2 }],
            ["moons", "2023-01-01 00:00:00", [[changed, work("OL3W", { first_publish_year: 2025 })]], {}],
            ["stars", "2023-03-01 10:00:00", [[work("OL5W")]], { status: "partial", num_found: 9 }],
            ["stars", "2024-03-01 10:00:00", [[work("OL5W", credit("OL9A"))]], { status: "failed", num_found: 9 }],
            ["stars", "2025-03-01 10:00:00", [], { status: "failed", num_found: null }],
        ] as const) {
            const run = "status" in standing ? { status: standing.status } : {};
            const authors = [author("OL1A")];
            await warehouse.land(landingRows({ subject, startedAt, pages, run, standing, authors }));
        }
        await warehouse.build();
        const { extract_coverage = [], dim_books = [] } = await agree(warehouse);
        assert.equal(
            extract_coverage
                .filter((row) => row.is_current)
                .map((row) => row.run_id)
                .sort(),
            ["20230101T000000Z-moons", "20230301T100000Z-stars", "20230301T100000Z-tides"],
        );
        // The plausible years of 2023 end in 2024, and the book is as the newest current extraction has it.
        const years = Object.fromEntries(dim_books.map((row) => [row.work_key, row.publish_year]));
        assert.equal(years, { OL1W: 1990, OL3W: null, OL5W: null });
    });
});

test("merged records and aliases lead to the same authors", async () => {
    const pages = [
        [
            work("OL1W", { first_publish_year: 2001, ...credit("OL1A", "OL2A") }),
            work("OL2W", { first_publish_year: 2002, ...credit("OL3A") }),
            work("OL3W", { first_publish_year: 2002, ...credit("OL4A", "OL5A") }),
            work("OL4W", { first_publish_year: 2002, ...credit("OL6A") }),
            work("OL5W", { first_publish_year: 2003, ...credit("OL12A", "OL13A", "OL17A", "OL18A") }),
            work("OL6W", { first_publish_year: 2003, ...credit("OL20A", "OL22A", "OL20A") }),
            work("OL7W", { first_publish_year: 2003, author_key: ["OL21A", "OL21A"], author_name: [" "] }),
            work("OL8W", credit("OL30A")),
        ],
    ];
    const authors = [
        ...[merged("OL1A", "OL2A"), author("OL2A"), merged("OL3A", "OL3A"), merged("OL4A", "OL5A")],
        ...[merged("OL5A", "OL4A"), merged("OL6A", "OL404A")],
        ...[12, 13, 14, 15, 16].map((n) => merged(`OL${n}A`, `OL${n + 1}A`)),
        ...[author("OL17A"), merged("OL18A", "OL40A"), merged("OL40A", "OL41A"), merged("OL41A", "OL40A")],
        ...[merged("OL20A", "OL21A"), author("OL21A"), author("OL22A")],
        { key: "/authors/OL30A", type: { key: "/type/delete" } },
    ];
    const aliases = { OL21A: "OL22A", OL30A: "OL31A", OL99A: "OL2A" };
    const files = { "seeds/author_aliases.csv": () => aliasFile(aliases) };
    await inWarehouse(
        async (warehouse) => {
            await warehouse.land(landingRows({ subject: "x", startedAt: "2024-03-01 10:00:00", pages, authors }));
            await warehouse.build();
            const { dim_authors = [] } = await agree(warehouse, { aliases });
            assert.equal(
                dim_authors.map((row) => `${row.author_key} ${row.record_status} ${row.merged_author_keys}`).sort(),
                [
                    "OL17A current OL12A; OL13A; OL14A; OL15A; OL16A",
                    "OL18A merged null",
                    "OL22A current OL20A; OL21A",
                    "OL2A current OL1A",
                    "OL31A missing OL30A",
                    "OL3A merged null",
                    "OL404A missing OL6A",
                    "OL4A merged null",
                    "OL5A merged null",
                ],
            );
        },
        { files },
    );
});

const changedRules: readonly (readonly [file: string, from: string, to: string, difference: RegExp])[] = [
    ["pipeline.config.ts", "min_year: 1450", "min_year: 1900", /dim_books: OL\d+W: publish_year is \d+, expected 18/],
    ["models/intermediate/int_author_keys.sql", "steps.step < 5", "steps.step < 0", /dim_authors: unexpected row/],
    [
        "models/marts/dim_books.sql",
        "count(*) as author_count",
        "count(*) + 1 as author_count",
        /author_count is 2, expected 1/,
    ],
    ["models/marts/subject_summary.sql", "count(distinct credits.author_key)", "count(*)", /authors is \d+, expected/],
];

test("the comparison notices a changed rule", async () => {
    const rows = await demoLanding();
    for (const [file, from, to, difference] of changedRules) {
        await inWarehouse(
            async (warehouse) => {
                await warehouse.land(rows);
                await warehouse.build();
                const told = await agree(warehouse).then(
                    () => "nothing",
                    (error: unknown) => String(error),
                );
                assert.match(told, difference);
            },
            { files: { [file]: (text) => text.replace(from, to) } },
        );
    }
});

test.run();
