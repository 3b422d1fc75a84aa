import { randomBytes } from "node:crypto";
import {
    appendFileSync,
    copyFileSync,
    existsSync,
    mkdtempSync,
    readFileSync,
    rmSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { attach, withInstance } from "../../extract/landing.ts";
import { loadSpools } from "../../extract/load-spools.ts";
import {
    readSpool,
    Spool,
    type SpoolRecord,
    type SubjectRow,
    spoolFolder,
    type Totals,
    waitingSpools,
} from "../../extract/spool.ts";
import { suite } from "../suite.ts";
import { cleanUp, failsWith, readRows, runProgram, setScene } from "./scene.ts";

const test = suite("spool");
test.after(cleanUp);

const runId = "20260101T000000Z-baking";
const totals: Totals = {
    works_landed: 2,
    authors_wanted: 0,
    authors_landed: 0,
    authors_reused: 0,
    pages_landed: 1,
    rows_quarantined: 1,
    requests: 1,
};
const standing: SubjectRow = { subject: "baking", status: "failed", message: null, num_found: 2, works_landed: 2 };
const start: SpoolRecord = {
    kind: "run",
    row: {
        run_id: runId,
        base_url: "http://x",
        max_works: null,
        started_at: "2026-01-01T00:00:00.250Z",
    },
    subjects: [{ ...standing, num_found: null, works_landed: 0 }],
    totals: { ...totals, works_landed: 0, pages_landed: 0, rows_quarantined: 0, requests: 0 },
};
const page: SpoolRecord = {
    kind: "search_pages",
    row: {
        run_id: runId,
        page_number: 1,
        subject: "baking",
        url: "http://x/search.json",
        parameters: "{}",
        http_status: 200,
        fetched_at: "2026-01-01T00:00:01.500Z",
        num_found: 2,
        docs: 2,
        body_sha256: "00",
        body: '{"title":"\\ud83d \\u0000 \u2028 „星“"}\r\n',
    },
    misfits: [{ position: 1, reason: "because", body: "{}" }],
    standing,
    totals,
};

async function withLanding(check: (landing: string) => Promise<void>): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-spool-"));
    try {
        await check(join(folder, "landing.duckdb"));
    } finally {
        rmSync(folder, { recursive: true });
    }
}

function write(landing: string, ...records: SpoolRecord[]): string {
    waitingSpools(landing);
    const spool = new Spool(landing, runId);
    for (const record of records) spool.append(record);
    spool.close();
    return spool.path;
}

async function recordsOf(path: string): Promise<SpoolRecord[]> {
    const records: SpoolRecord[] = [];
    for await (const record of readSpool(path)) records.push(record);
    return records;
}

const options = { say: () => {} };
/** A few more than a row group has. */
const pageCount = 2_100;

test("gives back what was put in", () =>
    withLanding(async (landing) => {
        const path = write(landing, start, page);
        assert.equal(await recordsOf(path), [start, page]);
    }));

test("drops a last line that was torn", () =>
    withLanding(async (landing) => {
        const path = write(landing, start, page);
        const whole = readFileSync(path);
        for (const cut of [1, 2, 40, 400]) {
            writeFileSync(path, whole.subarray(0, whole.length - cut));
            const records = await recordsOf(path);
            // Without its line feed, a record is whole all the same.
            assert.is(records.length, cut === 1 ? 2 : 1);
        }
    }));

test("does not skip a broken line in the middle", () =>
    withLanding(async (landing) => {
        const path = write(landing, start);
        appendFileSync(path, `broken\n${JSON.stringify(page)}\n`);
        await failsWith(
            loadSpools(landing, options),
            `${path}:2  is not a record of an extraction. Move the file away to go on without its pages.`,
        );
        assert.ok(existsSync(path));
    }));

test("loads a spool without an end as a failed run, byte for byte", () =>
    withLanding(async (landing) => {
        write(landing, start, page);
        await loadSpools(landing, options);
        assert.equal(waitingSpools(landing), []);
        const [run] = await readRows(landing, "select * exclude (ended_at) from openlibrary.extract_runs");
        assert.equal(run, {
            run_id: runId,
            source: "api",
            base_url: "http://x",
            status: "failed",
            message: "the process ended before the run did",
            max_works: null,
            works_landed: "2",
            authors_wanted: "0",
            authors_landed: "0",
            authors_reused: "0",
            pages_landed: "1",
            rows_quarantined: "1",
            requests: "1",
            started_at: "2026-01-01 00:00:00.25",
        });
        assert.equal(await readRows(landing, "from openlibrary.extract_subjects"), [
            { run_id: runId, ...standing, num_found: "2", works_landed: "2" },
        ]);
        assert.equal(await readRows(landing, "from openlibrary.search_pages"), [
            { ...page.row, num_found: "2", fetched_at: "2026-01-01 00:00:01.5" },
        ]);
    }));

