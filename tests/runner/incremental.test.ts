import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { Database } from "../../runner/duckdb.ts";
import { fc } from "../random.ts";
import { suite } from "../suite.ts";
import { makeDatabase, type Toy, toyProject } from "./toy.ts";

const test = suite("incremental");

const sources =
    "sources: [{name: shop, database: landing, schema: main, tables: [{name: events, columns: [{name: id, data_type: bigint}, {name: day, data_type: date}, {name: v, data_type: bigint}]}]}]";
const target = 'export default { folder: "data", attach: { landing: "landing.duckdb" } };';

/** A project with the model `m` over landed events (id, day, v). */
function eventProject(sql: string, config: string, more: Record<string, string> = {}): Toy {
    return toyProject({
        "targets/dev.ts": target,
        "models/_sources.yml": sources,
        "models/m.sql": sql,
        "models/_models.yml": `models: [{name: m, config: {materialized: incremental, ${config}}}]`,
        ...more,
    });
}

type Event = readonly [id: number, day: number, v: number];

async function land(toy: Toy, events: readonly Event[]): Promise<void> {
    const path = join(toy.folder, "landing.duckdb");
    if (existsSync(path)) rmSync(path);
    const values = events.map(([id, day, v]) => `(${id}, date '2024-01-01' + ${day}, ${v})`).join(", ");
    const rows = events.length === 0 ? "" : `; insert into events values ${values}`;
    await makeDatabase(path, `create table events (id bigint, day date, v bigint)${rows}`);
}

async function table(toy: Toy, file?: string): Promise<unknown[][]> {
    return (await toy.rows("select * from main.m order by all", file)).map((row) => Object.values(row));
}

const watermark =
    "select id, day, v from {{source.shop.events}}{{#incremental}} where id > (select max(id) from {{this}}){{/incremental}}";

test("appends what the incremental section lets through", async () => {
    const toy = eventProject(watermark, "incremental_strategy: append");
    await land(toy, [[1, 0, 10]]);
    assert.ok((await toy.build()).ok, toy.said());
    // The first row changes, which a run that reads only what is new does not see.
    await land(toy, [
        [1, 0, 99],
        [2, 1, 20],
    ]);
    const { results, ok } = await toy.build();
    assert.ok(ok, toy.said());
    assert.equal(
        results.map(({ node, rows, newRows }) => [node.name, rows, newRows]),
        [["m", 2, 1]],
    );
    assert.match(toy.said(), /OK {5}incremental {2}main\.m {2}2 rows {2}1 of them from this run/);
    assert.equal(await table(toy), [
        ["1", "2024-01-01", "10"],
        ["2", "2024-01-02", "20"],
    ]);
    await toy.build({ fullRefresh: true });
    assert.equal((await table(toy))[0], ["1", "2024-01-01", "99"]);
    toy.close();
});

test("takes all into a table that is empty", async () => {
    const toy = eventProject(watermark, "");
    await land(toy, []);
    await toy.build();
    await land(toy, [[1, 0, 10]]);
    assert.ok((await toy.build()).ok, toy.said());
    assert.is((await table(toy)).length, 1);
    toy.close();
});

test("says of a model that goes on why it does, and reuses it when nothing has changed", async () => {
    const toy = eventProject(watermark, "");
    await land(toy, [[1, 0, 10]]);
    await toy.build();
    await toy.build({ explain: true });
    assert.match(toy.said(), /m {2}reused/);
    await land(toy, [[1, 0, 11]]);
    await toy.build({ explain: true });
    assert.match(toy.said(), /m {2}goes on: shop\.events has changed/);
    await toy.build({ explain: true, fullRefresh: true });
    assert.match(toy.said(), /m {2}runs: --full-refresh/);
    toy.close();
});

for (const [strategy, expected] of [
    // Key 1 comes twice: delete+insert keeps both rows of the run, as dbt does.
    [
        "delete+insert",
        [
            ["1", "x"],
            ["1", "y"],
            ["2", "old"],
            [null, "new"],
        ],
    ],
    [
        "append",
        [
            ["1", "old"],
            ["1", "x"],
            ["1", "y"],
            ["2", "old"],
            [null, "new"],
            [null, "old"],
        ],
    ],
] as const) {
    test(`takes rows in by ${strategy}, NULL being a key like any other`, async () => {
        const toy = toyProject({
            "seeds/s.csv": "id,v\n1,old\n2,old\n,old\n",
            "seeds/_seeds.yml": "seeds: [{name: s, config: {column_types: {id: integer}}}]",
            "models/m.sql": "select id, v from {{ref.s}}",
            "models/_models.yml": `models: [{name: m, config: {materialized: incremental, unique_key: id, incremental_strategy: ${strategy}}}]`,
        });
        await toy.build();
        toy.write("seeds/s.csv", "id,v\n1,x\n1,y\n,new\n");
        assert.ok((await toy.build()).ok, toy.said());
        assert.equal(
            (await table(toy)).map(([id, v]) => [id === null ? null : String(id), v]),
            expected,
        );
        toy.close();
    });
}

