import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { DuckDBInstance } from "@duckdb/node-api";
import * as assert from "uvu/assert";
import { takeLock } from "../../common/lock.ts";
import { prune } from "../../extract/prune.ts";
import { createTables } from "../../extract/tables.ts";
import { suite } from "../suite.ts";
import { cleanUp, failsWith, runProgram, type Scene, setScene } from "./scene.ts";

const test = suite("prune");
test.after(cleanUp);

type Standing = "complete" | "partial" | "failed" | "empty";
interface LandedRun {
    readonly day: string;
    readonly status: "complete" | "partial" | "failed";
    readonly subjects: Readonly<Record<string, Standing>>;
    /** Pages of works, each with so many bytes that can't be packed. */
    readonly pages?: number;
    /** Days of runs whose page 1 of authors this run relies on. */
    readonly relies?: readonly string[];
}

const options = { say: () => {} };
const pageBytes = 20_000;

/** Writes a landing file with runs that are named after their day. */
async function land(landing: string, runs: readonly LandedRun[]): Promise<void> {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    await connection.run(`attach '${landing}' as landing (storage_version 'v1.2.0')`);
    await createTables(connection);
    await connection.run("use landing.openlibrary");
    for (const { day, status, subjects, pages = 1, relies = [] } of runs) {
        await connection.run(`insert into extract_runs (run_id, source, base_url, status, started_at)
            values ('${day}', 'api', 'http://x', '${status}', '${day}')`);
        for (const [subject, standing] of Object.entries(subjects)) {
            const [is, works] = standing === "empty" ? ["failed", 0] : [standing, 9];
            await connection.run(`insert into extract_subjects (run_id, subject, status, works_landed)
                values ('${day}', '${subject}', '${is}', ${works})`);
        }
        await connection.run(`insert into search_pages (run_id, page_number, docs, body)
            select '${day}', i, 100, (select string_agg(md5('${day}' || i || j), '') from range(${pageBytes / 32}) as k (j))
            from range(1, ${pages + 1}) as p (i)`);
        await connection.run(
            `insert into author_pages (run_id, page_number, body) values ('${day}', 1, '1'), ('${day}', 2, '2')`,
        );
        await connection.run(`insert into dump_files (run_id, kind) values ('${day}', 'works')`);
        await connection.run(`insert into quarantine (run_id, reason) values ('${day}', 'because')`);
        for (const other of relies) {
            await connection.run(
                `insert into reused_authors values ('${day}', '/authors/OL${relies.indexOf(other)}A', '${other}', 1)`,
            );
        }
    }
    connection.closeSync();
    instance.closeSync();
}

async function emptyScene(): Promise<Scene> {
    const scene = await setScene(4);
    await scene.extract();
    await prune(scene.landing, { ...options, keep: 1 });
    return scene;
}

async function runsOf(scene: Scene, table: string): Promise<unknown[]> {
    const rows = await scene.rows(`select distinct run_id from openlibrary.${table} where run_id < '2025' order by 1`);
    return rows.map(({ run_id }) => run_id);
}

function hashOf(path: string): string {
    return createHash("sha256").update(readFileSync(path)).digest("hex");
}

const story: readonly LandedRun[] = [
    { day: "2024-01-01", status: "complete", subjects: { tides: "complete", moons: "complete" } },
    { day: "2024-01-02", status: "complete", subjects: { tides: "complete" } },
    { day: "2024-01-03", status: "failed", subjects: { tides: "failed" } },
    { day: "2024-01-04", status: "partial", subjects: { tides: "complete", moons: "partial" } },
    { day: "2024-01-05", status: "failed", subjects: { moons: "failed", stars: "empty" } },
    { day: "2024-01-06", status: "partial", subjects: { tides: "partial" } },
    { day: "2024-01-07", status: "failed", subjects: { tides: "failed" } },
    { day: "2024-01-08", status: "partial", subjects: { stars: "partial" } },
    { day: "2024-01-09", status: "failed", subjects: { stars: "empty", moons: "complete" } },
];

