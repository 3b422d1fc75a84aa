import { rmSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { PipelineError } from "../../common/errors.ts";
import { sourceFreshness } from "../../runner/commands/source-freshness.ts";
import { checkFreshness, type FreshnessResult, freshnessText, withFreshness } from "../../runner/freshness.ts";
import { loadProject } from "../../runner/load.ts";
import { openSources } from "../../runner/open.ts";
import { suite } from "../suite.ts";
import { makeDatabase, type Toy, toyProject } from "./toy.ts";

const test = suite("freshness");

const now = new Date("2026-03-01T12:00:00Z");
const limits = "freshness: {warn_after: {count: 1, period: hour}, error_after: {count: 1, period: day}}";

/** A project with the source table sea.fish, which is made by `sql`. */
async function seaProject(sql: string, table: string, source = ""): Promise<Toy> {
    const toy = toyProject({
        "targets/dev.ts": 'export default { folder: "data", attach: { lake: "lake.duckdb" } };',
        "models/_sources.yml": `sources:
  - name: sea
    database: lake
    schema: main
    ${source}
    tables:
      - name: fish
        ${table}
`,
        "models/caught.sql": "select * from {{source.sea.fish}}",
        "models/dish.sql": "select count(*) as n from {{ref.caught}}",
        "models/other.sql": "select 1 as one",
    });
    await makeDatabase(join(toy.folder, "lake.duckdb"), sql);
    return toy;
}

async function inSea<T>(use: (toy: Toy) => Promise<T>, ...sea: Parameters<typeof seaProject>): Promise<T> {
    const toy = await seaProject(...sea);
    try {
        return await use(toy);
    } finally {
        toy.close();
    }
}

/** What is found of sea.fish at noon of 2026-03-01 in UTC, on a machine with the time zone `zone`. */
async function found(toy: Toy, zone = "UTC"): Promise<FreshnessResult | undefined> {
    const { project } = await loadProject({ projectDir: toy.folder });
    const database = await openSources(project);
    try {
        await database.run(`set timezone = '${zone}'`);
        const sources = withFreshness(project.nodes.values(), new Set(project.nodes.keys()));
        return (await checkFreshness(database, sources, now))[0];
    } finally {
        database.close();
    }
}

for (const [loaded, status, text] of [
    ["timestamp '2026-03-01 11:30:00'", "pass", "loaded 30 minutes ago (2026-03-01T11:30:00.000Z)"],
    ["timestamp '2026-03-01 11:00:00'", "pass", "loaded 60 minutes ago (2026-03-01T11:00:00.000Z)"],
    ["timestamp '2026-03-01 10:59:59'", "warn", "loaded 60 minutes ago (2026-03-01T10:59:59.000Z); warn after 1 hour"],
    ["timestamp '2026-02-28 12:00:00'", "warn", "loaded 24 hours ago (2026-02-28T12:00:00.000Z); warn after 1 hour"],
    ["timestamp '2026-02-20 11:00:00'", "error", "loaded 9 days ago (2026-02-20T11:00:00.000Z); error after 1 day"],
    ["timestamptz '2026-03-01 13:30:00+02'", "pass", "loaded 30 minutes ago (2026-03-01T11:30:00.000Z)"],
    [
        "timestamptz '2026-03-01 05:30:00-05'",
        "warn",
        "loaded 90 minutes ago (2026-03-01T10:30:00.000Z); warn after 1 hour",
    ],
    ["timestamp_s '2026-03-01 11:59:00'", "pass", "loaded 60 seconds ago (2026-03-01T11:59:00.000Z)"],
    ["date '2026-03-01'", "warn", "loaded 12 hours ago (2026-03-01T00:00:00.000Z); warn after 1 hour"],
    ["timestamp '2026-03-01 15:00:00'", "pass", "loaded in 3 hours (2026-03-01T15:00:00.000Z)"],
    ["cast(null as timestamp)", "error", "no row tells when it was loaded; error after 1 day"],
] as const) {
    test(`says of ${loaded}: ${status}, whatever the time zone of the machine`, async () => {
        const table = `${limits}\n        loaded_at_field: loaded_at`;
        await inSea(
            async (toy) => {
                for (const zone of ["UTC", "America/New_York", "Asia/Kolkata"]) {
                    const result = await found(toy, zone);
                    assert.is(result?.status, status, zone);
                    assert.is(result === undefined ? "" : freshnessText(result), text, zone);
                }
            },
            `create table fish as select ${loaded} as loaded_at`,
            table,
        );
    });
}

test("takes a table without rows for infinitely old, as dbt does", async () => {
    const empty = "create table fish (loaded_at timestamp)";
    const field = "loaded_at_field: loaded_at";
    const result = await inSea(found, empty, `${limits}\n        ${field}`);
    assert.is(result?.status, "error");
    assert.is(result?.maxLoadedAt, undefined);
    assert.is(result?.ageSeconds, undefined);
    const warned = await inSea(found, empty, `freshness: {warn_after: {count: 9, period: day}}\n        ${field}`);
    assert.is(warned?.status, "warn");
});

test("looks only at the rows of the filter, and takes an expression for a field", async () => {
    const result = await inSea(
        found,
        `create table fish as from (values ('20260301 1130', 'cod'), ('20260201 0000', 'eel')) as t (came, kind)`,
        `loaded_at_field: "strptime(came, '%Y%m%d %H%M')"
        freshness: {warn_after: {count: 1, period: day}, filter: "kind = 'eel' -- not cod"}`,
    );
    assert.is(result?.status, "warn");
    assert.is(result?.maxLoadedAt, "2026-02-01T00:00:00.000Z");
    assert.is(result?.ageSeconds, 28.5 * 86_400);
});

test("gives what cannot be asked as an error of the run", async () => {
    const result = await inSea(
        found,
        "create table fish as select 'soon' as came",
        `${limits}\n        loaded_at_field: cast(came as timestamp)`,
    );
    assert.is(result?.status, "runtime error");
    assert.match(result?.message ?? "", /soon/);
});

const fish =
    "create table fish as select timestamp '2026-03-01 10:00:00' as loaded_at, timestamp '2026-01-01' as other_at";
const day = "{count: 1, period: day}";

for (const [what, table, source, criteria] of [
    ["of the source", "", `loaded_at_field: loaded_at\n    freshness: {warn_after: ${day}}`, "loaded_at 1 -"],
    ["below config", "", `config: {loaded_at_field: loaded_at, freshness: {warn_after: ${day}}}`, "loaded_at 1 -"],
    [
        "of the table before those of the source, one by one",
        "config: {loaded_at_field: other_at, freshness: {warn_after: {count: 2, period: day}}}",
        `loaded_at_field: loaded_at\n    freshness: {warn_after: ${day}, error_after: ${day}}`,
        "other_at 2 1",
    ],
    [
        "without a threshold that the table takes away",
        "freshness: {error_after: null}",
        `loaded_at_field: loaded_at\n    freshness: {warn_after: ${day}, error_after: ${day}}`,
        "loaded_at 1 -",
    ],
    [
        "of a table that has none",
        "freshness: null",
        `loaded_at_field: loaded_at\n    freshness: {warn_after: ${day}}`,
        "none",
    ],
    ["that has no threshold", "freshness: {}", "loaded_at_field: loaded_at", "none"],
] as const) {
    test(`takes the freshness ${what}`, async () => {
        const result = await inSea(found, fish, table, source);
        const { loadedAtField = "", warnAfter, errorAfter } = result?.criteria ?? {};
        const text = `${loadedAtField} ${warnAfter?.count ?? "-"} ${errorAfter?.count ?? "-"}`;
        assert.is(result === undefined ? "none" : text, criteria);
    });
}

for (const [table, said] of [
    [
        "freshness: {warn_after: {count: 1, period: week}}",
        'models/_sources.yml:8:44  sources.0.tables.0.freshness.warn_after.period is "week"; expected "minute", "hour", "day"',
    ],
    [
        "freshness: {warn_after: {count: 0, period: day}}",
        "models/_sources.yml:8:34  sources.0.tables.0.freshness.warn_after.count is 0; expected 1 or more",
    ],
    [`freshness: {warn_afer: ${day}}`, 'models/_sources.yml:8:21  unknown key "warn_afer". Did you mean "warn_after"?'],
    [
        limits,
        'models/_sources.yml:7:15  "sea.fish" has a freshness, but no loaded_at_field that tells when a row was loaded',
    ],
    [
        `loaded_at_field: loadd_at\n        ${limits}`,
        'models/_sources.yml:8:9  loaded_at_field of "sea.fish": unknown column "loadd_at". Did you mean "loaded_at"?',
    ],
    [
        `loaded_at_field: 1 + 1\n        ${limits}`,
        'models/_sources.yml:8:9  loaded_at_field of "sea.fish" is "1 + 1", which is INTEGER; expected a timestamp or a date',
    ],
    [
        `loaded_at_field: loaded_at\n        freshness: {warn_after: ${day}, filter: kind = 'eel'}`,
        'models/_sources.yml:9:58  freshness.filter of "sea.fish": unknown column "kind".',
    ],
] as const) {
    test(`refuses ${table.replace(/\s+/g, " ")}`, async () => {
        await inSea(
            async (toy) => {
                const message = await toy.build().then(
                    () => "",
                    (error) => (error instanceof PipelineError ? error.message : String(error)),
                );
                assert.is(
                    message
                        .split("\n")
                        .filter((line) => /^\S/.test(line))
                        .join("\n"),
                    said,
                );
            },
            fish,
            table,
        );
    });
}

const fresh = "create table fish as select current_timestamp as loaded_at";
const old = "create or replace table fish as select current_timestamp - interval 2 hours as loaded_at";
const stale = "create or replace table fish as select current_timestamp - interval 2 days as loaded_at";
const checked = `${limits}\n        loaded_at_field: loaded_at`;

test("publishes with a warning what is made of a source that is not quite fresh, each time it is asked", async () => {
    await inSea(
        async (toy) => {
            const { ok, publication } = await toy.build();
            assert.ok(ok && publication !== undefined);
            const line = /WARN {3}source {2}sea\.fish {2}loaded 2 hours ago \(.*\); warn after 1 hour/g;
            assert.is(toy.said().match(line)?.length, 1);
            const again = await toy.build();
            assert.ok(again.ok && again.results.every(({ status }) => status === "reused"));
            assert.is(toy.said().match(line)?.length, 2, "although nothing has changed");
            const rows = await toy.rows(
                "select f.source, f.status, f.age_seconds, f.checked_at >= f.max_loaded_at as after, r.command from meta.source_freshness as f join meta.runs as r using (run_id)",
            );
            assert.is(rows.length, 1);
            assert.equal(
                { ...rows[0], age_seconds: Math.floor(Number(rows[0]?.age_seconds) / 100) },
                { source: "sea.fish", status: "warn", age_seconds: 72, after: true, command: "build" },
            );
        },
        old,
        checked,
    );
});

test("stops what reads a source that is too old, and publishes nothing, until it is fresh", async () => {
    await inSea(
        async (toy) => {
            assert.ok((await toy.build()).ok);
            const before = await toy.rows("select run_id from meta.publication");
            const fill = (sql: string) => makeDatabase(join(toy.folder, "lake.duckdb"), sql);
            await fill(stale);
            const { ok, results, publication } = await toy.build();
            assert.is(ok, false);
            assert.is(publication, undefined);
            const statuses = Object.fromEntries(results.map((result) => [result.node.name, result.status]));
            assert.equal(statuses, { caught: "skip", dish: "skip", other: "reused" });
            assert.match(toy.said(), /ERROR {2}source {2}sea\.fish {2}loaded 2 days ago \(.*\); error after 1 day/);
            assert.match(toy.said(), /sea\.fish is not fresh/);
            assert.equal(await toy.rows("select run_id from meta.publication"), before);
            const kept = "select status from meta.source_freshness order by checked_at";
            assert.equal(
                (await toy.rows(kept, "data/work.duckdb")).map((row) => row.status),
                ["pass", "error"],
            );
            assert.ok((await toy.build({ select: ["other"] })).results.every(({ node }) => node.name === "other"));
            await fill("create or replace table fish as select current_timestamp as loaded_at");
            assert.ok((await toy.build()).publication !== undefined);
        },
        fresh,
        checked,
    );
});

test("checks no source in other commands than build", async () => {
    await inSea(
        async (toy) => {
            assert.ok((await toy.build({ command: "run" })).ok);
            assert.not.match(toy.said(), /source {2}sea\.fish/);
        },
        stale,
        checked,
    );
});

/** What the command `source freshness` says. */
async function said(toy: Toy, select?: string[]): Promise<{ ok: boolean; text: string }> {
    const lines: string[] = [];
    const say = (line: string): void => void lines.push(line);
    const options = { projectDir: toy.folder, ...(select === undefined ? {} : { select }) };
    const { ok } = await sourceFreshness(options, { out: say, note: say });
    return { ok, text: lines.join("\n") };
}

test("says of each source how fresh it is, and fails when one is too old", async () => {
    const late = await inSea(said, stale, checked);
    assert.is(late.ok, false);
    assert.match(
        late.text,
        /^ERROR {2}source {2}sea\.fish {2}loaded 2 days ago.*\nDone\. PASS=0 WARN=0 ERROR=1 TOTAL=1$/,
    );
    const warned = await inSea(said, old, checked);
    assert.is(warned.ok, true);
    assert.match(warned.text, /^WARN .*\nDone\. PASS=0 WARN=1 ERROR=0 TOTAL=1$/);
    const passed = await inSea(said, fresh, checked);
    assert.match(passed.text, /^PASS .* loaded \d+ seconds? ago .*\nDone\. PASS=1 WARN=0 ERROR=0 TOTAL=1$/);
});

test("takes the sources that are selected", async () => {
    await inSea(
        async (toy) => {
            assert.match((await said(toy, ["source:sea"])).text, /^ERROR/);
            const none = await said(toy, ["other"]);
            assert.ok(none.ok);
            assert.is(none.text, "No source that is selected has a freshness\nDone. PASS=0 WARN=0 ERROR=0 TOTAL=0");
        },
        stale,
        checked,
    );
});

test("names the file of a source that is not there", async () => {
    await inSea(
        async (toy) => {
            rmSync(join(toy.folder, "lake.duckdb"));
            const error = await said(toy).catch((reason) => reason);
            assert.instance(error, PipelineError);
            assert.match(error.message, /lake\.duckdb does not exist: nothing has been landed for source "sea\.fish"/);
        },
        fresh,
        checked,
    );
});

test.run();
