import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { PipelineError } from "../../common/errors.ts";
import type { Outcome } from "../../runner/build.ts";
import { checkProject } from "../../runner/check-project.ts";
import { suite } from "../suite.ts";
import { makeDatabase, readRows, toyProject } from "./toy.ts";

const test = suite("run");

/** Each node's status, in the order in which they ran. */
function statuses({ results }: Outcome): Record<string, string> {
    return Object.fromEntries(results.map(({ node, status }) => [node.name, status]));
}

function failures({ results }: Outcome): Record<string, number | undefined> {
    return Object.fromEntries(
        results.filter(({ node }) => node.kind === "test").map((result) => [result.node.name, result.failures]),
    );
}

test("counts failures of the four generic tests as dbt does", async () => {
    const toy = toyProject({
        "models/parent.sql": "select * from (values (1), (2)) as t(id)",
        "models/child.sql": `select * from (values (1, 'a'), (1, 'b'), (1, 'b'), (2, 'c'), (2, null), (7, 'c'), (8, null), (null, 'a'))
            as t(id, code)`,
        "models/_models.yml": `models:
  - name: child
    columns:
      - name: id
        data_tests:
          - unique
          - not_null
          - relationships: {to: ref('parent'), field: id}
      - name: code
        tests:
          - not_null
          - accepted_values: {arguments: {values: [a]}}
`,
    });
    const outcome = await toy.build();
    assert.equal(failures(outcome), {
        unique_child_id: 2, // the values 1 and 2, however often they repeat
        not_null_child_id: 1,
        relationships_child_id_parent_id: 2, // 7 and 8; NULL refers to nothing
        not_null_child_code: 2,
        accepted_values_child_code_a: 2, // the values b and c; NULL is no value
    });
    toy.close();
});

test("tells failing rows of a list, no more of them than counted, and none where none fail", async () => {
    const toy = toyProject({
        "models/m.sql": "select i, [i % 2] as l, null as v from range(4) as t(i)",
        "models/_models.yml": `models:
  - name: m
    columns:
      - {name: l, data_tests: [unique]}
      - {name: v, data_tests: [{not_null: {config: {limit: 1}}}]}
      - {name: i, data_tests: [{not_null: {config: {error_if: "< 1"}}}]}
`,
    });
    await toy.build();
    assert.match(toy.said(), /FAIL unique_m_l\n.*\n {4}l=.*0.* .*\n {4}l=.*1.* .*\n.*\n {4}made here: m/);
    assert.match(toy.said(), /FAIL not_null_m_v\n {4}1 failing row .*\n {4}i=\d .*\n {4}compiled/);
    assert.match(toy.said(), /FAIL not_null_m_i\n {4}no failing rows, and error_if is "< 1"\n/);
    toy.close();
});

for (const [yaml, message] of [
    ["{name: order, data_tests: [not_null]}", /test "not_null_m_order": syntax error .*: set quote: true on "order"/],
    ["{name: v, data_tests: [{not_null: {config: {limit: 0}}}]}", /limit is 0; expected 1 or more/],
] as const) {
    test(`says what to do about ${yaml}`, async () => {
        const toy = toyProject({
            "models/m.sql": 'select 1 as "order", 1 as v',
            "models/_models.yml": `models: [{name: m, columns: [${yaml}]}]`,
        });
        let said = "";
        await toy.build().catch((error: Error) => {
            said = error.message;
        });
        assert.match(said, message);
        toy.close();
    });
}

test("tests only the rows that `where` names, and only warns where severity says so", async () => {
    const toy = toyProject({
        "models/m.sql": "select * from (values (1, 'old'), (1, 'new'), (2, 'new')) as t(id, state)",
        "models/_models.yml": `models:
  - name: m
    columns:
      - name: id
        data_tests:
          - unique: {name: unique_among_new, config: {where: "state = 'new'"}}
          - unique: {name: unique_at_all, config: {severity: warn}}
`,
    });
    const outcome = await toy.build();
    assert.equal(statuses(outcome), { m: "success", unique_among_new: "pass", unique_at_all: "warn" });
    assert.is(outcome.ok, true);
    assert.ok(outcome.publication, "a warning publishes");
    toy.close();
});

// dbt's rule: error_if decides first, and only for severity error; then warn_if; else the test passes.
for (const [config, expected] of [
    ["{}", "fail"],
    ["{severity: warn}", "warn"],
    ["{severity: error, error_if: '> 3', warn_if: '> 1'}", "warn"],
    ["{severity: error, error_if: '> 2', warn_if: '> 1'}", "fail"],
    ["{severity: error, error_if: '> 3', warn_if: '> 3'}", "pass"],
    ["{severity: warn, error_if: '> 0', warn_if: '> 3'}", "pass"],
    ["{error_if: 'between 3 and 5'}", "fail"],
    ["{error_if: '> 2', limit: 2, warn_if: '= 2'}", "warn"],
] as const) {
    test(`judges three failures by ${config}: ${expected}`, async () => {
        const toy = toyProject({
            "models/m.sql": "select unnest([null, null, null, 1]) as id",
            "models/_models.yml": `models: [{name: m, columns: [{name: id, data_tests: [{not_null: {config: ${config}}}]}]}]`,
        });
        const { results, ok } = await toy.build();
        assert.is(results.at(-1)?.status, expected);
        assert.is(ok, expected !== "fail");
        toy.close();
    });
}

