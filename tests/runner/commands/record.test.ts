import { spawnSync } from "node:child_process";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { parse as parseYaml, stringify } from "yaml";
import { checkProject } from "../../../runner/check-project.ts";
import { type RecordOptions, record } from "../../../runner/commands/record.ts";
import { suite } from "../../suite.ts";
import { makeDatabase, type Toy, toyProject } from "../toy.ts";

const test = suite("record");

let toy: Toy;
test.before(async () => {
    toy = toyProject({
        "targets/dev.ts": 'export default { folder: "data", attach: { lake: "lake.duckdb" } };',
        "seeds/kinds.csv": "kind,word\na,Apfel\nb,Birne\nc,\n",
        "macros/doubled.sql": "{{n}} * {{vars.batch}}",
        "macros/_macros.yml": "macros: [{name: doubled, arguments: [{name: n}]}]",
        "models/_models.yml": `sources:
  - {name: sea, database: lake, schema: main, tables: [{name: fish}]}
models:
  - {name: inner, config: {materialized: ephemeral}}
  - {name: joined, config: {unique_key: id}}
  - {name: summed, config: {unique_key: kind}}
  - {name: ranked, config: {unique_key: id}}
  - {name: unioned, config: {unique_key: [part, id]}}
  - {name: grown, config: {materialized: incremental, unique_key: id}}
`,
        "models/inner.sql": "select id, kind, size from {{source.sea.fish}} where size is not null",
        "models/joined.sql":
            "select i.id, {{#doubled}}i.size{{/doubled}} as size, k.word from {{ref.inner}} as i left join {{ref.kinds}} as k using (kind)",
        "models/summed.sql": "select kind, sum(size) as size, count(*) as n from {{source.sea.fish}} group by kind",
        "models/ranked.sql": "select id, row_number() over (order by size desc, id) as place from {{ref.inner}}",
        "models/unioned.sql":
            "select 'small' as part, id from {{ref.joined}} where size < 50 union all select 'all' as part, id from {{ref.joined}}",
        "models/grown.sql":
            "select id, size from {{ref.joined}} {{#incremental}}where id > (select max(id) from {{this}}){{/incremental}}",
        "models/kinds_only.sql": "select count(*) as n from {{ref.kinds}}",
        "models/alone.sql": "select 7 as n",
        "models/changing.sql": "select random() as x from {{ref.kinds}}",
        "models/odd.sql": "select * from {{source.sea.odd}}",
        "models/_odd.yml": "sources: [{name: sea, database: lake, schema: main, tables: [{name: odd}]}]",
    });
    await makeDatabase(
        join(toy.folder, "lake.duckdb"),
        "create table fish as select i::integer as id, chr((97 + i % 5)::integer) as kind, case when i % 10 <> 0 then i end as size from range(1, 301) as r(i)",
    );
    await addOdd(join(toy.folder, "lake.duckdb"));
    const { ok } = await toy.build();
    assert.ok(ok, toy.said());
});
test.after(() => toy.close());

/** Values that YAML could read back as others. */
async function addOdd(path: string): Promise<void> {
    const texts = [
        "1984",
        "2024-01-01",
        "yes",
        "null",
        "~",
        "",
        " x ",
        "a: b",
        "# no",
        "it's",
        '"q"',
        "l1\nl2\n",
        "三体 😀",
        "0x1F",
        "1_000",
        "-",
        "<<",
        "*a",
        "\\d",
    ];
    const rows = texts.map((text, i) => `(${i}, '${text.replaceAll("'", "''")}')`).join(", ");
    await makeDatabase(
        path,
        `create table odd as select i, t as "Text of it", [t, null, 'x'] as texts, {'a': t, 'b': [i], 'at': timestamp '2024-02-03 04:05:06.789'} as box,
            map {i: t} as by_number, 9007199254740993 + i as big, 170141183460469231731687303715884105727::hugeint as huge,
            0.1::double + i as d, 'nan'::double as nan, 0.1::float as f, 12345678901234567.89::decimal(19, 2) as exact,
            i % 2 = 0 as even, timestamp '2024-02-03 04:05:06' as at, date '2024-02-03' as day, time '01:02:03' as hour,
            interval '1 month 2 days' as span, '\\xAA\\x00'::blob as bytes, null::integer as never, [9007199254740993] as bigs,
            '{"a": [1, null]}'::json as doc, [date '2024-01-01'] as days, '6ccd780c-baba-1026-9564-5b8c656024db'::uuid as uid
         from (values ${rows}) as v(i, t)`,
    );
}

interface Recorded {
    readonly yaml: string;
    readonly notes: string;
    readonly test: {
        readonly name: string;
        readonly given?: readonly { readonly input: string; readonly rows: readonly Record<string, unknown>[] }[];
        readonly expect: { readonly rows: readonly Record<string, unknown>[] };
        readonly overrides?: object;
    };
}