const merging = (config = ""): Toy =>
    toyProject({
        "seeds/s.csv": "a,b,v,w\n1,1,old,old\n2,,old,old\n",
        "seeds/_seeds.yml": "seeds: [{name: s, config: {column_types: {a: integer, b: integer}}}]",
        "models/m.sql": "select a, b, v, w from {{ref.s}}",
        "models/_models.yml": `models: [{name: m, config: {materialized: incremental, unique_key: [a, b], incremental_strategy: merge${config}}}]`,
    });

for (const [what, config, expected] of [
    ["all columns", "", ["new", "new"]],
    ["the columns of merge_update_columns", ", merge_update_columns: [v]", ["new", "old"]],
    ["all but those of merge_exclude_columns", ", merge_exclude_columns: v", ["old", "new"]],
] as const) {
    test(`merges by several keys, and sets ${what}`, async () => {
        const toy = merging(config);
        await toy.build();
        toy.write("seeds/s.csv", "a,b,v,w\n2,,new,new\n3,1,new,new\n");
        assert.ok((await toy.build()).ok, toy.said());
        assert.equal(await table(toy), [
            [1, 1, "old", "old"],
            [2, null, ...expected],
            [3, 1, "new", "new"],
        ]);
        toy.close();
    });
}

test("refuses to merge two rows of one key, names the key, and leaves the table as it was", async () => {
    const toy = merging();
    await toy.build();
    toy.write("seeds/s.csv", "a,b,v,w\n1,1,x,x\n2,,y,y\n2,,z,z\n");
    assert.not((await toy.build()).ok);
    assert.match(toy.said(), /models\/m\.sql {2}2 rows have the unique_key a=2, b=null/);
    assert.equal(
        (await toy.rows("select v from main.m order by a", "data/work.duckdb")).map((row) => row.v),
        ["old", "old"],
    );
    toy.write("seeds/s.csv", "a,b,v,w\n2,,y,y\n");
    assert.ok((await toy.build()).ok, toy.said());
    assert.equal(
        (await table(toy)).map((row) => row[2]),
        ["old", "y"],
    );
    toy.close();
});

const daily = "incremental_strategy: microbatch, event_time: day, batch_size: day";

test("makes the window of a microbatch anew, look-back and rows without a time included", async () => {
    const toy = eventProject(
        "select day, sum(v) as v from {{source.shop.events}}{{#incremental}} where day >= {{window_start}} or day is null{{/incremental}} group by day",
        `${daily}, lookback: 1`,
    );
    await land(toy, [
        [1, 0, 1],
        [2, 1, 1],
        [3, 2, 1],
    ]);
    await toy.build();
    // Late rows: one in the look-back, one before it, which a full refresh takes.
    await land(toy, [
        [1, 0, 100],
        [2, 1, 5],
        [3, 2, 1],
        [4, 3, 7],
    ]);
    assert.ok((await toy.build()).ok, toy.said());
    assert.equal(
        (await table(toy)).map(([, v]) => v),
        ["1", "5", "1", "7"],
    );
    toy.close();
});

test("takes a window's time whatever it is called", async () => {
    const toy = eventProject(
        'select day as "at", v from {{source.shop.events}}{{#incremental}} where day >= {{window_start}}{{/incremental}}',
        "incremental_strategy: microbatch, event_time: at",
    );
    await land(toy, [[1, 0, 1]]);
    await toy.build();
    await land(toy, [[1, 0, 2]]);
    assert.ok((await toy.build()).ok, toy.said());
    assert.equal(await table(toy), [["2024-01-01", "2"]]);
    toy.close();
});

