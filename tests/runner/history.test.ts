import { rmSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import * as assert from "uvu/assert";
import { suite } from "../suite.ts";
import { type Toy, toyProject } from "./toy.ts";

const test = suite("history");

const files = {
    "models/base.sql": "select 1 as id, 'a' as name, 2 as size",
    "models/middle.sql": "select id, name as label, size * 2 as size from {{ref.base}}",
    "models/mart.sql": "select id, label, size, 1 as one from {{ref.middle}}",
    "models/_models.yml": `models:
  - name: base
    config: {publish: false}
    columns: [{name: id, description: The key.}, {name: name, description: What it is called.}, {name: size, description: In metres.}]
  - {name: middle, config: {publish: false}}
  - {name: mart, columns: [{name: id, description: Its own words.}, {name: label}]}
`,
};

async function described(toy: Toy): Promise<unknown[][]> {
    const columns = await toy.rows(
        "select column_name, description, inherited_from from meta.columns where node = 'mart' order by position",
    );
    const comments = await toy.rows(
        "select comment from duckdb_columns() where table_name = 'mart' and schema_name = 'main' order by column_index",
    );
    return columns.map((row, i) => [...Object.values(row), comments[i]?.comment ?? null]);
}

async function edges(toy: Toy, node = "mart"): Promise<string[]> {
    const rows = await toy.rows(`from meta.lineage where node = '${node}' order by rowid`);
    return rows.map((row) => `${row.column_name} <- ${row.parent}.${row.parent_column} ${row.kind}`);
}

test("publishes lineage, and the descriptions that columns pass on", async () => {
    const toy = toyProject(files);
    await toy.build();
    assert.equal(await described(toy), [
        ["id", "Its own words.", null, "Its own words."],
        ["label", "What it is called.", "base.name", "What it is called. (from base.name)"],
        ["size", "", null, null],
        ["one", "", null, null],
    ]);
    assert.equal(await edges(toy), [
        "id <- middle.id pass-through",
        "label <- middle.label pass-through",
        "size <- middle.size pass-through",
    ]);
    assert.equal(await edges(toy, "middle"), [
        "id <- base.id pass-through",
        "label <- base.name pass-through",
        "size <- base.size transformed",
    ]);
    toy.close();
});

test("publishes an edited description, inherited ones too, and runs nothing for it", async () => {
    const toy = toyProject(files);
    await toy.build();
    const yaml = files["models/_models.yml"];
    toy.write("models/_models.yml", yaml.replace("What it is called.", "Its name."));
    const outcome = await toy.build();
    assert.ok(outcome.publication, "only a description of what is not published itself has changed");
    assert.ok(outcome.results.every(({ status }) => status === "reused"));
    assert.equal((await described(toy))[1], ["label", "Its name.", "base.name", "Its name. (from base.name)"]);
    toy.write(
        "models/_models.yml",
        yaml.replace("publish: false}}", "publish: false}, columns: [{name: label, description: Nearer.}]}"),
    );
    await toy.build();
    assert.equal((await described(toy))[1], ["label", "Nearer.", "middle.label", "Nearer. (from middle.label)"]);
    toy.write("models/_models.yml", yaml.replace("{name: label}", "{name: label, description: Its own}"));
    await toy.build();
    assert.equal((await described(toy))[1], ["label", "Its own", null, "Its own"]);
    assert.is((await toy.build()).publication, undefined, "and the same again is no news");
    toy.close();
});

test("publishes an edited description of what only meta tells of", async () => {
    const toy = toyProject(files);
    await toy.build();
    toy.write("models/_models.yml", files["models/_models.yml"].replace("In metres.", "In feet."));
    assert.ok((await toy.build()).publication);
    const sql = "select description from meta.columns where node = 'base' and column_name = 'size'";
    assert.equal(await toy.rows(sql), [{ description: "In feet." }]);
    assert.is((await toy.build()).publication, undefined);
    toy.close();
});

test("has the lineage of the models as they are, whatever was checked before", async () => {
    const toy = toyProject(files);
    await toy.build();
    const before = await edges(toy);
    toy.write("models/mart.sql", "select id, label || '!' as label, size, 1 as one from {{ref.middle}}");
    await toy.build();
    assert.is((await edges(toy))[1], "label <- middle.label transformed");
    // Found sound once, so there is nothing to check but for the lineage.
    toy.write("models/mart.sql", files["models/mart.sql"]);
    await toy.build();
    assert.equal(await edges(toy), before);
    assert.equal((await described(toy))[1], [
        "label",
        "What it is called.",
        "base.name",
        "What it is called. (from base.name)",
    ]);
    // What is not selected keeps the lineage of what stands.
    toy.write("models/middle.sql", "select id, upper(name) as label, size from {{ref.base}}");
    await toy.build({ command: "run", select: ["mart"] });
    assert.is(
        (
            await toy.rows(
                "select kind from meta.lineage where node = 'middle' and column_name = 'label'",
                "data/work.duckdb",
            )
        )[0]?.kind,
        "pass-through",
    );
    await toy.build();
    assert.equal((await described(toy))[1], ["label", "", null, null]);
    toy.close();
});

test("goes through an ephemeral model, and forgets a model that is no more", async () => {
    const toy = toyProject({
        ...files,
        "models/_models.yml": files["models/_models.yml"].replace(
            "{name: middle, config: {publish: false}}",
            "{name: middle, config: {materialized: ephemeral}}",
        ),
    });
    await toy.build();
    assert.equal((await described(toy))[1], [
        "label",
        "What it is called.",
        "base.name",
        "What it is called. (from base.name)",
    ]);
    toy.write("models/mart.sql", "select id, name as label, size, 1 as one from {{ref.base}}");
    toy.write("models/_models.yml", files["models/_models.yml"].replace(/ {2}- \{name: middle.*\n/, ""));
    rmSync(join(toy.folder, "models", "middle.sql"));
    await toy.build();
    assert.equal(await edges(toy, "middle"), []);
    assert.is((await edges(toy))[1], "label <- base.name pass-through");
    toy.close();
});

test("goes on with a work file of before there was lineage", async () => {
    const toy = toyProject(files);
    await toy.build();
    const instance = await DuckDBInstance.create(join(toy.folder, "data", "work.duckdb"));
    const connection = await instance.connect();
    for (const sql of [
        "drop table meta.lineage",
        "drop table meta.traced",
        "alter table meta.columns drop column inherited_from",
    ])
        await connection.run(sql);
    connection.closeSync();
    instance.closeSync();
    const { results } = await toy.build();
    assert.ok(results.every(({ status }) => status === "reused"));
    assert.is((await toy.rows("from meta.lineage", "data/work.duckdb")).length, 6);
    toy.write(
        "models/_models.yml",
        files["models/_models.yml"].replace("{name: label}", "{name: label, description: Its own}"),
    );
    await toy.build();
    assert.equal((await described(toy))[1], ["label", "Its own", null, "Its own"]);
    assert.is((await edges(toy)).length, 3);
    toy.close();
});

test.run();
