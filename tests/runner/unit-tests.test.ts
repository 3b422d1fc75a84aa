import { existsSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "../suite.ts";
import { toyProject } from "./toy.ts";

const test = suite("unit-tests");

const files = {
    "targets/dev.ts": 'export default { folder: "data", attach: { lake: "lake.duckdb" } };',
    "seeds/factors.csv": "kind,factor\na,2\n",
    "models/_sources.yml": `sources:
  - {name: sea, database: lake, tables: [{name: fish, columns: [
      {name: id, data_type: integer}, {name: kind, data_type: varchar}, {name: sizes, data_type: "integer[]"}, {name: seen_at, data_type: timestamp}]}]}
`,
    "models/inner.sql": "select id, kind, sizes, seen_at from {{source.sea.fish}} where id >= {{vars.batch}}",
    "models/m.sql":
        "select i.id, f.factor * i.id as product, len(i.sizes) as n, i.seen_at from {{ref.inner}} as i left join {{ref.factors}} as f using (kind)",
};

/** What a build says of one unit test of the model m; nothing has been landed, so a sound one stops for that. */
async function verdict(unitTest: string, more: Readonly<Record<string, string>> = {}): Promise<string> {
    const toy = toyProject({
        ...files,
        ...more,
        "models/_models.yml": `models:
  - {name: inner, config: {materialized: ephemeral}}
  - {name: m, config: {unique_key: id}}
unit_tests:
${unitTest}`,
    });
    try {
        const silent = { out: () => undefined, note: () => undefined };
        const { checkProject } = await import("../../runner/check-project.ts");
        return await checkProject({ projectDir: toy.folder }, silent).then(
            () => "passes",
            (error: Error) => error.message,
        );
    } finally {
        assert.is(existsSync(join(toy.folder, "data", "work.duckdb")), false);
        toy.close();
    }
}

const given = `    given:
      - input: source('sea', 'fish')
        rows:
          - {id: 1, kind: a, sizes: [1, 2], seen_at: "2024-01-02 03:04:05"}
          - {id: 2, kind: b}
      - {input: ref('factors'), format: csv, rows: "kind,factor\\na,10\\n"}
`;

test("passes when the rows are as expected, types cast, missing columns NULL, through ephemeral models", async () => {
    assert.is(
        await verdict(`  - name: t
    model: m
${given}    expect: {rows: [{id: 2}, {id: 1, product: 10, n: 2, seen_at: "2024-01-02 03:04:05"}]}
`),
        "passes",
    );
});

test("takes inputs that are not given for empty", async () => {
    const only = "    given: [{input: \"source('sea', 'fish')\", rows: [{id: 3, kind: a}]}]\n";
    assert.is(
        await verdict(`  - name: t\n    model: m\n${only}    expect: {rows: [{id: 3, product: null}]}\n`),
        "passes",
    );
});

test("refuses rows for what the model does not read itself, which would change nothing", async () => {
    const more = { "models/n.sql": "select id from {{ref.m}}" };
    const rowsFor = (model: string, input: string): string =>
        `  - name: t\n    model: ${model}\n    given: [{input: "${input}", rows: [{id: 3}]}]\n    expect: {rows: []}\n`;
    assert.match(await verdict(rowsFor("n", "ref('factors')"), more), /"n" does not read ref\('factors'\)/);
    assert.match(
        await verdict(rowsFor("m", "ref('inner')"), more),
        /"m" does not read ref\('inner'\) as a table: it is ephemeral, so give what it reads/,
    );
});

test("names the row that does not fit, of several", async () => {
    const rows = "        rows:\n          - {id: 1}\n          - {id: x}\n          - {id: 3}\n";
    const given = `    given:\n      - input: "source('sea', 'fish')"\n${rows}`;
    assert.match(
        await verdict(`  - name: t\n    model: m\n${given}    expect: {rows: []}\n`),
        /^models\/_models\.yml:11:13 .*could not convert string 'x' to INT32/,
    );
});

test("takes rows as SQL, and vars of its own", async () => {
    assert.is(
        await verdict(`  - name: t
    model: m
    overrides: {vars: {batch: 2}}
    given: [{input: "source('sea', 'fish')", format: sql, rows: "select 1 as id union all select 2"}]
    expect: {format: sql, rows: "select 2 as id"}
`),
        "passes",
    );
});

test("shows what differs by key, with the cells that changed, at the test's place", async () => {
    const message = await verdict(`  - name: t
    model: m
${given}    expect: {rows: [{id: 1, product: 11}, {id: 5, product: 1}]}
`);
    assert.is(
        message
            .split("\n    ")
            .slice(0, 4)
            .join("\n")
            .replace(/\n +5 \|.*/s, ""),
        `models/_models.yml:5:11  unit test "t": the rows differ (- expected, + made, ~ changed):
~ id=1  product=11 but 10
+ id=2  product=null
- id=5  product=1`,
    );
});

test("notices rows that come twice", async () => {
    const twice = "    given: [{input: \"source('sea', 'fish')\", rows: [{id: 3}, {id: 3}]}]\n";
    assert.match(await verdict(`  - name: t\n    model: m\n${twice}    expect: {rows: [{id: 3}]}\n`), /\+ id=3/);
});

test("takes a row of which nothing is given for one, all NULL", async () => {
    const given = "    given: [{input: \"source('sea', 'fish')\", rows: [{}, {}]}]\n";
    const all = { "models/all_fish.sql": "select id from {{source.sea.fish}}" };
    const test = `  - name: t\n    model: all_fish\n${given}    expect: {rows: []}\n`;
    assert.match(await verdict(test, all), /\+ id=null\n +\+ id=null/);
});

test("refuses a fraction where the column holds whole numbers, which a cast would round", async () => {
    assert.match(
        await verdict("  - name: t\n    model: m\n    expect: {rows: [{id: 1.5}]}\n"),
        /"id" is (INTEGER|BIGINT), and 1\.5 is not/,
    );
});

for (const [body, message] of [
    ["    model: mm\n    expect: {}\n", 'unknown model "mm". Did you mean "m"?'],
    [
        "    model: m\n    given: [{input: ref('inne')}]\n    expect: {}\n",
        `unknown input "ref('inne')". Did you mean "inner"?`,
    ],
    [
        "    model: m\n    given: [{input: inner}]\n    expect: {}\n",
        `unknown input "inner". Write ref('name') or source('source', 'table')`,
    ],
    ["    model: m\n    overrides: {vars: {btach: 1}}\n    expect: {}\n", 'unknown var "btach". Did you mean "batch"?'],
    ["    model: m\n    expect: {rows: [{idd: 1}]}\n", '"m" has no column "idd". Did you mean "id"?'],
    [
        "    model: m\n    given: [{input: \"source('sea', 'fish')\", rows: [{id: x}]}]\n    expect: {}\n",
        "could not convert string 'x' to INT32",
    ],
    ["    model: m\n    expect: {format: csv, rows: [{id: 1}]}\n", "rows are a list, but the format is csv"],
    ['    model: m\n    expect: {rows: "id"}\n', 'rows are text: say "format: csv" or "format: sql"'],
    ["    model: m\n    expct: {}\n", 'unknown key "expct". Did you mean "expect"?'],
] as const) {
    test(`says ${message}`, async () => {
        const said = await verdict(`  - name: t\n${body}`);
        assert.ok(said.includes(message) || said.toLowerCase().includes(message.toLowerCase()), said);
        assert.match(said, /^models\/_models\.yml:\d+:\d+ {2}/);
    });
}

test("keeps every digit of a number in YAML", async () => {
    const [id, d] = ["9007199254740993", "0.12345678901234567891"];
    const toy = toyProject({
        "models/p.sql": `select ${id} as id, 1::decimal(38, 20) as d`,
        "models/m.sql": "select id::varchar as id, d::varchar as d from {{ref.p}}",
        "models/_models.yml": `
models: [{name: p, columns: [{name: id, data_tests: [{accepted_values: {values: [${id}]}}]}]}]
unit_tests:
  - name: u
    model: m
    given: [{input: ref('p'), rows: [{id: ${id}, d: ${d}}]}]
    expect: {rows: [{id: "${id}", d: "${d}"}]}
`,
    });
    assert.ok((await toy.build()).ok, toy.said());
    toy.close();
});

test.run();
