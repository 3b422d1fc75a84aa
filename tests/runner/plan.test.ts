import { appendFileSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { BuildOptions } from "../../runner/build.ts";
import { volatileFunction } from "../../runner/fingerprint.ts";
import { suite } from "../suite.ts";
import { makeDatabase, type Toy, toyProject } from "./toy.ts";

const test = suite("plan");

const files = {
    "seeds/s.csv": "id\n1\n2\n",
    "models/a.sql": "select id from {{ref.s}}",
    "models/b.sql": "select id + {{vars.batch}} as id from {{ref.a}}",
    "models/c.sql": "select count(*) as n from {{ref.b}}",
    "models/apart.sql": "select 1 as id",
    "models/_models.yml": "models: [{name: b, columns: [{name: id, data_tests: [unique]}]}]",
};

/** The nodes that a build really ran. */
async function ran(toy: Toy, options: Partial<BuildOptions> = {}): Promise<string> {
    const { results, ok } = await toy.build(options);
    assert.ok(ok, toy.said());
    return results
        .filter(({ status }) => status !== "reused")
        .map(({ node }) => node.name)
        .join(" ");
}

test("runs nothing when nothing has changed, and publishes nothing", async () => {
    const toy = toyProject(files);
    assert.is(await ran(toy), "s apart a b unique_b_id c");
    const { publication, ok } = await toy.build();
    assert.is(publication, undefined);
    assert.is(ok, true);
    assert.match(toy.said(), /Reused 6 of 6 nodes/);
    assert.match(toy.said(), /Nothing to check anew/);
    assert.match(toy.said(), /Nothing new to publish: what run \S+ published stands/);
    assert.match(toy.said(), /Done\. PASS=6 WARN=0 ERROR=0 SKIP=0 TOTAL=6$/);
    toy.close();
});

test("takes comments and white space for no change", async () => {
    const toy = toyProject(files);
    await toy.build();
    toy.write("models/a.sql", "-- a comment\nselect   id /* another */\n    from {{ref.s}}");
    assert.is(await ran(toy), "");
    toy.write("models/a.sql", "select id, '-- no comment' as text from {{ref.s}}");
    assert.is(await ran(toy), "a b unique_b_id c");
    toy.close();
});

for (const [what, change, expected] of [
    ["a model", (toy: Toy) => toy.write("models/b.sql", "select id * 2 as id from {{ref.a}}"), "b unique_b_id c"],
    ["a var", () => ({ vars: { batch: 5 } }), "b unique_b_id c"],
    ["a seed", (toy: Toy) => appendFileSync(join(toy.folder, "seeds/s.csv"), "3\n"), "s a b unique_b_id c"],
    [
        "a kind of table",
        (toy: Toy) => toy.write("models/_models.yml", "models: [{name: a, config: {materialized: view}}]"),
        "a b c",
    ],
    ["the last model", (toy: Toy) => toy.write("models/c.sql", "select max(id) as n from {{ref.b}}"), "c"],
] as const) {
    test(`runs what reads ${what} that changed, and nothing else`, async () => {
        const toy = toyProject(files);
        await toy.build();
        assert.is(await ran(toy, change(toy) ?? {}), expected);
        toy.close();
    });
}

test("checks anew what reads a source of other columns, not of other rows, nor what stands since the last build", async () => {
    const toy = toyProject({
        "targets/dev.ts": 'export default { folder: "data", attach: { lake: "lake.duckdb" } };',
        "models/_sources.yml": "sources: [{name: sea, database: lake, schema: main, tables: [{name: fish}]}]",
        "models/grown.sql":
            "select id, weight from {{source.sea.fish}}{{#incremental}} where id > (select max(id) from {{this}}){{/incremental}}",
        "models/_models.yml":
            "models: [{name: grown, config: {materialized: incremental, incremental_strategy: append, unique_key: id}}]",
        "models/past.yml":
            "snapshots: [{name: past, relation: ref('grown'), config: {strategy: check, unique_key: id, check_cols: all}}]",
    });
    const lake = join(toy.folder, "lake.duckdb");
    const land = async (sql: string): Promise<void> => {
        rmSync(lake, { force: true });
        await makeDatabase(lake, `create table fish as ${sql}`);
    };
    const verdict = async (): Promise<string | undefined> => {
        const before = toy.said().length;
        const { ok } = await toy.build();
        assert.ok(ok, toy.said());
        return /(Checked|Nothing to check anew)/.exec(toy.said().slice(before))?.[0];
    };
    await land("select 1 as id, 2.5 as weight");
    assert.is(await verdict(), "Checked");
    assert.is(await verdict(), "Nothing to check anew");
    await land("select 2 as id, 3.5 as weight");
    assert.is(await verdict(), "Nothing to check anew");
    assert.equal(await toy.rows("select count(*) as n from grown"), [{ n: "2" }]);
    assert.equal(await toy.rows("select count(*) as n from past"), [{ n: "2" }]);
    await land("select 3 as id, 3.5 as weight, 'cod' as name");
    assert.is(await verdict(), "Checked");
    await land("select 4 as id, 'heavy' as weight");
    const message = await toy.build().then(
        () => "built",
        (error: Error) => error.message,
    );
    assert.match(message, /on_schema_change/, message);
    toy.close();
});

for (const [what, { sql = "", before, after, message }] of Object.entries({
    "a contract that is now enforced": {
        sql: "select 1 as id, 2 as z",
        before: "models: [{name: m, columns: [{name: id, data_type: integer}]}]",
        after: "models: [{name: m, config: {contract: {enforced: true}}, columns: [{name: id, data_type: integer}]}]",
        message: /the contract of "m" has no column "z"/,
    },
    "a unit test that is now one of the incremental run": {
        sql: "select {{#incremental}}1 + {{/incremental}}1 as id",
        before: "unit_tests: [{name: t, model: m, expect: {rows: [{id: 1}]}}]",
        after: "unit_tests: [{name: t, model: m, overrides: {macros: {is_incremental: true}}, expect: {rows: [{id: 1}]}}]",
        message: /unit test "t": the rows differ/,
    },
    "what a model is under the vars of its unit test": {
        before: "unit_tests: [{name: t, model: m, overrides: {vars: {a: 7}}, expect: {rows: [{id: 7}]}}]",
        sql: "select {{vars.a}} as id",
        after: "select {{vars.b}} as id",
        message: /unit test "t": the rows differ/,
    },
} as Record<string, { sql?: string; before: string; after: string; message: RegExp }>)) {
    test(`checks anew ${what}`, async () => {
        const incremental = "models: [{name: m, config: {materialized: incremental, incremental_strategy: append}}]\n";
        const isIncremental = sql.includes("incremental");
        const yaml = (text: string): string => (isIncremental ? `${incremental}${text}` : text);
        const toy = toyProject({
            "pipeline.config.ts": 'export default { name: "toy", vars: { a: 1, b: 1 } };',
            "models/m.sql": sql,
            "models/_models.yml": yaml(before),
        });
        assert.ok((await toy.build()).ok);
        if (after.startsWith("select")) toy.write("models/m.sql", after);
        else toy.write("models/_models.yml", yaml(after));
        const said = await toy.build().then(
            () => "built",
            (error: Error) => error.message,
        );
        assert.match(said, message);
        toy.close();
    });
}

test("runs what reads a source whose file is another", async () => {
    const toy = toyProject({
        "targets/dev.ts": 'export default { folder: "data", attach: { lake: "lake.duckdb" } };',
        "models/_sources.yml": "sources: [{name: sea, database: lake, schema: main, tables: [{name: fish}]}]",
        "models/m.sql": "select * from {{source.sea.fish}}",
        "models/n.sql": "select 1 as id",
    });
    const land = (rows: number): Promise<void> => {
        rmSync(join(toy.folder, "lake.duckdb"), { force: true });
        return makeDatabase(
            join(toy.folder, "lake.duckdb"),
            `create table fish as select * from range(${rows}) as r(id)`,
        );
    };
    await land(3);
    assert.is(await ran(toy), "n m");
    assert.is(await ran(toy), "");
    await land(4);
    assert.is(await ran(toy), "m");
    // As a loader that is killed after its commit leaves it.
    await makeDatabase(
        join(toy.folder, "lake.duckdb"),
        "pragma disable_checkpoint_on_shutdown; insert into fish values (4)",
    );
    assert.ok(existsSync(join(toy.folder, "lake.duckdb.wal")));
    assert.is(await ran(toy), "m");
    assert.equal(await toy.rows("select count(*) as n from m"), [{ n: "5" }]);
    toy.close();
});

for (const [before, after] of [
    ["$$a -- b$$", "$$a -- c$$"],
    ["$t$a  b$t$", "$t$a b$t$"],
    ["e'it\\'s -- a'", "e'it\\'s -- b'"],
]) {
    test(`takes nothing in ${before} for a comment`, async () => {
        const toy = toyProject({ "models/m.sql": `select ${before} as x` });
        await toy.build();
        toy.write("models/m.sql", `select ${after} as x`);
        assert.is(await ran(toy), "m");
        toy.close();
    });
}

for (const [call, isVolatile] of [
    ["select uuidv4() as x", true],
    ["select current_localtimestamp() as x", true],
    ["select transaction_timestamp() as x", true],
    ["select age(coalesce(day, born)) as x from t", true],
    ["select id from t using sample 2", true],
    ["select age(day, born) as x, usage(x), average(x), uuids from t", false],
] as const) {
    test(`knows whether "${call}" changes by itself`, () => {
        assert.is(volatileFunction(call) !== undefined, isVolatile);
    });
}

test("runs anew what calls a function that changes by itself, and publishes it", async () => {
    const toy = toyProject({ ...files, "models/c.sql": "select now() as t, 'random' as word from {{ref.b}}" });
    await toy.build();
    assert.is(await ran(toy), "c");
    assert.match(toy.said(), /Published 5 tables[\s\S]*Published 5 tables/);
    toy.close();
});

test("runs anew what reads, through an ephemeral model, what changes by itself", async () => {
    const toy = toyProject({
        "models/p.sql": "select random() as r",
        "models/e.sql": "select r from {{ref.p}}",
        "models/c.sql": "select r from {{ref.e}}",
        "models/_models.yml": "models: [{name: e, config: {materialized: ephemeral}}]",
    });
    assert.is(await ran(toy), "p c");
    assert.is(await ran(toy), "p c");
    assert.equal(await toy.rows("select c.r = p.r as is_same from c, p"), [{ is_same: true }]);
    toy.close();
});

test("knows what a model was made of when only its parent was built since", async () => {
    const toy = toyProject(files);
    await toy.build();
    toy.write("models/a.sql", "select id + 10 as id from {{ref.s}}");
    await toy.build({ select: ["a"] });
    assert.is(await ran(toy), "b unique_b_id c");
    // And the other way round: a child built alone read the parent that stood there, not the one in the file.
    toy.write("models/a.sql", "select id + 20 as id from {{ref.s}}");
    await toy.build({ select: ["c"] });
    assert.is(await ran(toy), "a b unique_b_id c");
    assert.equal(await toy.rows("select max(id)::int as most from b"), [{ most: 22 }]);
    toy.close();
});

test("asks a failed test again without building its model again", async () => {
    const toy = toyProject({ ...files, "seeds/s.csv": "id\n1\n1\n" });
    assert.is((await toy.build()).ok, false);
    const { results } = await toy.build();
    assert.equal(
        results.map(({ node, status }) => `${node.name} ${status}`),
        ["s reused", "apart reused", "a reused", "b reused", "unique_b_id fail", "c skip"],
    );
    toy.write("seeds/s.csv", "id\n1\n2\n");
    assert.is(await ran(toy), "s a b unique_b_id c");
    toy.close();
});

test("does not publish a model of which a new test has not run", async () => {
    const toy = toyProject(files);
    await toy.build();
    toy.write("models/_models.yml", "models: [{name: b, columns: [{name: id, data_tests: [unique, not_null]}]}]");
    toy.write("models/apart.sql", "select 2 as id");
    const { ok } = await toy.build({ select: ["apart"] });
    assert.is(ok, false);
    assert.match(toy.said(), /the test not_null_b_id has not run on what stands now/);
    toy.close();
});

test("runs everything with --full-refresh, and after the work file is gone", async () => {
    const toy = toyProject(files);
    await toy.build();
    assert.is(await ran(toy, { fullRefresh: true }), "s apart a b unique_b_id c");
    rmSync(join(toy.folder, "data/work.duckdb"));
    assert.is(await ran(toy), "s apart a b unique_b_id c");
    toy.close();
});

test("explains why each node would run, and runs nothing", async () => {
    const toy = toyProject(files);
    await toy.build({ explain: true });
    assert.is(existsSync(join(toy.folder, "data/work.duckdb")), false);
    await toy.build();
    toy.write("models/b.sql", "select id * 2 as id from {{ref.a}}");
    const before = toy.said().length;
    await toy.build({ explain: true });
    assert.is(
        toy
            .said()
            .slice(before)
            .trim()
            .replace(/^Checked.*\n/, ""),
        [
            "s            reused: nothing it is made of has changed",
            "apart        reused: nothing it is made of has changed",
            "a            reused: nothing it is made of has changed",
            "b            runs: its SQL has changed",
            "unique_b_id  runs: b has changed",
            "c            runs: b has changed",
            "",
            "3 of 6 nodes would run",
        ].join("\n"),
    );
    toy.close();
});

test("does not take up what was built from a text that is back to what it was", async () => {
    const toy = toyProject(files);
    await toy.build();
    toy.write("models/c.sql", "select sum(id)::bigint as n from {{ref.b}}");
    await toy.build();
    toy.write("models/c.sql", files["models/c.sql"]);
    assert.is(await ran(toy), "c");
    assert.equal(await toy.rows("select n::int as n from c"), [{ n: 2 }]);
    toy.close();
});

test.run();