async function recorded(model: string, options: Partial<RecordOptions> = {}): Promise<Recorded> {
    const notes: string[] = [];
    const note = (text: string): void => void notes.push(text);
    const yaml = await record(model, { projectDir: toy.folder, limit: 200, ...options }, { out: note, note });
    const [first] = (parseYaml(yaml) as { unit_tests: Recorded["test"][] }).unit_tests;
    assert.ok(first);
    // Appended to a YAML file of the project, it passes; with one more row to expect it does not.
    const silent = { out: () => undefined, note: () => undefined };
    const check = (text: string): Promise<string> => {
        toy.write("models/_recorded.yml", `version: 2\n${text}\n`);
        return checkProject({ projectDir: toy.folder }, silent).then(
            () => "passes",
            (error: Error) => error.message,
        );
    };
    try {
        assert.is(await check(yaml), "passes");
        const twice = { ...first, expect: { rows: [...first.expect.rows, ...first.expect.rows] } };
        assert.match(await check(stringify({ unit_tests: [twice] })), "the rows differ");
    } finally {
        toy.write("models/_recorded.yml", "version: 2\n");
    }
    return { yaml, notes: notes.join("\n"), test: first };
}

test("writes the first rows by the key, and of the inputs just what they are made of", async () => {
    const { yaml, notes } = await recorded("joined");
    assert.is(notes, "");
    assert.is(
        yaml,
        `unit_tests:
  - name: joined_as_recorded
    model: joined
    overrides:
      vars:
        batch: 0
    given:
      - input: source('sea', 'fish')
        rows:
          - { id: 1, kind: b, size: 1 }
          - { id: 2, kind: c, size: 2 }
          - { id: 3, kind: d, size: 3 }
      - input: ref('kinds')
        rows:
          - { kind: b, word: Birne }
    expect:
      rows:
        - { id: 1, size: 0, word: Birne }
        - { id: 2, size: 0, word: null }
        - { id: 3, size: 0, word: null }`,
    );
});

test("gives all rows of a group", async () => {
    const { test: made, notes } = await recorded("summed", { where: "kind = 'a'", name: "sums_a" });
    assert.is(notes, "");
    assert.is(made.name, "sums_a");
    assert.is(made.given?.[0]?.rows.length, 60);
    assert.equal(
        made.expect.rows.map((row) => row.kind),
        ["a"],
    );
});

test("expects the rows too that a window can't do without, and says so", async () => {
    const { test: made, notes } = await recorded("ranked", { where: "place = 3" });
    assert.equal(made.expect.rows.map((row) => row.place).sort(), [1, 2, 3]);
    assert.match(notes, "don't make just the rows that were asked for");
    assert.match(notes, /\+ id=\d+ {2}place=1/);
});

for (const [model, options] of [
    ["unioned", { where: "id = 7" }],
    ["grown", {}],
    ["kinds_only", {}],
    ["alone", {}],
    ["inner", { where: "id between 5 and 8" }],
    ["joined", { where: "id = 5", vars: { batch: 3 } }],
] as const) {
    test(`records ${model} ${JSON.stringify(options)}`, async () => {
        const { notes } = await recorded(model, options);
        assert.is(notes, "");
    });
}

test("gives no more rows than --limit, and says what differs then", async () => {
    const { test: made, notes } = await recorded("summed", { where: "kind = 'a'", limit: 20 });
    assert.is(made.given?.[0]?.rows.length, 20);
    assert.match(notes, '"sea.fish": the first 20 of 60 rows are given');
    assert.match(notes, /~ kind=a {2}size=.* but .* n=60 but 20/);
});

test("writes values of every type so that they are read back as they were", async () => {
    const { test: made, yaml } = await recorded("odd", { where: "true" });
    assert.is(made.expect.rows.length, 19);
    const [first = {}] = made.expect.rows;
    assert.is(first["Text of it"], "1984");
    assert.is(first.big, "9007199254740993");
    assert.is(first.never, null);
    assert.equal(first.texts, ["1984", null, "x"]);
    assert.match(yaml, '"2024-01-01"');
    assert.match(yaml, '"yes"');
    assert.match(yaml, "三体 😀");
});

for (const [model, options, message] of [
    ["joind", {}, 'no model is called "joind". Did you mean "joined"?'],
    ["joined", { where: "id = -1" }, '"joined" has no rows that meet "id = -1"'],
    ["joined", { where: "idd = 1" }, '--where "idd = 1": '],
    ["joined", { where: "true" }, '"joined" has 270 rows that meet "true": narrow it, or raise --limit, which is 200'],
    ["joined", { limit: 0 }, '--limit is "0"; expected 1 or more'],
    ["changing", {}, '"changing" makes other rows each time of the same inputs'],
] as const) {
    test(`says ${message}`, async () => {
        const silent = { out: () => undefined, note: () => undefined };
        const said = await record(model, { projectDir: toy.folder, limit: 200, ...options }, silent).then(
            () => "",
            (error: Error) => error.message,
        );
        assert.ok(said.includes(message), said);
    });
}

test("prints the test alone on the standard output", () => {
    const cli = join(import.meta.dirname, "..", "..", "..", "runner", "cli.ts");
    const args = ["--import", "tsx", cli, "record", "ranked", "--where", "place = 2", "--project-dir", toy.folder];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    assert.is(status, 0);
    assert.match(stdout, /^unit_tests:\n {2}- name: ranked_as_recorded\n/);
    assert.match(stderr, "asked for");
});

test.run();
