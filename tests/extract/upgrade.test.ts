import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { DuckDBInstance } from "@duckdb/node-api";
import * as assert from "uvu/assert";
import { prune } from "../../extract/prune.ts";
import { suite } from "../suite.ts";
import { holdOpen } from "./hold-open.ts";
import { cleanUp, contentOf, failsWith, json, query, type Scene, setScene } from "./scene.ts";

const test = suite("upgrade");
test.after(cleanUp);

// The tables as version 0.1 made them.
const page = "url varchar, parameters varchar, http_status integer, fetched_at timestamp";
const oldTables = {
    extract_runs: `run_id varchar, subject varchar, base_url varchar, status varchar, message varchar, max_works bigint,
        num_found bigint, works_landed bigint, authors_wanted bigint, authors_landed bigint, pages_landed bigint,
        rows_quarantined bigint, requests bigint, started_at timestamp, ended_at timestamp, primary key (run_id)`,
    search_pages: `run_id varchar, page_number integer, ${page}, num_found bigint, docs integer, body_sha256 varchar,
        body varchar, primary key (run_id, page_number)`,
    author_pages: `run_id varchar, page_number integer, route varchar, ${page}, documents integer, body_sha256 varchar,
        body varchar, primary key (run_id, page_number)`,
    quarantine: `run_id varchar, source varchar, page_number integer, position integer, reason varchar, body varchar,
        fetched_at timestamp`,
};

/** Writes the landing file of a scene as version 0.1 would have: each of its runs has one subject. */
async function makeOld(landing: string): Promise<void> {
    renameSync(landing, `${landing}.today`);
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    await connection.run(`attach '${landing}.today' as today (read_only)`);
    await connection.run(`attach '${landing}' as old (storage_version 'v1.2.0')`);
    await connection.run("create schema old.openlibrary");
    for (const [name, columns] of Object.entries(oldTables)) {
        await connection.run(`create table old.openlibrary.${name} (${columns})`);
        const wanted = columns.match(/\w+(?= (?:varchar|integer|bigint|timestamp))/g)?.join(", ");
        const from =
            name === "extract_runs"
                ? "today.openlibrary.extract_runs inner join (select run_id, subject, num_found from today.openlibrary.extract_subjects) using (run_id)"
                : `today.openlibrary.${name}`;
        await connection.run(`insert into old.openlibrary.${name} select ${wanted} from ${from}`);
    }
    connection.closeSync();
    instance.closeSync();
}

/** A scene whose landing file has a complete and a failed run of version 0.1, and the way to let the service answer again. */
async function oldScene(): Promise<{ scene: Scene; complete: string; heal: () => void }> {
    let isDown = false;
    const scene = await setScene(2_500, (request) =>
        isDown && query(request, "q").includes("OL12000W") ? json({ status: 429 }, 429) : undefined,
    );
    const { runId } = await scene.extract({ maxWorks: 300 });
    isDown = true;
    await failsWith(scene.extract(), /429/);
    await makeOld(scene.landing);
    return {
        scene,
        complete: runId,
        heal: () => {
            isDown = false;
        },
    };
}