test("asks a test again when its severity has changed", async () => {
    const toy = toyProject({ "models/m.sql": "select null::int as id" });
    const declare = (severity: string): void =>
        toy.write(
            "models/_models.yml",
            `models: [{name: m, columns: [{name: id, data_tests: [{not_null: {severity: ${severity}}}]}]}]`,
        );
    declare("warn");
    assert.ok((await toy.build()).ok);
    declare("error");
    assert.is((await toy.build()).ok, false);
    toy.close();
});

test("skips the children of a failed model and of a failed test, and goes on with the rest", async () => {
    const toy = toyProject({
        "models/good.sql": "select 1 as id",
        "models/broken.sql": "select cast(v as integer) as id from (values ('1'), ('x')) as t(v)",
        "models/below_broken.sql": "select * from {{ref.broken}}",
        "models/twice.sql": "select unnest([1, 1]) as id",
        "models/below_twice.sql": "select * from {{ref.twice}}",
        "models/further_below.sql": "select * from {{ref.below_twice}} union all select * from {{ref.good}}",
        "models/_models.yml": `models:
  - {name: twice, columns: [{name: id, data_tests: [unique, not_null]}]}
  - {name: further_below, columns: [{name: id, data_tests: [not_null]}]}
`,
    });
    const outcome = await toy.build();
    assert.equal(statuses(outcome), {
        broken: "error",
        good: "success",
        twice: "success",
        not_null_twice_id: "pass",
        unique_twice_id: "fail",
        below_broken: "skip",
        below_twice: "skip",
        further_below: "skip",
        not_null_further_below_id: "skip",
    });
    assert.match(toy.said(), "Done. PASS=3 WARN=0 ERROR=2 SKIP=4 TOTAL=9");
    assert.match(toy.said(), "models/broken.sql");
    assert.is(
        readFileSync(join(toy.folder, "artifacts/dev/failures/unique_twice_id.csv"), "utf8"),
        "id,n_records\n1,2\n",
    );
    toy.close();
});

test("touches nothing when any model of the selection does not bind", async () => {
    const toy = toyProject({ "models/good.sql": "select 1 as id", "models/bad.sql": "select nope from {{ref.good}}" });
    try {
        await toy.build();
        assert.unreachable();
    } catch (error) {
        assert.instance(error, PipelineError);
    }
    assert.is(existsSync(join(toy.folder, "data", "work.duckdb")), false);
    assert.is(
        (await toy.build({ select: ["good"] })).results[0]?.status,
        "success",
        "what is sound can be built alone",
    );
    toy.close();
});

test("changes a table into a view and an ephemeral model, and back", async () => {
    const toy = toyProject({
        "models/m.sql": "select 1 as id",
        "models/reader.sql": "select id + 1 as id from {{ref.m}}",
    });
    const config = (materialized: string): void =>
        toy.write("models/_models.yml", `models: [{name: m, config: {materialized: ${materialized}}}]`);
    for (const materialized of ["table", "view", "ephemeral", "view", "table"]) {
        config(materialized);
        assert.ok((await toy.build()).ok, materialized);
        const names = (await toy.rows("from duckdb_tables() select table_name order by 1")).map(
            (row) => row.table_name,
        );
        assert.is(
            names.includes("m"),
            materialized !== "ephemeral",
            `${materialized}: published unless it is ephemeral`,
        );
    }
    toy.close();
});

test("inlines ephemeral models into each other and beside the reader's own expressions", async () => {
    const toy = toyProject({
        "models/a.sql": "with recursive n as (select 1 as i union all select i + 1 from n where i < 3) select i from n",
        "models/b.sql": "-- a comment first\nwith doubled as (select i * 2 as i from {{ref.a}}) select * from doubled",
        "models/c.sql":
            "with a as (select * from {{ref.a}}), b as (select * from {{ref.b}}) select i from a union all select i from b",
        "models/_models.yml":
            "models: [{name: a, config: {materialized: ephemeral}}, {name: b, config: {materialized: ephemeral}}]",
    });
    await toy.build();
    assert.equal(await toy.rows("select sum(i)::int as total from c"), [{ total: 18 }]);
    toy.close();
});

test("removes from the work file what is no model any more", async () => {
    const toy = toyProject({ "models/keep.sql": "select 1 as id", "models/go.sql": "select 2 as id" });
    await toy.build();
    toy.write("models/_models.yml", "models: [{name: go, config: {enabled: false}}]");
    await toy.build();
    const names = await readRows(
        join(toy.folder, "data/work.duckdb"),
        "from duckdb_tables() select table_name where schema_name = 'main'",
    );
    assert.equal(names, [{ table_name: "keep" }]);
    toy.close();
});

