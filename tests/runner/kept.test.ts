// What incremental models of `full_refresh: false` hold, nobody can make again.
import { rmSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { clean } from "../../runner/commands/clean.ts";
import { verify } from "../../runner/commands/verify.ts";
import { numbersFromSeed, seed } from "../random.ts";
import { suite } from "../suite.ts";
import { makeDatabase, type Toy, toyProject } from "./toy.ts";

const test = suite("kept");

const declared = "models: [{name: m, config: {materialized: incremental, full_refresh: false}}]";

/** The seed's rows come and go; the model `m` keeps all that it ever saw. */
function memoryProject(rows: string, files: Readonly<Record<string, string>> = {}): Toy {
    return toyProject({
        "seeds/s.csv": `id,v\n${rows}`,
        "models/m.sql":
            "select id, v from {{ref.s}}{{#incremental}} where id not in (select id from {{this}}){{/incremental}}",
        "models/_models.yml": declared,
        ...files,
    });
}

async function then(toy: Toy, rows: string, options: Parameters<Toy["build"]>[0] = {}): Promise<void> {
    toy.write("seeds/s.csv", `id,v\n${rows}`);
    await toy.build(options);
}

async function kept(toy: Toy, file?: string): Promise<unknown[][]> {
    return (await toy.rows("from main.m order by all", file)).map((row) => [Number(row.id), row.v]);
}

const both = [
    [1, "a"],
    [2, "b"],
];

test("keeps what is gone, whatever is asked for", async () => {
    const toy = memoryProject("1,a\n");
    await toy.build();
    await then(toy, "2,b\n", { fullRefresh: true });
    assert.equal(await kept(toy), both);
    toy.close();
});

test("takes it over from what is published when the work file is lost", async () => {
    const toy = memoryProject("1,a\n");
    await toy.build();
    rmSync(join(toy.folder, "data/work.duckdb"));
    await then(toy, "2,b\n");
    assert.match(toy.said(), /The history of m is taken over from what is published/);
    assert.equal(await kept(toy), both);
    toy.close();
});

for (const [through, files] of [
    ["a source", { "models/m.sql": "select id from {{source.sea.fish}}" }],
    ["a table", { "models/m.sql": "select id from {{ref.t}}", "models/t.sql": "select id from {{source.sea.fish}}" }],
    [
        "an ephemeral model",
        {
            "models/m.sql": "select id from {{ref.e}}",
            "models/e.sql": "{{! config: {materialized: ephemeral} }}select id from {{ref.t}}",
            "models/t.sql": "select id from {{source.sea.fish}}",
        },
    ],
] as const) {
    test(`takes nothing in twice from ${through} when the work file is lost`, async () => {
        const toy = toyProject({
            "targets/dev.ts": 'export default { folder: "data", attach: { lake: "lake.duckdb" } };',
            "models/_sources.yml": "sources: [{name: sea, database: lake, schema: main, tables: [{name: fish}]}]",
            "models/_models.yml": declared,
            ...files,
        });
        const land = async (id: number): Promise<void> => {
            rmSync(join(toy.folder, "lake.duckdb"), { force: true });
            await makeDatabase(join(toy.folder, "lake.duckdb"), `create table fish as select ${id} as id`);
        };
        const ids = async (): Promise<string> => (await toy.rows("from m order by id")).map(({ id }) => id).join(" ");
        await land(1);
        assert.ok((await toy.build()).ok, toy.said());
        rmSync(join(toy.folder, "data/work.duckdb"));
        assert.ok((await toy.build()).ok, toy.said());
        assert.is(await ids(), "1");
        // In two steps, as after a kill: the history before what it was made of, or after.
        for (const select of [["m"], ["t"]]) {
            assert.equal(await clean({ projectDir: toy.folder }), ["artifacts/dev", "data/work.duckdb"]);
            await toy.build({ select });
            assert.ok((await toy.build()).ok, toy.said());
            assert.is(await ids(), "1");
        }
        await land(2);
        assert.ok((await toy.build()).ok, toy.said());
        assert.is(await ids(), "1 2");
        toy.close();
    });
}

for (const [kind, files] of [
    ["table", { "models/_models.yml": "models: [{name: m, config: {materialized: table}}]" }],
    ["view", { "models/_models.yml": "models: [{name: m, config: {materialized: view}}]" }],
    ["seed", { "seeds/m.csv": "id\n1\n" }],
] as const) {
    test(`refuses to make a ${kind} in place of what can't be made again`, async () => {
        const toy = memoryProject("1,a\n");
        await toy.build();
        await then(toy, "2,b\n");
        toy.write("models/_models.yml", "version: 2");
        for (const [path, text] of Object.entries(files)) toy.write(path, text);
        toy.write("models/m.sql", "select id, v from {{ref.s}}");
        if (kind === "seed") rmSync(join(toy.folder, "models/m.sql"));
        const said = await toy.build().then(
            () => "",
            (error: Error) => error.message,
        );
        assert.match(
            said,
            /m\.(sql|csv).* {2}the work file holds history of "m" that can't be made again, which this would/,
        );
        assert.equal(await kept(toy, "data/work.duckdb"), both);
        toy.close();
    });
}

test("makes a table of it once it is declared that it can be made again", async () => {
    const toy = memoryProject("1,a\n");
    await toy.build();
    await then(toy, "2,b\n");
    toy.write("models/_models.yml", "models: [{name: m, config: {materialized: incremental}}]");
    await toy.build();
    assert.equal(await kept(toy), both);
    toy.write("models/m.sql", "select id, v from {{ref.s}}");
    toy.write("models/_models.yml", "models: [{name: m, config: {materialized: table}}]");
    assert.ok((await toy.build()).ok, toy.said());
    assert.equal(await kept(toy), [[2, "b"]]);
    toy.close();
});

test("takes nothing in again because it is declared to be kept, or no longer", async () => {
    const appended = (keep: string): string => `models: [{name: m, config: {materialized: incremental${keep}}}]`;
    const toy = memoryProject("1,a\n", {
        "models/m.sql": "select id, v from {{ref.s}}",
        "models/_models.yml": appended(""),
    });
    await toy.build();
    for (const keep of [", full_refresh: false", "", ", full_refresh: false"]) {
        toy.write("models/_models.yml", appended(keep));
        assert.ok((await toy.build()).ok, toy.said());
        assert.equal(await kept(toy), [[1, "a"]]);
    }
    // It is known all the same, also to what looks at the work file alone.
    toy.write("models/_models.yml", "models: [{name: m, config: {materialized: table}}]");
    const said = await toy.build().then(
        () => "",
        (error: Error) => error.message,
    );
    assert.match(said, /holds history of "m" that can't be made again/);
    toy.close();
});

test("takes nothing over for a model that can be made anew", async () => {
    const toy = memoryProject("1,a\n", {
        "models/_models.yml": "models: [{name: m, config: {materialized: incremental}}]",
    });
    await toy.build();
    await clean({ projectDir: toy.folder });
    await then(toy, "2,b\n");
    assert.equal(await kept(toy), [[2, "b"]]);
    toy.close();
});

for (const [what, rows] of [
    ["nowhere", undefined],
    ["without its newest row", "1,a\n2,b\n"],
] as const) {
    test(`clean refuses to remove what is published ${what}, and removes what is`, async () => {
        const toy = memoryProject("1,a\n");
        if (rows === undefined) {
            await toy.build({ command: "seed" });
            await toy.build({ command: "run" });
        } else {
            await toy.build();
            await then(toy, rows, { keepsPublication: true });
        }
        let said = "";
        await clean({ projectDir: toy.folder }).catch((error: Error) => {
            said = error.message;
        });
        assert.match(
            said,
            /holds history of "m" that is published nowhere and can't be made again: .* remove data\/work\.duckdb yourself$/,
        );
        assert.ok((await toy.build({ fullRefresh: true })).ok, toy.said());
        const before = await kept(toy);
        assert.equal(await clean({ projectDir: toy.folder }), ["artifacts/dev", "data/work.duckdb"]);
        assert.ok((await toy.build()).ok, toy.said());
        assert.equal(await kept(toy), before);
        toy.close();
    });
}

test("a build keeps the table of a model that is no longer declared", async () => {
    const toy = memoryProject("1,a\n", { "models/n.sql": "select 1 as one" });
    await toy.build();
    rmSync(join(toy.folder, "models/m.sql"));
    toy.write("models/_models.yml", "version: 2");
    assert.ok((await toy.build()).ok, toy.said());
    assert.equal(await kept(toy, "data/work.duckdb"), [[1, "a"]]);
    toy.close();
});

test("verify says that it is kept, and compares it when it is named", async () => {
    const toy = memoryProject("1,a\n");
    await toy.build();
    await then(toy, "2,b\n");
    const said: string[] = [];
    const output = { out: (line: string) => void said.push(line), note: () => undefined };
    assert.ok(await verify({ projectDir: toy.folder, limit: 5 }, output));
    assert.equal(said, ["m: keeps what can't be made again (full_refresh: false); name it to compare it"]);
    assert.not(await verify({ projectDir: toy.folder, limit: 5, select: ["m"] }, output));
    assert.match(said.at(-1) ?? "", /m: a full refresh would add 0 rows, remove 1 and change 0/);
    toy.close();
});

test("a change of its columns is refused without advice that it does not follow", async () => {
    const toy = memoryProject("1,a\n");
    await toy.build();
    toy.write("models/m.sql", "select id, v, 1 as more from {{ref.s}}");
    let said = "";
    await toy.build().catch((error: Error) => {
        said = error.message;
    });
    assert.match(
        said,
        /"m" is kept with other columns than its SQL now gives \(\+ more INTEGER\): set on_schema_change$/m,
    );
    toy.close();
});

/** A project with history of two kinds; one of its tests may fail. */
function historyFiles({ version, fails }: { version: number; fails: boolean }): Record<string, string> {
    const tests = fails ? "accepted_values: {values: [0]}" : "not_null";
    return {
        "targets/dev.ts": 'export default { folder: "data", attach: { lake: "lake.duckdb" } };',
        "models/_sources.yml": "sources: [{name: sea, database: lake, schema: main, tables: [{name: fish}]}]",
        "models/t.sql": `select id, ${version} as version from {{source.sea.fish}}`,
        "models/e.sql": "select id, version from {{ref.t}}",
        "models/m.sql": "select id, version from {{ref.e}}",
        "models/counted.sql": "select count(*) as n from {{ref.m}}",
        "models/_models.yml": `models:
  - {name: t, config: {publish: false}, columns: [{name: id, data_tests: [${tests}]}]}
  - {name: e, config: {materialized: ephemeral}}
  - {name: m, config: {materialized: incremental, full_refresh: false}}
snapshots:
  - {name: h, relation: ref('t'), config: {strategy: check, check_cols: all, unique_key: id, hard_deletes: invalidate}}`,
    };
}

test(`holds what a project that never lost its work file holds (SEED=${seed})`, async () => {
    const next = numbersFromSeed();
    const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
    const state = { version: 0, fails: false };
    const twins = [toyProject(historyFiles(state)), toyProject(historyFiles(state))] as const;
    let landed = 0;
    let compared = 0;
    const changes = {
        landing: async () => {
            landed++;
            for (const { folder } of twins) {
                rmSync(join(folder, "lake.duckdb"), { force: true });
                await makeDatabase(
                    join(folder, "lake.duckdb"),
                    `create table fish as select unnest([${landed}, ${landed + 1}]) as id`,
                );
            }
        },
        model: async () => void state.version++,
        test: async () => void (state.fails = !state.fails),
        nothing: async () => undefined,
    };
    await changes.landing();
    while (compared < 10) {
        await pick([changes.landing, changes.model, changes.test, changes.nothing, changes.nothing])();
        const part = pick([{}, { select: ["m"] }, { select: ["t"] }, { select: ["t+"] }, { fullRefresh: true }]);
        for (const options of [part, {}]) {
            const outcomes = [];
            for (const toy of twins) {
                for (const [path, text] of Object.entries(historyFiles(state))) toy.write(path, text);
                outcomes.push((await toy.build(options)).ok);
            }
            if (options === part) continue;
            assert.is(outcomes[0], outcomes[1], twins[1].said());
            if (!outcomes[0]) continue;
            compared++;
            for (const table of ["m", "counted", "(select id, version, dbt_valid_to is null from h) as h"]) {
                const [one, other] = await Promise.all(twins.map((toy) => toy.rows(`from ${table} order by all`)));
                assert.equal(other, one, table);
            }
            rmSync(join(twins[1].folder, "data/work.duckdb"));
        }
    }
    for (const toy of twins) toy.close();
});

test.run();
