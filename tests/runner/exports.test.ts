import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { PipelineError } from "../../common/errors.ts";
import { Database } from "../../runner/duckdb.ts";
import { writeExports } from "../../runner/exports.ts";
import { parse } from "../../runner/parse.ts";
import { publishedNodes } from "../../runner/publishable.ts";
import { suite } from "../suite.ts";
import { readRows, type Toy, toyProject } from "./toy.ts";

const test = suite("exports");

interface Published {
    readonly files: readonly { file: string; rows: number; bytes: number; sha256: string }[];
}

function publicationOf(toy: Toy): Published {
    return JSON.parse(readFileSync(join(toy.folder, "data/exports/publication.json"), "utf8")) as Published;
}

function exportsOf(toy: Toy): string[] {
    return publicationOf(toy).files.map(({ file }) => file);
}

function model(sql: string, config: string): Toy {
    return toyProject({
        "models/m.sql": sql,
        "models/_models.yml": `models: [{name: m, config: {unique_key: n, export: ${config}}}]`,
    });
}

async function messageOfBuild(toy: Toy): Promise<string> {
    return toy.build().then(
        () => toy.said(),
        (error: Error) => {
            assert.instance(error, PipelineError);
            return error.message;
        },
    );
}

/** The rows that a reader of Hive's folders gets back. */
async function readBack(toy: Toy, pattern: string, by = "hive_types_autocast = false"): Promise<unknown[]> {
    const path = join(toy.folder, "data/exports", pattern);
    return readRows(
        join(toy.folder, "data/warehouse.duckdb"),
        `select * from read_parquet('${path}', hive_partitioning = true, ${by}) order by n`,
    );
}

for (const [config, files] of [
    ["true", ["m.csv", "m.parquet"]],
    ["{as: things}", ["things.csv", "things.parquet"]],
    ["{format: json}", ["m.ndjson"]],
    ["{as: things, format: [parquet, json, parquet]}", ["things.parquet", "things.ndjson"]],
] as const) {
    test(`writes ${files.join(" and ")} for export: ${config}`, async () => {
        const toy = model("select n, 'a' as s from range(3) as r(n)", config);
        await toy.build();
        assert.equal(exportsOf(toy), files);
        assert.equal(
            readdirSync(join(toy.folder, "data/exports")).sort(),
            [...files, "publication.json"].sort(),
            "and nothing else",
        );
        toy.close();
    });
}

test("writes JSON as an object a line, sorted by the key", async () => {
    const toy = model("select * from (values (2, null, [1, 2]), (1, 'é\"', [])) as t(n, s, l)", "{format: json}");
    await toy.build();
    assert.is(
        readFileSync(join(toy.folder, "data/exports/m.ndjson"), "utf8"),
        '{"n":1,"s":"é\\"","l":[]}\n{"n":2,"s":null,"l":[1,2]}\n',
    );
    toy.close();
});

const strange = [
    "a/b",
    "",
    null,
    "NULL",
    "null",
    "__HIVE_DEFAULT_PARTITION__",
    "é/日本 😀",
    "a=b",
    "..",
    "a%2Fb",
    "1",
    "01",
    "it''s",
];
const values = strange.map((text, i) => `(${i}, ${text === null ? "null" : `'${text}'`})`).join(", ");

test("gives the model's rows back to a reader of Hive's folders, whatever the values are", async () => {
    const toy = model(`select * from (values ${values}) as t(n, s)`, "{format: parquet, partition_by: s}");
    await toy.build();
    assert.equal(await readBack(toy, "m.parquet/**/*.parquet"), await toy.rows("from m order by n"));
    assert.equal(exportsOf(toy).length, strange.length);
    const folders = readdirSync(join(toy.folder, "data/exports/m.parquet"));
    assert.ok(folders.includes("s=a%2Fb"), folders.join());
    assert.ok(folders.includes("s=__HIVE_DEFAULT_PARTITION__"));
    const [first] = await readRows(
        join(toy.folder, "data/warehouse.duckdb"),
        `describe from '${join(toy.folder, "data/exports/m.parquet/s=a=b/data_0.parquet".replace("a=b", "a%3Db"))}'`,
    );
    assert.is(first?.column_name, "n", "the column is in the path only");
    toy.close();
});

test("lays rows into folders by several columns, in every format, each file sorted by the key", async () => {
    const toy = model(
        "select 9 - n as n, n % 2 as Odd, date '2024-01-01' + (n % 3)::int as day from range(10) as r(n)",
        "{format: [csv, json, parquet], partition_by: [day, ODD]}",
    );
    await toy.build();
    const { files } = publicationOf(toy);
    assert.is(files.length, 18);
    const one = files.find(({ file }) => file === "m.csv/day=2024-01-01/Odd=1/data_0.csv");
    assert.is(one?.rows, 2);
    const path = join(toy.folder, "data/exports", one?.file ?? "");
    assert.is(readFileSync(path, "utf8"), "n\n0\n6\n");
    assert.is(one?.bytes, readFileSync(path).length);
    assert.is(
        readFileSync(join(toy.folder, "data/exports/m.ndjson/day=2024-01-02/Odd=1/data_0.ndjson"), "utf8"),
        '{"n":2}\n{"n":8}\n',
    );
    assert.equal(
        await readBack(toy, "m.parquet/**/*.parquet", "hive_types = {'day': date, 'Odd': bigint}"),
        await toy.rows("select n, Odd, day from m order by n"),
    );
    toy.close();
});