for (const [mode, expected] of [
    ["ignore", ["id", "v"]],
    ["append_new_columns", ["id", "v", "more"]],
    ["sync_all_columns", ["id", "v", "more"]],
] as const) {
    test(`with on_schema_change: ${mode} a new column leaves ${expected.join(", ")}`, async () => {
        const toy = toyProject({
            "seeds/s.csv": "id,v\n1,2\n",
            "models/m.sql": "select id, v from {{ref.s}}",
            "models/reader.sql": "select * from {{ref.m}}",
            "models/_models.yml": `models: [{name: m, config: {materialized: incremental, on_schema_change: ${mode}}}]`,
        });
        await toy.build();
        toy.write("models/m.sql", "select id + 1 as id, v, 'x' as more from {{ref.s}}");
        assert.ok((await toy.build()).ok, toy.said());
        // What reads the model is checked against the columns that it will have.
        assert.equal(Object.keys((await toy.rows("select * from reader"))[0] ?? {}), expected);
        assert.is((await table(toy)).length, 2);
        toy.close();
    });
}

for (const [mode, sql, message] of [
    [
        "fail",
        "select id, v::varchar as v, 1 as more from {{ref.s}}",
        /_models\.yml:1:\d+ {2}"m" is kept with other columns than its SQL now gives \(\+ more INTEGER, - gone, ~ v BIGINT to VARCHAR\)/,
    ],
    ["ignore", "select id, v from {{ref.s}}", /"m" is kept with a column "gone" that its SQL no longer gives/],
] as const) {
    test(`with on_schema_change: ${mode} refuses other columns before anything runs`, async () => {
        const toy = toyProject({
            "seeds/s.csv": "id,v,gone\n1,2,3\n",
            "models/m.sql": "select * from {{ref.s}}",
            "models/_models.yml": `models: [{name: m, config: {materialized: incremental, on_schema_change: ${mode}}}]`,
        });
        await toy.build();
        toy.write("models/m.sql", sql);
        let said = "";
        await toy.build().catch((error: Error) => {
            said = error.message;
        });
        assert.match(said, message);
        assert.is((await table(toy)).length, 1);
        assert.ok((await toy.build({ fullRefresh: true })).ok);
        // The columns that were refused are sound now, those from before no longer: nothing is taken from memory.
        toy.write("models/m.sql", "select * from {{ref.s}}");
        said = "";
        await toy.build().catch((error: Error) => {
            said = error.message;
        });
        assert.match(said, mode === "fail" ? /is kept with other columns/ : /^$/);
        toy.close();
    });
}

test("with on_schema_change: sync_all_columns drops and changes columns too", async () => {
    const toy = toyProject({
        "seeds/s.csv": "id,v,gone\n1,2,3\n",
        "models/m.sql": "select id, v, gone from {{ref.s}}",
        "models/_models.yml":
            "models: [{name: m, config: {materialized: incremental, on_schema_change: sync_all_columns}}]",
    });
    await toy.build();
    toy.write("models/m.sql", "select 9 as added, id, v::varchar || '!' as v from {{ref.s}}");
    assert.ok((await toy.build()).ok, toy.said());
    assert.equal(await toy.rows("select id, v, added from m order by all"), [
        { id: "1", v: "2", added: null },
        { id: "1", v: "2!", added: 9 },
    ]);
    toy.close();
});

test("switching a model's kind just works", async () => {
    const toy = toyProject({ "seeds/s.csv": "id\n1\n", "models/m.sql": "select id from {{ref.s}}" });
    for (const [kind, rows] of [
        ["view", 1],
        ["incremental", 1],
        ["view", 1],
        ["table", 1],
        ["incremental", 2],
        ["ephemeral", undefined],
        ["incremental", 1],
    ] as const) {
        toy.write("models/_models.yml", `models: [{name: m, config: {materialized: ${kind}}}]`);
        assert.ok((await toy.build()).ok, toy.said());
        if (rows !== undefined) assert.is((await table(toy)).length, rows, kind);
    }
    toy.close();
});

test("never makes anew what says full_refresh: false", async () => {
    const toy = eventProject("select id, v from {{source.shop.events}}", "unique_key: id, full_refresh: false");
    await land(toy, [[1, 0, 1]]);
    await toy.build();
    await land(toy, [[2, 0, 1]]);
    await toy.build({ fullRefresh: true });
    assert.is((await table(toy)).length, 2);
    toy.close();
});