test("can be loaded twice", () =>
    withLanding(async (landing) => {
        const end: SpoolRecord = {
            kind: "end",
            row: { status: "complete", message: null, ended_at: "2026-01-01T00:01:00.000Z" },
            subjects: [{ ...standing, status: "complete" }],
            totals,
        };
        const path = write(landing, start, page, end);
        copyFileSync(path, `${landing}.kept`);
        await loadSpools(landing, options);
        copyFileSync(`${landing}.kept`, path);
        await loadSpools(landing, options);
        const sql = `select (select count(*) from openlibrary.search_pages) as pages,
            (select count(*) from openlibrary.quarantine) as misfits, status from openlibrary.extract_runs`;
        assert.equal(await readRows(landing, sql), [{ pages: "1", misfits: "1", status: "complete" }]);
    }));

test("says in one sentence that there is no room for what a spool holds, and keeps it", async () => {
    const { landing } = await setScene(1);
    write(landing, start);
    await loadSpools(landing, options);
    const body = JSON.stringify(randomBytes(1_000_000).toString("hex"));
    write(landing, start, { ...page, row: { ...page.row, body } });
    // The shell's limit for a file's size, of 1,000 blocks of 512 bytes, is as good as a full disk.
    const script = 'trap "" XFSZ; ulimit -f 1000; exec "$0" "$@"';
    const prune = ["--import", "tsx", "extract/cli.ts", "prune", "--keep", "1"];
    const folder = join(landing, "..", "..");
    const limited = runProgram("sh", "-c", script, process.execPath, ...prune, "--project-dir", folder);
    const { code, err } = await limited.ended;
    assert.is(
        err,
        `${landing} can't be written: File too large. What was fetched waits beside it; run again to load it.\n`,
    );
    assert.is(code, 1);
    assert.is(waitingSpools(landing).length, 1);
    await loadSpools(landing, options);
    assert.equal(waitingSpools(landing), []);
    assert.equal(await readRows(landing, "select body from openlibrary.search_pages"), [{ body }]);
});

test("leaves no run behind a spool whose first line is torn", () =>
    withLanding(async (landing) => {
        const path = write(landing, start);
        writeFileSync(path, readFileSync(path).subarray(0, 50));
        await loadSpools(landing, options);
        assert.equal(waitingSpools(landing), []);
        assert.equal(await readRows(landing, "from openlibrary.extract_runs"), []);
    }));

test("keeps the landing file in the format that packs pages well", () =>
    withLanding(async (landing) => {
        write(landing, start, page);
        await loadSpools(landing, options);
        const sql = "select tags['storage_version'] as version from duckdb_databases() where database_name = 'landing'";
        assert.equal(await readRows(landing, sql), [{ version: "v1.2.0+" }]);
        assert.not(existsSync(`${landing}.wal`));
        assert.is(spoolFolder(landing), `${landing}.spool`);
    }));

test("packs bodies, and writes no more than the newest pages anew", () =>
    withLanding(async (landing) => {
        const body = JSON.stringify(Array.from({ length: 200 }, (_, n) => ({ key: `/works/OL${n}W`, title: "Title" })));
        write(landing, start);
        await loadSpools(landing, options);
        await withInstance({}, async (connection) => {
            await attach(connection, landing, false, options);
            const pages = "insert into landing.openlibrary.search_pages (run_id, page_number, body) select 'x', i, $1";
            await connection.run(`${pages} from range(${pageCount}) as r (i)`, [body]);
        });
        const sql = `select compression, count(distinct row_group_id) as groups from pragma_storage_info('openlibrary.search_pages')
            where column_name = 'body' and segment_type = 'VARCHAR' group by compression`;
        assert.equal(await readRows(landing, sql), [{ compression: "ZSTD", groups: "2" }]);
        assert.ok(statSync(landing).size < (body.length * pageCount) / 4, `${statSync(landing).size} bytes`);
    }));

test("takes nothing more once another has taken its file away", () => {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-spool-"));
    const spool = new Spool(join(folder, "landing.duckdb"), runId);
    spool.append(start);
    rmSync(spool.path);
    assert.throws(() => spool.append(page), /can't be written: another took it away\. Run again/);
    writeFileSync(spool.path, "another's\n");
    assert.throws(() => spool.append(page), /another took it away/);
    assert.is(readFileSync(spool.path, "utf8"), "another's\n");
    spool.close();
    rmSync(folder, { recursive: true });
});

test.run();