for (const [keep, kept] of [
    // 04 is the newest complete one of tides, 07 can be resumed; 09 has moons complete; 08 is all there is of stars.
    [1, ["04", "07", "08", "09"]],
    [2, ["01", "02", "04", "05", "07", "08", "09"].filter((day) => day !== "05")],
    [3, ["01", "02", "04", "05", "07", "08", "09"]],
    [9, ["01", "02", "03", "04", "05", "06", "07", "08", "09"]],
] as const) {
    test(`keeps the newest ${keep} of each subject, complete ones first, and failed ones that are newer`, async () => {
        const scene = await setScene(1);
        await scene.extract();
        await land(scene.landing, story);
        const { runs } = await prune(scene.landing, { ...options, keep });
        const days = kept.map((day) => `2024-01-${day}`);
        for (const table of [
            "extract_runs",
            "extract_subjects",
            "search_pages",
            "author_pages",
            "quarantine",
            "dump_files",
        ]) {
            assert.equal(await runsOf(scene, table), days, table);
        }
        assert.equal(
            runs,
            story.map(({ day }) => day).filter((day) => !days.includes(day)),
        );
    });
}

test("leaves the pages that runs rely on, with the row of their run, until nobody does", async () => {
    const scene = await emptyScene();
    await land(scene.landing, [
        { day: "2024-01-01", status: "complete", subjects: { tides: "complete" } },
        { day: "2024-01-02", status: "complete", subjects: { tides: "complete" }, relies: ["2024-01-01"] },
        {
            day: "2024-01-03",
            status: "complete",
            subjects: { moons: "complete" },
            relies: ["2024-01-01", "2024-01-02"],
        },
        { day: "2024-01-04", status: "complete", subjects: { moons: "complete" } },
    ]);
    const first = await prune(scene.landing, { ...options, keep: 1 });
    assert.equal(first.runs, ["2024-01-01", "2024-01-03"]);
    assert.equal(await runsOf(scene, "extract_runs"), ["2024-01-01", "2024-01-02", "2024-01-04"]);
    for (const table of ["extract_subjects", "search_pages", "quarantine", "dump_files"]) {
        assert.equal(await runsOf(scene, table), ["2024-01-02", "2024-01-04"], table);
    }
    const left = "select page_number from openlibrary.author_pages where run_id = '2024-01-01'";
    assert.equal(await scene.rows(left), [{ page_number: 1 }]);
    assert.equal((await prune(scene.landing, { ...options, keep: 1 })).runs, []);
    await land(scene.landing, [{ day: "2024-01-05", status: "complete", subjects: { tides: "complete" } }]);
    assert.equal((await prune(scene.landing, { ...options, keep: 1 })).runs, ["2024-01-01", "2024-01-02"]);
    assert.equal(await runsOf(scene, "author_pages"), ["2024-01-04", "2024-01-05"]);
});

test("gives the room on the disk back, and changes nothing else", async () => {
    const scene = await emptyScene();
    const tides = { status: "complete", subjects: { tides: "complete" }, pages: 100 } as const;
    await land(scene.landing, [
        { day: "2024-01-01", ...tides },
        { day: "2024-01-02", ...tides },
        { day: "2024-01-03", ...tides },
    ]);
    const before = statSync(scene.landing).size;
    const sql =
        "select md5(string_agg(p::varchar, '' order by page_number)) as sum from openlibrary.search_pages as p where run_id = '2024-01-03'";
    const content = await scene.rows(sql);
    const dry = await scene.cli("prune", "--keep", "1", "--dry-run").ended;
    assert.is(dry.code, 0);
    assert.match(
        dry.out,
        /^2024-01-01\n2024-01-02\nextract prune: would drop 2 runs and 204 pages, and give about \d\.\d MB back\n$/,
    );
    assert.is(statSync(scene.landing).size, before);
    const { code, out } = await scene.cli("prune", "--keep", "1").ended;
    assert.is(code, 0);
    assert.match(
        out,
        /^2024-01-01\n2024-01-02\nextract prune: dropped 2 runs and 204 pages, gave \d\.\d MB back; \d\.\d MB are left\n$/,
    );
    assert.ok(statSync(scene.landing).size < before * 0.6, `${statSync(scene.landing).size} of ${before} bytes`);
    assert.equal(await scene.rows(sql), content);
    const comments = "select count(*) as n from duckdb_columns() where schema_name = 'openlibrary' and comment is null";
    assert.equal(await scene.rows(comments), [{ n: "0" }]);
    assert.equal(readdirSync(join(scene.landing, "..")).sort(), ["landing.duckdb", "landing.duckdb.spool"]);
    assert.is((await scene.cli("prune", "--keep", "1").ended).out, "extract prune: there is nothing to drop\n");
    // The file goes on to be a landing file.
    assert.is((await scene.extract()).status, "complete");
});

