import * as assert from "uvu/assert";
import { suite } from "../suite.ts";
import { toyProject } from "./toy.ts";

const test = suite("casts");

const tables = {
    "models/a.sql": "select 1 as n, 1.5 as x, date '2024-01-01' as d, timestamp '2024-01-01' as t, [1] as l, 'x' as v",
    "models/b.sql": "select 1 as m, date '2024-01-01' as e, '2024-01-01' as w, 2 as \"odd name\"",
};

async function refusal(sql: string): Promise<string> {
    const toy = toyProject({ ...tables, "models/m.sql": sql });
    let said = "";
    await toy.build({ explain: true }).catch((error: Error) => {
        said = error.message.split("\n")[0] ?? "";
    });
    toy.close();
    return said;
}

for (const [sql, message] of [
    [
        "select a.n\nfrom {{ref.a}} as a join {{ref.b}} as b on a.d = b.m",
        'models/m.sql:2:50  "m" is INTEGER, and can\'t become DATE, with which it is compared',
    ],
    ["select 1 as one from {{ref.a}} where n = d", 'models/m.sql:1:38  "n" is INTEGER, and can\'t become DATE, '],
    ["select 1 as one from {{ref.a}} where n = t", 'models/m.sql:1:38  "n" is INTEGER, and can\'t become TIMESTAMP, '],
    ["select 1 as one from {{ref.a}} where l = n", 'models/m.sql:1:42  "n" is INTEGER, and can\'t become INTEGER[], '],
    [
        'select 1 as one from {{ref.a}} join {{ref.b}} on d = "odd name"',
        '"odd name" is INTEGER, and can\'t become DATE, ',
    ],
] as const) {
    test(`refuses ${sql.replace("\n", " ")}`, async () => {
        assert.ok((await refusal(sql)).includes(message), await refusal(sql));
    });
}

for (const sql of [
    "select 1 as one from {{ref.a}} join {{ref.b}} on d = e",
    "select 1 as one from {{ref.a}} where t = d or x = n",
    "select 1 as one from {{ref.a}} where d = v",
    "select 1 as one from {{ref.a}} where cast(n as double) = x and d = date '2024-01-01'",
    // The name means something else here.
    "with c as (select d as n, d from {{ref.a}}) select 1 as one from c where cast(n as timestamp) = d",
    "select 1 as one from {{ref.a}} cross join unnest([date '2024-01-01']) as u(m) join {{ref.b}} on cast(u.m as timestamp) = e",
]) {
    test(`takes ${sql}`, async () => {
        assert.is(await refusal(sql), "");
    });
}

test.run();