test("writes the same bytes whatever the number of threads", async () => {
    const toy = model("select 1 as n, 's' as s, 't' as t", "{format: [csv, json, parquet], partition_by: s}");
    const nodes = publishedNodes(await parse(toy.folder));
    const written: unknown[] = [];
    for (const threads of ["1", "2", "4"]) {
        const database = await Database.open({ threads });
        await database.run("attach ':memory:' as big");
        await database.run(
            `create table big.m as select (n * 7919) % 300000 as n, 'p' || (n % 3) as s, repeat('x', (n % 50)::int) as t
             from range(300000) as r(n)`,
        );
        const folder = join(toy.folder, `threads-${threads}`);
        mkdirSync(folder);
        written.push(await writeExports(database, folder, { nodes, catalog: "big" }));
        database.close();
    }
    assert.is((written[0] as readonly { rows: number }[]).length, 9);
    assert.equal(written[1], written[0]);
    assert.equal(written[2], written[0]);
    toy.close();
});

test("exports an empty model as a header, an empty file and an empty folder", async () => {
    const toy = model("select n, 's' as s from range(0) as r(n)", "{as: flat, format: [csv, json]}");
    await toy.build();
    assert.is(readFileSync(join(toy.folder, "data/exports/flat.csv"), "utf8"), "n,s\n");
    assert.is(readFileSync(join(toy.folder, "data/exports/flat.ndjson"), "utf8"), "");
    toy.write(
        "models/_models.yml",
        "models: [{name: m, config: {unique_key: n, export: {format: csv, partition_by: s}}}]",
    );
    await toy.build();
    assert.equal(readdirSync(join(toy.folder, "data/exports/m.csv")), []);
    assert.equal(exportsOf(toy), []);
    toy.close();
});

test("publishes anew when only the way of exporting has changed", async () => {
    const toy = model("select n, n % 2 as s from range(4) as r(n)", "true");
    await toy.build();
    toy.write("models/_models.yml", "models: [{name: m, config: {unique_key: n, export: {partition_by: s}}}]");
    const { results } = await toy.build();
    assert.is(results[0]?.status, "reused");
    assert.equal(exportsOf(toy), [
        "m.csv/s=0/data_0.csv",
        "m.csv/s=1/data_0.csv",
        "m.parquet/s=0/data_0.parquet",
        "m.parquet/s=1/data_0.parquet",
    ]);
    toy.close();
});

test("exports the rows that the warehouse has of a view whose rows change by themselves", async () => {
    const toy = toyProject({
        "models/m.sql": "select n, random() as r, (n % 2)::varchar as s from range(4) as t(n)",
        "models/_models.yml":
            "models: [{name: m, config: {materialized: view, unique_key: n, export: {format: parquet, partition_by: s}}}]",
    });
    await toy.build();
    assert.equal(await readBack(toy, "m.parquet/**/*.parquet"), await toy.rows("select n, r, s from m order by n"));
    toy.close();
});

test("refuses more than 10,000 partitions, and leaves what people read as it is", async () => {
    const toy = model("select n, n % {{vars.batch}} as s from range(10001) as r(n)", "{format: csv, partition_by: s}");
    assert.ok((await toy.build({ vars: { batch: 2 } })).ok);
    const { ok } = await toy.build({ vars: { batch: 20000 } });
    assert.is(ok, false);
    assert.match(
        toy.said(),
        /models\/_models\.yml {2}"m" would be exported in more than 10,000 partitions by "s": choose a column of fewer values/,
    );
    assert.is(exportsOf(toy).length, 2);
    toy.close();
});

for (const [config, pattern] of [
    [
        "{partition_by: sujet}",
        /models\/_models\.yml:1:17 {2}partition_by names a column "sujet" that "m" has not\. Did you mean "subjet"\?/,
    ],
    ["{partition_by: [subjet, SUBJET]}", /partition_by names "subjet" twice/],
    ["{partition_by: [n, subjet]}", /partition_by names all columns of "m", which leaves nothing for the files/],
    ["{format: xlsx}", /export\.format is "xlsx"; expected "csv", "parquet", "json", a list/],
    ["{format: []}", /export\.format is \[\]; expected at least one format/],
] as const) {
    test(`refuses export: ${config}`, async () => {
        const toy = model("select 1 as n, 'x' as subjet", config);
        assert.match(await messageOfBuild(toy), pattern);
        assert.is(existsSync(join(toy.folder, "data/work.duckdb")), false, "before anything runs");
        toy.close();
    });
}

test("finds a partition column that is gone although the model was found sound before", async () => {
    const toy = model("select 1 as n, 'x' as s", "true");
    await toy.build();
    toy.write("models/_models.yml", "models: [{name: m, config: {unique_key: n, export: {partition_by: gone}}}]");
    assert.match(await messageOfBuild(toy), /partition_by names a column "gone"/);
    toy.close();
});

test("exports the history of a snapshot by its own columns", async () => {
    const toy = toyProject({
        "models/m.sql": "select n, 'x' as s from range(2) as r(n)",
        "models/_models.yml": `models: [{name: m}]
snapshots:
  - name: past
    relation: ref('m')
    config: {unique_key: n, strategy: check, check_cols: all, export: {format: json, partition_by: dbt_valid_to}}
`,
    });
    await toy.build();
    assert.equal(exportsOf(toy), ["past.ndjson/dbt_valid_to=__HIVE_DEFAULT_PARTITION__/data_0.ndjson"]);
    toy.close();
});

test.run();