test("brings a file of version 0.1 up to date with all that is in it, and goes on with its failed run", async () => {
    const { scene, complete, heal } = await oldScene();
    const sql = "select md5(string_agg(body_sha256 || body, '' order by run_id, page_number)) from openlibrary.";
    const before = [await scene.rows(`${sql}search_pages`), await scene.rows(`${sql}author_pages`)];
    const [failed] = await scene.rows(
        "select run_id, subject, num_found from openlibrary.extract_runs where status = 'failed'",
    );
    assert.equal([failed?.subject, failed?.num_found], ["science_fiction", "2500"]);
    heal();
    const since = scene.standIn.requests.length;
    const { runId, status } = await scene.extract({ authorsMaxAge: 7 });
    assert.equal([runId, status], [failed?.run_id, "complete"]);
    const again = scene.standIn.requests.slice(since).filter(({ path }) => path.includes("sort=key"));
    assert.is(again.length, 1);
    const reference = await setScene(2_500);
    const whole = await reference.extract();
    assert.equal((await contentOf(scene, runId)).works, (await contentOf(reference, whole.runId)).works);
    // The 300 authors that version 0.1 had landed are reused.
    const runs = `select run_id, source, status, max_works, works_landed, authors_landed, authors_reused
        from openlibrary.extract_runs order by started_at`;
    const api = { source: "api" };
    assert.equal(await scene.rows(runs), [
        {
            run_id: complete,
            ...api,
            status: "partial",
            max_works: "300",
            works_landed: "300",
            authors_landed: "300",
            authors_reused: "0",
        },
        {
            run_id: runId,
            ...api,
            status: "complete",
            max_works: null,
            works_landed: "2500",
            authors_landed: "1250",
            authors_reused: "300",
        },
    ]);
    assert.equal(
        await scene.rows(
            `select run_id, subject, status, num_found, works_landed from openlibrary.extract_subjects order by works_landed`,
        ),
        [
            { run_id: complete, subject: "science_fiction", status: "partial", num_found: "2500", works_landed: "300" },
            { run_id: runId, subject: "science_fiction", status: "complete", num_found: "2500", works_landed: "2500" },
        ],
    );
    assert.equal(await scene.rows("select distinct subject from openlibrary.search_pages"), [
        { subject: "science_fiction" },
    ]);
    const landedBefore = `${sql}search_pages where run_id = '${complete}' or page_number <= 3`;
    assert.equal(await scene.rows(landedBefore), before[0]);
    assert.equal(await scene.rows(`${sql}author_pages where run_id = '${complete}'`), before[1]);
    const bare = `select table_name from duckdb_tables() where schema_name = 'openlibrary' and comment is null`;
    assert.equal(await scene.rows(bare), []);
});

test("tells of a file of version 0.1 what to do, and prunes it", async () => {
    const { scene } = await oldScene();
    const status = await scene.cli("status").ended;
    assert.is(status.code, 1);
    assert.match(
        status.err,
        /^\S+landing\.duckdb was written by version 0\.1; the next extraction brings it up to date\n$/,
    );
    await failsWith(prune(scene.landing, { keep: 1, dryRun: true, say: () => {} }), /was written by version 0\.1/);
    const { runs } = await prune(scene.landing, { keep: 1, say: () => {} });
    assert.equal(runs, []);
    const sql = "select count(*) as n from openlibrary.extract_runs";
    assert.equal(await scene.rows(sql), [{ n: "2" }]);
});

test("leaves a spool of version 0.1, and the file beside it, to that version", async () => {
    const { scene, heal } = await oldScene();
    heal();
    const row = {
        run_id: "20260101T000000Z-tides",
        subject: "tides",
        base_url: "http://x",
        max_works: null,
        started_at: "2026-01-01T00:00:00.000Z",
    };
    const totals = {
        num_found: null,
        works_landed: 0,
        authors_wanted: 0,
        authors_landed: 0,
        pages_landed: 0,
        rows_quarantined: 0,
        requests: 0,
    };
    const spool = `${scene.landing}.spool/20260101T000000Z-tides.ndjson`;
    mkdirSync(`${scene.landing}.spool`, { recursive: true });
    for (const lines of [1, 2]) {
        const text = `${JSON.stringify({ kind: "run", row, totals })}\n`.repeat(lines);
        writeFileSync(spool, text);
        const { code, out, err } = await scene.cli().ended;
        assert.equal([code, out], [1, ""]);
        assert.is(
            err,
            `${spool}  was written by version 0.1. Start the extractor of that version once more, which loads it, then this one.\n`,
        );
        assert.is(readFileSync(spool, "utf8"), text);
        assert.equal(await scene.rows("select distinct subject from openlibrary.extract_runs"), [
            { subject: "science_fiction" },
        ]);
        assert.not(existsSync(`${scene.landing}.wal`));
    }
});

test("waits for a build that reads the file of version 0.1", async () => {
    const { scene, heal } = await oldScene();
    heal();
    const reader = await holdOpen(scene.landing);
    await failsWith(scene.extract({ patience: 0 }), /still holds/);
    await reader.release();
    assert.is((await scene.extract()).status, "complete");
});

test.run();