test("does not disturb a build that has the old file open", async () => {
    const scene = await emptyScene();
    const moons = { status: "complete", subjects: { moons: "complete" }, pages: 50 } as const;
    await land(scene.landing, [
        { day: "2024-01-01", ...moons },
        { day: "2024-01-02", ...moons },
    ]);
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    await connection.run(`attach '${scene.landing}' as landing (read_only)`);
    assert.is((await scene.cli("prune", "--keep", "1").ended).code, 0);
    const sql =
        "select run_id, count(distinct md5(body)) as n from landing.openlibrary.search_pages where run_id < '2025' group by all order by all";
    const old = (await connection.runAndReadAll(sql)).getRowObjectsJson();
    assert.equal(old, [
        { run_id: "2024-01-01", n: "50" },
        { run_id: "2024-01-02", n: "50" },
    ]);
    connection.closeSync();
    instance.closeSync();
    assert.equal(await runsOf(scene, "search_pages"), ["2024-01-02"]);
});

test("leaves the old file when it is killed, at any moment, and can be started again", async () => {
    const scene = await emptyScene();
    const moons = { status: "complete", subjects: { moons: "complete" }, pages: 400 } as const;
    await land(scene.landing, [
        { day: "2024-01-01", ...moons },
        { day: "2024-01-02", ...moons },
    ]);
    const old = hashOf(scene.landing);
    let among = 0;
    // As soon as the new file is there, and some moments later.
    for (const delay of [0, 5, 20, 60, 100]) {
        const victim = scene.cli("prune", "--keep", "1");
        let over = false;
        victim.process.once("exit", () => {
            over = true;
        });
        while (!existsSync(`${scene.landing}.new`) && !over) await wait(1);
        await wait(delay);
        victim.process.kill("SIGKILL");
        await victim.ended;
        if (existsSync(`${scene.landing}.new`)) among++;
        else if (hashOf(scene.landing) !== old) break;
        assert.is(hashOf(scene.landing), old);
        assert.not(existsSync(`${scene.landing}.wal`));
    }
    assert.ok(among > 0, "no kill came while the new file was written");
    assert.is((await scene.cli("prune", "--keep", "1").ended).code, 0);
    assert.equal(await runsOf(scene, "search_pages"), ["2024-01-02"]);
    assert.equal(readdirSync(join(scene.landing, "..")).sort(), ["landing.duckdb", "landing.duckdb.spool"]);
});

test("says in one sentence that there is no room for the new file, and leaves the old one", async () => {
    const scene = await emptyScene();
    const moons = { status: "complete", subjects: { moons: "complete" }, pages: 200 } as const;
    await land(scene.landing, [
        { day: "2024-01-01", ...moons },
        { day: "2024-01-02", ...moons },
    ]);
    const old = hashOf(scene.landing);
    // The shell's limit for a file's size, of 1,000 blocks of 512 bytes, is as good as a full disk.
    const script = 'trap "" XFSZ; ulimit -f 1000; exec "$0" "$@"';
    const folder = join(scene.landing, "..", "..");
    const node = [process.execPath, "--import", "tsx", "extract/cli.ts"];
    const limited = runProgram("sh", "-c", script, ...node, "prune", "--keep", "1", "--project-dir", folder);
    const { code, out, err } = await limited.ended;
    assert.equal([code, out], [1, ""]);
    assert.match(
        err,
        /^\S+landing\.duckdb\.new can't be written: File too large\. \S+landing\.duckdb is as it was\.\n$/,
    );
    assert.is(hashOf(scene.landing), old);
    assert.equal(readdirSync(join(scene.landing, "..")).sort(), ["landing.duckdb", "landing.duckdb.spool"]);
});

test("does not start beside an extraction, or without a landing file", async () => {
    const scene = await setScene(1);
    const nothing = await scene.cli("prune", "--keep", "1").ended;
    assert.equal([nothing.code, nothing.err], [1, `there is no landing file ${scene.landing} to prune\n`]);
    await scene.extract();
    const unlock = takeLock(`${scene.landing}.extract.lock`, "extract tides");
    const { code, err } = await scene.cli("prune", "--keep", "1").ended;
    unlock();
    assert.is(code, 1);
    assert.match(err, /^"extract tides" is already running \(process \d+, /);
});

test("refuses a landing file with a table that would be lost", async () => {
    const scene = await setScene(1);
    await scene.extract();
    const instance = await DuckDBInstance.create(scene.landing);
    const connection = await instance.connect();
    await connection.run("create table openlibrary.notes as select 1 as one");
    connection.closeSync();
    instance.closeSync();
    await failsWith(prune(scene.landing, { ...options, keep: 1 }), /has a table "notes" that is not the extractor's/);
});

test.run();
