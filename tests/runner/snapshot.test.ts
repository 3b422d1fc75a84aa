import { rmSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { clean } from "../../runner/commands/clean.ts";
import { fc } from "../random.ts";
import { suite } from "../suite.ts";
import { type Toy, toyProject } from "./toy.ts";

const test = suite("snapshot");

/** A project whose snapshot `h` keeps what the seed `s` (k, v, at) has been. */
function history(rows: string, config: string, more: Record<string, string> = {}): Toy {
    return toyProject({
        "seeds/s.csv": `k,v,at\n${rows}`,
        "seeds/_seeds.yml": "seeds: [{name: s, config: {column_types: {k: integer, at: timestamp}}}]",
        "models/_snapshots.yml": `snapshots: [{name: h, relation: ref('s'), config: {unique_key: k, ${config}}}]`,
        ...more,
    });
}

const byTime = "strategy: timestamp, updated_at: at";

/** k, v, and whether the version has ended. */
async function versions(toy: Toy, columns = "k, v, dbt_valid_to is not null"): Promise<unknown[][]> {
    const rows = await toy.rows(`select ${columns} from h order by k, dbt_valid_from, dbt_valid_to nulls last`);
    return rows.map((row) => Object.values(row));
}

async function then(toy: Toy, rows: string): Promise<void> {
    toy.write("seeds/s.csv", `k,v,at\n${rows}`);
    assert.ok((await toy.build()).ok, toy.said());
}

test("keeps by timestamp what rows have been, and from when to when", async () => {
    const toy = history("1,a,2024-01-01\n2,b,2024-01-01\n", byTime);
    assert.ok((await toy.build()).ok, toy.said());
    await then(toy, "1,a2,2024-01-02\n2,late change without a new time,2024-01-01\n3,c,2024-01-02\n");
    assert.equal(await versions(toy, "k, v, dbt_valid_from::varchar, dbt_valid_to::varchar"), [
        [1, "a", "2024-01-01 00:00:00", "2024-01-02 00:00:00"],
        [1, "a2", "2024-01-02 00:00:00", null],
        [2, "b", "2024-01-01 00:00:00", null],
        [3, "c", "2024-01-02 00:00:00", null],
    ]);
    const ids = await toy.rows("select count(distinct dbt_scd_id) as n, count(*) as of from h");
    assert.equal(ids, [{ n: "4", of: "4" }]);
    // --full-refresh never makes history anew, as in dbt.
    await toy.build({ fullRefresh: true });
    assert.is((await versions(toy)).length, 4);
    toy.close();
});

for (const [columns, expected] of [
    [
        "all",
        [
            [1, "a", true],
            [1, "a2", false],
            [2, "b", true],
            [2, "b", false],
        ],
    ],
    [
        "[v]",
        [
            [1, "a", true],
            [1, "a2", false],
            [2, "b", false],
        ],
    ],
] as const) {
    test(`keeps by check_cols: ${columns}`, async () => {
        const toy = history("1,a,2024-01-01\n2,b,2024-01-01\n", `strategy: check, check_cols: ${columns}`);
        await toy.build();
        await then(toy, "1,a2,2024-01-01\n2,b,2024-01-05\n");
        assert.equal(await versions(toy), expected);
        toy.close();
    });
}

for (const [mode, gone, back] of [
    [
        "ignore",
        [
            [1, "a", false],
            [2, "b", false],
        ],
        [
            [1, "a", false],
            [2, "b", false],
        ],
    ],
    [
        "invalidate",
        [
            [1, "a", false],
            [2, "b", true],
        ],
        [
            [1, "a", false],
            [2, "b", true],
            [2, "b", false],
        ],
    ],
] as const) {
    test(`with hard_deletes: ${mode}`, async () => {
        const toy = history("1,a,2024-01-01\n2,b,2024-01-01\n", `${byTime}, hard_deletes: ${mode}`);
        await toy.build();
        await then(toy, "1,a,2024-01-01\n");
        assert.equal(await versions(toy), gone);
        await then(toy, "1,a,2024-01-01\n2,b,2024-01-01\n");
        assert.equal(await versions(toy), back);
        toy.close();
    });
}

test("with hard_deletes: new_record a row that is gone has a version that says so", async () => {
    const toy = history("1,a,2024-01-01\n2,b,2024-01-01\n", `${byTime}, hard_deletes: new_record`);
    await toy.build();
    await then(toy, "1,a,2024-01-01\n");
    await then(toy, "1,a3,2024-01-03\n");
    await then(toy, "1,a3,2024-01-03\n2,b,2024-01-01\n");
    assert.equal(await versions(toy, "k, v, dbt_is_deleted, dbt_valid_to is not null"), [
        [1, "a", "False", true],
        [1, "a3", "False", false],
        [2, "b", "False", true],
        [2, "b", "True", true],
        [2, "b", "False", false],
    ]);
    toy.close();
});

for (const [what, rows, message] of [
    ["two rows of one key", "1,a,2024-01-01\n1,b,2024-01-01\n", /2 rows have the unique_key k=1/],
    ["a row without a key", ",a,2024-01-01\n", /1 row has no value in the unique_key \(k\)/],
    ["a row without a time", "1,a,\n", /1 row has no value in updated_at \(at\)/],
] as const) {
    test(`refuses ${what}, at first and later, and keeps what it has`, async () => {
        const toy = history(rows, byTime);
        assert.not((await toy.build()).ok);
        assert.match(toy.said(), message);
        await then(toy, "5,a,2024-01-01\n");
        toy.write("seeds/s.csv", `k,v,at\n${rows}`);
        assert.not((await toy.build()).ok);
        assert.equal(await toy.rows("select k from main.h", "data/work.duckdb"), [{ k: 5 }]);
        toy.close();
    });
}

test("takes new columns in, and keeps those that are gone", async () => {
    const toy = history("1,a,2024-01-01\n", byTime, { "models/m.sql": "select v, dbt_valid_to from {{ref.h}}" });
    await toy.build();
    toy.write("seeds/s.csv", "k,more,at\n1,x,2024-01-02\n");
    toy.write("models/m.sql", "select v, more from {{ref.h}}");
    assert.ok((await toy.build()).ok, toy.said());
    assert.equal(await toy.rows("select * from m order by v"), [
        { v: "a", more: null },
        { v: null, more: "x" },
    ]);
    toy.close();
});

test("refuses a column of another type before anything runs", async () => {
    const toy = history("1,2,2024-01-01\n", byTime);
    await toy.build();
    toy.write("seeds/s.csv", "k,v,at\n1,text,2024-01-02\n");
    let said = "";
    await toy.build().catch((error: Error) => {
        said = error.message;
    });
    assert.match(said, /_snapshots\.yml:1:\d+ {2}"h" has kept "v" as BIGINT, and it would now be VARCHAR/);
    toy.close();
});

for (const [what, config, message] of [
    ["an unknown relation", "", /unknown relation "t"/],
    ["a strategy without its column", "strategy: timestamp", /a snapshot of strategy "timestamp" needs "updated_at"/],
    [
        "an unknown column",
        "strategy: timestamp, updated_at: att",
        /updated_at names a column "att" that "h" has not\. Did you mean "at"/,
    ],
    ["an unknown check column", "strategy: check, check_cols: [w]", /check_cols names a column "w" that "h" has not/],
] as const) {
    test(`rejects ${what}`, async () => {
        const relation = config === "" ? "t" : "s";
        const toy = history("1,a,2024-01-01\n", "", {
            "models/_snapshots.yml": `snapshots: [{name: h, relation: ref('${relation}'), config: {unique_key: k, ${config || byTime}}}]`,
        });
        let said = "";
        await toy.build().catch((error: Error) => {
            said = error.message;
        });
        assert.match(said, message);
        toy.close();
    });
}

test("takes the history over from what is published when the work file is lost", async () => {
    const toy = history("1,a,2024-01-01\n", byTime);
    await toy.build();
    await then(toy, "1,b,2024-01-02\n");
    rmSync(join(toy.folder, "data/work.duckdb"));
    await then(toy, "1,c,2024-01-03\n");
    assert.match(toy.said(), /The history of h is taken over from what is published/);
    assert.equal(await versions(toy), [
        [1, "a", true],
        [1, "b", true],
        [1, "c", false],
    ]);
    toy.close();
});

test("clean refuses to remove history that is published nowhere, and a build keeps what is no longer declared", async () => {
    const toy = history("1,a,2024-01-01\n", byTime);
    await toy.build({ command: "seed" });
    await toy.build({ command: "run" });
    let said = "";
    await clean({ projectDir: toy.folder }).catch((error: Error) => {
        said = error.message;
    });
    assert.match(said, /holds history of "h" that is published nowhere/);
    const declared = `snapshots: [{name: h, relation: ref('s'), config: {unique_key: k, ${byTime}}}]`;
    toy.write("models/_snapshots.yml", "version: 2");
    assert.ok((await toy.build()).ok, toy.said());
    toy.write("models/_snapshots.yml", declared);
    await then(toy, "1,b,2024-01-02\n");
    assert.is((await versions(toy)).length, 2);
    await clean({ projectDir: toy.folder });
    toy.close();
});

test("marks of deleted rows keep their meaning when hard_deletes is set otherwise", async () => {
    const toy = history("1,a,2024-01-01\n2,b,2024-01-01\n", `${byTime}, hard_deletes: invalidate`);
    const set = (mode: string): void =>
        toy.write(
            "models/_snapshots.yml",
            `snapshots: [{name: h, relation: ref('s'), config: {unique_key: k, ${byTime}, hard_deletes: ${mode}}}]`,
        );
    await toy.build();
    set("new_record");
    await then(toy, "1,a,2024-01-01\n");
    const marked = "k, dbt_is_deleted, dbt_valid_to is not null";
    const gone = [
        [1, "False", false],
        [2, "False", true],
        [2, "True", false],
    ];
    assert.equal(await versions(toy, marked), gone);
    set("ignore");
    await then(toy, "1,a,2024-01-01\n2,b,2024-01-01\n3,c,2024-01-01\n");
    const back = [...gone.slice(0, 2), [2, "True", true], [2, "False", false], [3, "False", false]];
    assert.equal(await versions(toy, marked), back);
    toy.close();
});

for (const mode of ["invalidate", "new_record"]) {
    test(`with hard_deletes: ${mode} the version of a row that comes back has a dbt_scd_id of its own`, async () => {
        const toy = history("1,a,2024-01-01\n2,b,2024-01-01\n", `${byTime}, hard_deletes: ${mode}`);
        await toy.build();
        for (const rows of ["1,a,2024-01-01\n", "1,a,2024-01-01\n2,b,2024-01-01\n"]) await then(toy, rows);
        const repeated = await toy.rows("select dbt_scd_id from h group by all having count(*) > 1");
        assert.equal(repeated, []);
        toy.close();
    });
}

test("refuses a model in place of a snapshot, whose history would be lost", async () => {
    const toy = history("1,a,2024-01-01\n", byTime);
    await toy.build();
    toy.write("models/_snapshots.yml", "version: 2");
    toy.write("models/h.sql", "select 1 as x");
    let said = "";
    await toy.build({ fullRefresh: true }).catch((error: Error) => {
        said = error.message;
    });
    assert.match(said, /models\/h\.sql:1:1 {2}the work file holds history of "h" that can't be made again/);
    assert.is((await toy.rows("from main.h", "data/work.duckdb")).length, 1);
    // It is published, so that it may be removed here.
    await clean({ projectDir: toy.folder });
    assert.ok((await toy.build()).ok, toy.said());
    toy.close();
});

test("clean takes no table that reads a snapshot for one, and sees versions that only ended", async () => {
    const toy = history("1,a,2024-01-01\n2,b,2024-01-01\n", `${byTime}, hard_deletes: invalidate`, {
        "models/now.sql": "select * from {{ref.h}} where dbt_valid_to is null",
        "models/_models.yml": "models: [{name: now, config: {publish: false}}]",
    });
    await toy.build();
    assert.ok((await clean({ projectDir: toy.folder })).includes("data/work.duckdb"));
    await toy.build();
    toy.write("seeds/s.csv", "k,v,at\n1,a,2024-01-01\n");
    await toy.build({ keepsPublication: true });
    let said = "";
    await clean({ projectDir: toy.folder }).catch((error: Error) => {
        said = error.message;
    });
    assert.match(said, /holds history of "h" that is published nowhere/);
    toy.close();
});

test("takes no time for updated_at that is none", async () => {
    const toy = history("1,a,2024-01-01\n", "strategy: timestamp, updated_at: v");
    let said = "";
    await toy.build().catch((error: Error) => {
        said = error.message;
    });
    assert.match(said, /_snapshots\.yml:1:\d+ {2}updated_at is "v", which is VARCHAR; expected a date or a timestamp/);
    toy.close();
});

test("sees that a row which came back has changed, by the time that the row says", async () => {
    const toy = history("1,a,2024-01-01\n", `${byTime}, hard_deletes: invalidate`);
    await toy.build();
    await then(toy, "");
    await then(toy, "1,a,2024-01-02\n");
    // Long before it was seen to be back.
    await then(toy, "1,b,2024-01-03\n");
    assert.equal(await versions(toy), [
        [1, "a", true],
        [1, "a", true],
        [1, "b", false],
    ]);
    toy.close();
});

// Whatever comes and goes: at most one version of a key is in force, and those in force are what the relation has.
for (const config of [
    `${byTime}, hard_deletes: invalidate`,
    "strategy: check, check_cols: all, hard_deletes: new_record",
    "strategy: check, check_cols: all, hard_deletes: invalidate",
]) {
    test(`in force is what there is (${config})`, async () => {
        const row = fc.tuple(fc.nat(3), fc.constantFrom("a", "b"));
        const state = fc.uniqueArray(row, { selector: ([k]) => k, maxLength: 4 });
        await fc.assert(
            fc.asyncProperty(fc.array(state, { minLength: 2, maxLength: 4 }), async (states) => {
                const toy = history("9,z,2024-01-01\n", `${config}, publish: false`);
                try {
                    const work = "data/work.duckdb";
                    await toy.build();
                    for (const [day, rows] of states.entries()) {
                        await then(toy, rows.map(([k, v]) => `${k},${v},2024-02-0${day + 1}\n`).join(""));
                        const mark = config.includes("new_record") ? " and dbt_is_deleted = 'False'" : "";
                        const inForce = await toy.rows(
                            `select k, v from main.h where dbt_valid_to is null${mark} order by k`,
                            work,
                        );
                        assert.equal(
                            inForce.map((found) => [found.k, found.v]),
                            [...rows].sort(([a], [b]) => a - b),
                        );
                        const overlaps = await toy.rows(
                            `select 1 from main.h as a join main.h as b on a.k = b.k and a.dbt_scd_id < b.dbt_scd_id
                             and a.dbt_valid_from < coalesce(b.dbt_valid_to, timestamp '9999-01-01')
                             and b.dbt_valid_from < coalesce(a.dbt_valid_to, timestamp '9999-01-01')`,
                            work,
                        );
                        assert.is(overlaps.length, 0);
                    }
                } finally {
                    toy.close();
                }
            }),
            { numRuns: 5 },
        );
    });
}

test.run();