test("loads seeds with the types that are given, and empty fields as NULL", async () => {
    const toy = toyProject({
        "seeds/codes.csv": "code;amount\n007;\n08;1.5\n",
        "seeds/_seeds.yml":
            "seeds: [{name: codes, config: {delimiter: ';', column_types: {code: varchar, amount: 'decimal(9,2)'}}}]",
    });
    await toy.build();
    assert.equal(await toy.rows("from codes order by code"), [
        { code: "007", amount: null },
        { code: "08", amount: "1.50" },
    ]);
    toy.close();
});

test("runs models without tests, tests alone, seeds alone, and publishes with build only", async () => {
    const toy = toyProject({
        "seeds/s.csv": "id\n1\n",
        "models/m.sql": "select * from {{ref.s}}",
        "models/_models.yml": "models: [{name: m, columns: [{name: id, data_tests: [unique]}]}]",
    });
    assert.equal(statuses(await toy.build({ command: "seed" })), { s: "success" });
    assert.equal(statuses(await toy.build({ command: "run" })), { m: "success" });
    assert.equal(statuses(await toy.build({ command: "test" })), { unique_m_id: "pass" });
    assert.is(existsSync(join(toy.folder, "data/warehouse.duckdb")), false);
    assert.ok((await toy.build()).publication);
    toy.close();
});

test("says what has to be built first", async () => {
    const toy = toyProject({ "models/m.sql": "select 1 as id", "models/n.sql": "select * from {{ref.m}}" });
    const { results, ok } = await toy.build({ select: ["n"] });
    assert.is(ok, false);
    assert.is(results[0]?.message, 'm has not been built; take it in with --select "+n"');
    toy.close();
});

test("names the file of a source that is not there, and can still check it by what its YAML declares", async () => {
    const toy = toyProject({
        "targets/dev.ts": 'export default { folder: "data", attach: { lake: "data/lake.duckdb" } };',
        "models/_sources.yml": `sources:
  - {name: sea, database: lake, tables: [{name: fish, columns: [{name: id, data_type: integer}]}]}
`,
        "models/m.sql": "select idd from {{source.sea.fish}}",
    });
    const message = async (): Promise<string> =>
        toy.build().then(
            () => "built",
            (error: Error) => error.message,
        );
    assert.match(await message(), /data\/lake\.duckdb does not exist: nothing has been landed for source "sea\.fish"/);
    toy.close();
});

test("says which source declares a type that is none", async () => {
    const toy = toyProject({
        "targets/dev.ts": 'export default { folder: "data", attach: { lake: "lake.duckdb" } };',
        "models/_sources.yml":
            "sources: [{name: sea, database: lake, tables: [{name: fish, columns: [{name: id, data_type: integr}]}]}]",
        "models/m.sql": "select id from {{source.sea.fish}}",
    });
    const silent = { out: () => undefined, note: () => undefined };
    const message = await checkProject({ projectDir: toy.folder }, silent).then(
        () => "sound",
        (error: Error) => error.message,
    );
    assert.match(message, /models\/_sources\.yml:1:\d+ {2}source "sea\.fish": unknown type "integr"/);
    toy.close();
});

test("reads a source whose name needs quotes", async () => {
    const toy = toyProject({
        "targets/dev.ts": 'export default { folder: "data", attach: { lake: "lake.duckdb" } };',
        "models/_sources.yml":
            "sources: [{name: sea, database: lake, schema: main, tables: [{name: fish, identifier: my-fish}]}]",
        "models/m.sql": "select id from {{source.sea.fish}}",
    });
    await makeDatabase(join(toy.folder, "lake.duckdb"), 'create table "my-fish" as select 1 as id');
    assert.ok((await toy.build()).ok);
    toy.close();
});

test("says who runs when a second build starts", async () => {
    const toy = toyProject({ "models/m.sql": "select count(*) as n from range(40000000) as a(i) where i % 7 = 3" });
    const first = toy.build();
    const lock = join(toy.folder, "data", "build.lock");
    while (!existsSync(lock)) await new Promise((resolve) => setTimeout(resolve, 1));
    const second = await toy.build().then(
        () => "built",
        (error: Error) => error.message,
    );
    assert.match(second, new RegExp(`"build" is already running \\(process ${process.pid}, started `));
    assert.ok((await first).ok);
    toy.close();
});

test("keeps the history of runs in the warehouse, failed ones too", async () => {
    const toy = toyProject({
        "models/m.sql": "select unnest([1, {{vars.batch}}]) as id",
        "models/_models.yml": "models: [{name: m, columns: [{name: id, description: An id, data_tests: [unique]}]}]",
    });
    await toy.build({ vars: { batch: 1 } });
    await toy.build({ vars: { batch: 2 } });
    assert.equal(await toy.rows("select command, status from meta.runs order by started_at"), [
        { command: "build", status: "error" },
        { command: "build", status: "success" },
    ]);
    assert.equal(await toy.rows("select status, failures from meta.test_results order by run_id"), [
        { status: "fail", failures: "1" },
        { status: "pass", failures: "0" },
    ]);
    assert.equal(await toy.rows("select * from meta.columns"), [
        {
            node: "m",
            column_name: "id",
            position: 1,
            data_type: "INTEGER",
            description: "An id",
            inherited_from: null,
        },
    ]);
    toy.close();
});

test.run();