test("keeps rows without a time when a microbatch gives none", async () => {
    const toy = toyProject({
        "seeds/s.csv": "id,day\n1,2024-01-01\n2,\n",
        "models/m.sql": "select id, day from {{ref.s}}{{#incremental}} where day >= {{window_start}}{{/incremental}}",
        "models/_models.yml": `models: [{name: m, config: {materialized: incremental, ${daily}}}]`,
    });
    await toy.build();
    toy.write("seeds/s.csv", "id,day\n1,2024-01-01\n2,\n3,2024-01-02\n");
    assert.ok((await toy.build()).ok, toy.said());
    assert.equal(
        (await table(toy)).map(([id]) => id),
        ["1", "2", "3"],
    );
    toy.close();
});

for (const [mode, before, after, message] of [
    [
        "ignore",
        "1",
        "2.7",
        /models\/m\.sql {2}"v" is DECIMAL.*, and its 2\.7 would be lost in a column of INTEGER: set/,
    ],
    [
        "append_new_columns",
        "1",
        "'x'",
        /models\/m\.sql {2}"v" is VARCHAR, and its x would be lost in a column of INTEGER/,
    ],
    [
        "sync_all_columns",
        "2.5",
        "1",
        /models\/m\.sql {2}"v" is DECIMAL.*, and its 2\.5 would be lost in a column of INTEGER: cast/,
    ],
    ["ignore", "1", "2::double", undefined],
    ["sync_all_columns", "'2'", "1", undefined],
] as const) {
    const ending = message === undefined ? "is taken in" : "is refused, not rounded";
    test(`with on_schema_change: ${mode} ${after} into a column of ${before} ${ending}`, async () => {
        const toy = toyProject({
            "models/m.sql": `select ${before} as v`,
            "models/_models.yml": `models: [{name: m, config: {materialized: incremental, on_schema_change: ${mode}}}]`,
        });
        await toy.build();
        toy.write("models/m.sql", `select ${after} as v`);
        assert.is((await toy.build()).ok, message === undefined, toy.said());
        if (message !== undefined) assert.match(toy.said(), message);
        const rows = await toy.rows("select v from main.m", "data/work.duckdb");
        assert.is(rows.length, message === undefined ? 2 : 1);
        toy.close();
    });
}

test("refuses a window over a table that has no such time yet, before anything runs", async () => {
    const toy = toyProject({
        "models/m.sql": "select 1 as id",
        "models/_models.yml": "models: [{name: m, config: {materialized: incremental}}]",
    });
    await toy.build();
    toy.write("models/m.sql", "select 1 as id, date '2024-01-01' as day");
    toy.write(
        "models/_models.yml",
        `models: [{name: m, config: {materialized: incremental, on_schema_change: sync_all_columns, ${daily}}}]`,
    );
    let said = "";
    await toy.build().catch((error: Error) => {
        said = error.message;
    });
    assert.match(said, /_models\.yml:1:\d+ {2}"m" is kept without its event_time "day": .* --full-refresh/);
    assert.ok((await toy.build({ fullRefresh: true })).ok, toy.said());
    toy.close();
});

test("goes on from what is published with full_refresh: false when the work file is lost", async () => {
    const toy = eventProject("select id, v from {{source.shop.events}}", "unique_key: id, full_refresh: false");
    for (const id of [1, 2]) {
        await land(toy, [[id, 0, 1]]);
        assert.ok((await toy.build()).ok, toy.said());
    }
    rmSync(join(toy.folder, "data/work.duckdb"));
    await land(toy, [[3, 0, 1]]);
    assert.ok((await toy.build()).ok, toy.said());
    assert.match(toy.said(), /The history of m is taken over from what is published/);
    assert.is((await table(toy)).length, 3);
    toy.close();
});

