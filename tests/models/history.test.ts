// What is kept of each run, and what changed between runs: whenever it is built, and whatever is pruned or lost.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { build } from "../../runner/build.ts";
import { clean } from "../../runner/commands/clean.ts";
import { verify } from "../../runner/commands/verify.ts";
import { makeDatabase } from "../runner/toy.ts";
import { suite } from "../suite.ts";
import { type Cell, inWarehouse, type LandingRows, landingRows, type Row, type Warehouse } from "../warehouse.ts";
import { agree } from "./agreement.ts";

const test = suite("models/history");

const work = (n: number, year: number, fields: object = {}): object => ({
    ...{ key: `/works/OL${n}W`, title: `Work ${n}`, first_publish_year: year, edition_count: 1 },
    ...{ author_key: ["OL1A"], author_name: ["First Author"], ...fields },
});
const author = (n: number, name: string): { key: string } & object => ({
    ...{ key: `/authors/OL${n}A`, type: { key: "/type/author" }, name },
});
const merged = (n: number, into: number): { key: string } & object => ({
    ...{ key: `/authors/OL${n}A`, type: { key: "/type/redirect" }, location: `/authors/OL${into}A` },
});
const second = { author_key: ["OL2A", "OL1A"], author_name: ["Second Author", "First Author"] };

/** Works come, go and come back; a year and a title are edited, readers come, and one author is merged into another. */
const runs: readonly LandingRows[] = [
    landingRows({
        subject: "tides",
        startedAt: "2024-01-01 12:00:00",
        pages: [
            [
                work(1, 1990, { want_to_read_count: 10, ratings_count: 2, ratings_average: 4 }),
                ...[work(2, 2000, second), work(3, 1970), work(4, 1980, { readinglog_count: 5 })],
            ],
        ],
        authors: [author(1, "First Author"), author(2, "Second Author")],
    }),
    landingRows({
        subject: "tides",
        startedAt: "2024-01-21 12:00:00",
        pages: [
            [
                work(1, 1990, { want_to_read_count: 25, ratings_count: 3, ratings_average: 3.5 }),
                ...[work(2, 1999, { ...second, title: "Work two" }), work(4, 1980, { readinglog_count: 5 })],
            ],
            [work(5, 2023), work(6, 2024)],
        ],
        authors: [author(1, "First Author"), author(2, "Second Author")],
    }),
    landingRows({
        subject: "tides",
        startedAt: "2024-03-01 12:00:00",
        pages: [
            [
                work(1, 1990, { want_to_read_count: 25, ratings_count: 3, ratings_average: 3.5 }),
                ...[work(2, 1999, { title: "Work two" }), work(3, 1970, { want_to_read_count: 4 })],
                ...[work(4, 1980, { readinglog_count: 4, edition_count: 2 }), work(5, 2023)],
            ],
        ],
        authors: [author(1, "First Author"), merged(2, 1)],
    }),
];
const [first, next, last] = ["20240101T120000Z-tides", "20240121T120000Z-tides", "20240301T120000Z-tides"];

const changeMarts = ["work_changes", "demand_change", "author_merges"] as const;

async function changesIn(warehouse: Warehouse): Promise<Record<string, Row[]>> {
    const rows: Record<string, Row[]> = {};
    for (const mart of changeMarts) rows[mart] = await warehouse.rows(`from ${mart} order by all`);
    return rows;
}

async function builtAfterEach(warehouse: Warehouse, rows: readonly LandingRows[] = runs): Promise<void> {
    for (const run of rows) {
        await warehouse.land(run);
        await warehouse.build();
    }
}

/** What pruning does: the landed rows of a run are gone. */
async function prune(warehouse: Warehouse, run: string | undefined): Promise<void> {
    const tables = ["extract_runs", "extract_subjects", "search_pages", "author_pages"];
    const sql = tables.map((table) => `delete from openlibrary.${table} where run_id = '${run}'`).join("; ");
    await makeDatabase(join(warehouse.folder, "data", "landing.duckdb"), sql);
}

const list = (rows: readonly Row[] | undefined, columns: string): Cell[][] =>
    (rows ?? []).map((row) => columns.split(" ").map((name) => row[name] ?? null));

test("tells what changed from run to run", async () => {
    await inWarehouse(async (warehouse) => {
        await builtAfterEach(warehouse);
        const { work_changes, demand_change, author_merges } = await agree(warehouse);
        const sorted = (rows: Cell[][]): Cell[][] => rows.sort((a, b) => (String(a) < String(b) ? -1 : 1));
        assert.equal(
            sorted(list(work_changes, "run_id previous_run_id work_key change value_before value_now title")),
            [
                [next, first, "OL2W", "title", "Work 2", "Work two", "Work two"],
                [next, first, "OL2W", "year", "2000", "1999", "Work two"],
                [next, first, "OL3W", "gone", null, null, "Work 3"],
                [next, first, "OL5W", "added", null, null, "Work 5"],
                [next, first, "OL6W", "added", null, null, "Work 6"],
                [last, next, "OL2W", "authors", "OL1A; OL2A", "OL1A", "Work two"],
                [last, next, "OL3W", "added", null, null, "Work 3"],
                [last, next, "OL4W", "editions", "1", "2", "Work 4"],
                [last, next, "OL6W", "gone", null, null, "Work 6"],
            ],
        );
        const wanted = "want_to_read_before want_to_read_now want_to_read_change want_to_read_change_per_30_days";
        const rated = "ratings_count_change ratings_average_before ratings_average_now";
        assert.equal(sorted(list(demand_change, `run_id work_key ${wanted} readinglog_change ${rated} days_between`)), [
            [next, "OL1W", 10, 25, 15, 22.5, 0, 1, 4, 3.5, 20],
            [last, "OL4W", 0, 0, 0, 0, -1, 0, null, null, 40],
        ]);
        const at = "known_since seen_at";
        assert.equal(list(author_merges, `author_key into_author_key run_id author_name into_author_name ${at}`), [
            ["OL2A", "OL1A", last, "Second Author", "First Author", "2024-01-01 12:00:00", "2024-03-01 12:00:00"],
        ]);
        // A work that stays as it was takes no room, and is known all the same.
        const states = await warehouse.rows("from work_history order by work_key, run_number");
        assert.equal(
            list(
                states.filter((row) => row.work_key === "OL3W"),
                "run_number is_gone",
            ),
            [
                [1, false],
                [2, true],
                [3, false],
            ],
        );
        assert.is(states.length, 4 + 5 + 4);
    });
});