for (const [what, sql, config, message] of [
    [
        "this outside of the section",
        "select 1 as id from {{this}}",
        "",
        /models\/m\.sql:1:21 {2}"this" means nothing in a first run: write it inside \{\{#incremental\}\}/,
    ],
    [
        "a mistake inside of the section",
        "select 1 as id{{#incremental}}\nwhere idd > 1{{/incremental}}",
        "",
        /models\/m\.sql:2:7 {2}unknown column "idd"/,
    ],
    [
        "a section that gives other columns",
        "select 1 as id{{#incremental}}, 2 as more{{/incremental}}",
        "",
        /models\/m\.sql:1:1 {2}an incremental run gives a column "more", which a first run does not/,
    ],
    [
        "a section that gives another type",
        "select {{#incremental}}'a'{{/incremental}}{{^incremental}}1{{/incremental}} as id",
        "",
        /an incremental run gives "id" as VARCHAR, a first run as INTEGER/,
    ],
    ["a merge without a key", "select 1 as id", "incremental_strategy: merge", /"merge" needs a unique_key/],
    ["a window without a time", "select 1 as id", "incremental_strategy: microbatch", /needs an "event_time"/],
    [
        "a window without a window",
        "select 1 as id{{#incremental}} where {{window_start}} is null{{/incremental}}",
        "",
        /"window_start" needs an incremental model with an "event_time"/,
    ],
    [
        "an event_time that is no time",
        "select 'x' as day",
        "incremental_strategy: microbatch, event_time: day",
        /event_time is "day", which is VARCHAR; expected a date or a timestamp/,
    ],
    [
        "an event_time that is not there",
        "select 1 as id",
        "incremental_strategy: microbatch, event_time: day",
        /event_time names a column "day" that "m" has not/,
    ],
    ["a misspelt setting", "select 1 as id", "incremental_stratgy: append", /unknown key "incremental_stratgy"/],
] as const) {
    test(`rejects ${what} before anything runs`, async () => {
        const toy = toyProject({
            "models/m.sql": sql,
            "models/_models.yml": `models: [{name: m, config: {materialized: incremental, ${config}}}]`,
        });
        let said = "";
        await toy.build().catch((error: Error) => {
            said = error.message;
        });
        assert.match(said, message);
        toy.close();
    });
}

test("rejects the section in a macro", async () => {
    const toy = toyProject({
        "macros/f.sql": "{{#incremental}}1{{/incremental}}",
        "models/m.sql": "select {{#f}}{{/f}} as id",
    });
    let said = "";
    await toy.build().catch((error: Error) => {
        said = error.message;
    });
    assert.match(said, /macros\/f\.sql:1:1 {2}\{\{#incremental\}\} has a meaning in models only/);
    toy.close();
});

test("tells a mistake of a run inside the section at its place", async () => {
    const toy = eventProject(
        "select id, day, v from {{source.shop.events}}\n{{#incremental}}where\n    cast('x' || id as integer) > 0{{/incremental}}",
        "",
    );
    await land(toy, [[1, 0, 10]]);
    await toy.build();
    await land(toy, [[2, 0, 10]]);
    assert.not((await toy.build()).ok);
    assert.match(toy.said(), /models\/m\.sql(:3:5)? {2}.*onver/);
    assert.is((await table(toy)).length, 1);
    toy.close();
});

test("tells a mistake of a run into an empty table at its place in the SQL that ran", async () => {
    const toy = toyProject({
        "seeds/s.csv": "v\n",
        "seeds/_seeds.yml": "seeds: [{name: s, config: {column_types: {v: varchar}}}]",
        "models/m.sql": "select {{#incremental}}1 + {{/incremental}}cast(v as integer) as v from {{ref.s}}",
        "models/_models.yml": "models: [{name: m, config: {materialized: incremental}}]",
    });
    assert.ok((await toy.build()).ok, toy.said());
    toy.write("seeds/s.csv", "v\nx\n");
    assert.not((await toy.build()).ok);
    assert.match(toy.said(), /models\/m\.sql:1:44 {2}could not convert/);
    toy.close();
});

test("finds the columns of a key in whatever case it names them", async () => {
    const toy = toyProject({
        "seeds/s.csv": "Id,v\n1,old\n2,old\n",
        "models/m.sql": "select Id, v from {{ref.s}}",
        "models/_models.yml":
            "models: [{name: m, config: {materialized: incremental, unique_key: iD, incremental_strategy: merge}}]",
    });
    await toy.build();
    toy.write("seeds/s.csv", "Id,v\n2,new\n3,new\n");
    assert.ok((await toy.build()).ok, toy.said());
    assert.equal(await table(toy), [
        ["1", "old"],
        ["2", "new"],
        ["3", "new"],
    ]);
    toy.write("seeds/s.csv", "Id,v\n2,x\n2,y\n");
    assert.not((await toy.build()).ok);
    assert.match(toy.said(), /2 rows have the unique_key Id=2/i);
    toy.close();
});

// Incremental runs over batches end where one full build of everything ends: a key's newest version counts, rows come late,
// twice, and again.
const event = fc.tuple(fc.nat(5), fc.nat(6), fc.nat(3));
const latest = `select id, max(day) as day, max(v) as v
from {{source.shop.events}} as e
{{#incremental}}where id in (select n.id from {{source.shop.events}} as n left join {{this}} as t on t.id = n.id where t.id is null or n.day > t.day or n.v > t.v){{/incremental}}
group by id`;

for (const [strategy, sql, config] of [
    ["merge", latest, "unique_key: id, incremental_strategy: merge"],
    ["delete+insert", latest, "unique_key: id"],
    // All rows of an id come in one batch, so what is not there yet is new.
    [
        "append",
        "select distinct id, day, v from {{source.shop.events}} as e{{#incremental}} where not exists (select 1 from {{this}} as t where t.id = e.id and t.day = e.day and t.v = e.v){{/incremental}}",
        "incremental_strategy: append",
    ],
    // The window reaches over all days that can come late.
    [
        "microbatch",
        "select day, count(*) as n, sum(v) as v from {{source.shop.events}}{{#incremental}} where day >= {{window_start}}{{/incremental}} group by day",
        "incremental_strategy: microbatch, event_time: day, lookback: 7",
    ],
] as const) {
    test(`${strategy} over any batches gives what a full build gives`, async () => {
        await fc.assert(
            fc.asyncProperty(
                fc.array(fc.array(event, { maxLength: 6 }), { minLength: 1, maxLength: 4 }),
                async (batches) => {
                    const toy = eventProject(sql, config);
                    try {
                        const landed: Event[] = [];
                        for (const batch of batches) {
                            landed.push(...batch);
                            await land(toy, landed);
                            assert.ok((await toy.build({ keepsPublication: true })).ok, toy.said());
                        }
                        const kept = await table(toy, "data/work.duckdb");
                        await toy.build({ fullRefresh: true, keepsPublication: true });
                        assert.equal(kept, await table(toy, "data/work.duckdb"));
                    } finally {
                        toy.close();
                    }
                },
            ),
            { numRuns: 6 },
        );
    });
}

test("appends no row twice when Ctrl-C stops the checkpoint after it", async () => {
    const toy = eventProject("select id, day, v from {{source.shop.events}}", "incremental_strategy: append");
    await land(toy, [[1, 0, 1]]);
    assert.ok((await toy.build()).ok, toy.said());
    await land(toy, [[2, 1, 1]]);
    const interruption = new AbortController();
    const { run } = Database.prototype;
    const { now } = performance;
    // Each node takes more than a second, after which a checkpoint follows.
    performance.now = () => now.call(performance) * 10_000;
    Database.prototype.run = function (sql) {
        if (sql === "checkpoint") {
            Database.prototype.run = run;
            performance.now = now;
            interruption.abort();
            return run.call(this, "this is no SQL");
        }
        return run.call(this, sql);
    };
    const message = await toy.build({ signal: interruption.signal }).then(
        () => "built",
        (error: Error) => error.message,
    );
    assert.match(message, /^interrupted after m\. What people read is as it was$/);
    assert.ok((await toy.build()).ok, toy.said());
    assert.equal(await toy.rows("select count(*) as n from m"), [{ n: "2" }]);
    toy.close();
});

test("publishes nothing that was built or tested on what a --full-refresh has made anew since", async () => {
    const toy = eventProject(watermark, "incremental_strategy: append", {
        "models/c.sql": "select count(*) as n from {{ref.m}}",
    });
    toy.write(
        "models/_models.yml",
        "models: [{name: m, config: {materialized: incremental, incremental_strategy: append}, columns: [{name: v, data_tests: [not_null]}]}]",
    );
    await land(toy, [[5, 0, 10]]);
    assert.ok((await toy.build()).ok, toy.said());
    await land(toy, [
        [1, 0, 10],
        [5, 0, 10],
    ]);
    assert.ok((await toy.build()).ok, toy.said());
    assert.equal(await toy.rows("select n from c"), [{ n: "1" }]);
    const alone = await toy.build({ select: ["m"], fullRefresh: true });
    assert.not.ok(alone.ok);
    assert.match(toy.said(), /c was built on what was made anew since: take it in with --select "c"/);
    await toy.build({ command: "run", select: ["m"], fullRefresh: true });
    const { results, ok } = await toy.build();
    assert.ok(ok, toy.said());
    assert.equal(
        results.map(({ node, status }) => `${node.name} ${status}`),
        ["m reused", "not_null_m_v pass", "c success"],
    );
    assert.equal(await toy.rows("select n from c"), [{ n: "2" }]);
    toy.close();
});

test.run();