test("comes to the same when it is built once, and when runs are pruned and the work file is lost", async () => {
    const once = await inWarehouse(async (warehouse) => {
        for (const run of runs) await warehouse.land(run);
        await warehouse.build();
        return changesIn(warehouse);
    });
    await inWarehouse(async (warehouse) => {
        await builtAfterEach(warehouse);
        assert.equal(await changesIn(warehouse), once);
        const output = { out: () => undefined, note: () => undefined };
        for (const run of [first, next]) {
            await prune(warehouse, run);
            await warehouse.build();
            assert.equal(await changesIn(warehouse), once, `${run} is pruned`);
            await clean({ projectDir: warehouse.folder });
            // Nothing is new, but the models of the lost file are made anew, and go on from what is published.
            await build("build", { projectDir: warehouse.folder }, output);
            assert.equal(await changesIn(warehouse), once, "the work file is lost");
        }
        assert.ok(await verify({ projectDir: warehouse.folder, limit: 5 }, output));
        // The next run is compared with the newest that was kept, pages or not.
        await prune(warehouse, last);
        const page = [work(1, 1990, { want_to_read_count: 26 }), work(7, 2024)];
        await warehouse.land(landingRows({ subject: "tides", startedAt: "2024-03-31 12:00:00", pages: [page] }));
        await warehouse.build();
        const news = (await changesIn(warehouse)).work_changes?.filter((row) => row.previous_run_id === last);
        assert.equal(list(news, "work_key change"), [
            ["OL2W", "gone"],
            ["OL3W", "gone"],
            ["OL4W", "gone"],
            ["OL5W", "gone"],
            ["OL7W", "added"],
        ]);
        const [moved] = await warehouse.rows(`from demand_change where previous_run_id = '${last}'`);
        assert.is(moved?.want_to_read_change_per_30_days, 1);
    });
});

test("has nothing to tell of one run", async () => {
    await inWarehouse(async (warehouse) => {
        await builtAfterEach(warehouse, runs.slice(0, 1));
        assert.equal(await changesIn(warehouse), { work_changes: [], demand_change: [], author_merges: [] });
        for (const mart of changeMarts) {
            const file = readFileSync(join(warehouse.folder, "data", "exports", `${mart}.csv`), "utf8");
            assert.match(file, /^[a-z_0-9,]+\n$/, mart);
        }
    });
});

test("compares complete runs of one source only", async () => {
    const standing = { subject: "tides", pages: [[work(9, 2001)]] };
    const others = [
        landingRows({
            ...standing,
            startedAt: "2024-01-10 12:00:00",
            run: { status: "partial" },
            standing: { status: "partial" },
        }),
        landingRows({ ...standing, startedAt: "2024-01-11 12:00:00", run: { status: "failed" } }),
        landingRows({ ...standing, startedAt: "2024-01-12 12:00:00", pages: [[]] }),
        landingRows({ ...standing, startedAt: "2024-01-13 12:00:00", run: { source: "dump", base_url: null } }),
    ];
    await inWarehouse(async (warehouse) => {
        await builtAfterEach(warehouse, [...runs.slice(0, 1), ...others, ...runs.slice(1)]);
        const pairs = await warehouse.rows("select distinct previous_run_id, run_id from work_changes order by all");
        assert.equal(list(pairs, "previous_run_id run_id"), [
            [first, next],
            [next, last],
        ]);
        await agree(warehouse);
    });
});

test("notices that a run was pruned before its works were kept, and goes on from what is published", async () => {
    await inWarehouse(async (warehouse) => {
        const options = { projectDir: warehouse.folder };
        const said: string[] = [];
        const output = { out: (line: string) => void said.push(line), note: () => undefined };
        const [one, two, three] = runs as [LandingRows, LandingRows, LandingRows];
        await builtAfterEach(warehouse, [one]);
        await warehouse.land(two);
        await build("run", { ...options, select: ["+run_history"] }, output);
        await prune(warehouse, next);
        await warehouse.land(three);
        assert.not((await build("build", options, output)).ok);
        assert.match(said.join("\n"), /FAIL +works_add_up_from_run_to_run/);
        rmSync(join(warehouse.folder, "data", "work.duckdb"));
        await warehouse.build();
        const pairs = await warehouse.rows("select distinct previous_run_id, run_id from work_changes");
        assert.equal(list(pairs, "previous_run_id run_id"), [[first, last]]);
    });
});

test.run();
