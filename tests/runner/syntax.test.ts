import * as assert from "uvu/assert";
import { Database } from "../../runner/duckdb.ts";
import { endOfStatement, parseQueries } from "../../runner/syntax.ts";
import { suite } from "../suite.ts";

const test = suite("syntax");

for (const [sql, kept] of [
    ["select 1 as a; -- done", "select 1 as a"],
    ["select 1 as a;;\n\n", "select 1 as a"],
    ["select 1 -- the last line\n", "select 1"],
    ["select ';' as a /* ; */ ;", "select ';' as a"],
    ["select 1 as a -- why\nfrom t", "select 1 as a -- why\nfrom t"],
    ["-- only a comment", ""],
] as const) {
    test(`ends the statement of ${JSON.stringify(sql)}`, () => {
        assert.is(sql.slice(0, endOfStatement(sql)), kept);
    });
}

async function parsed(sql: string) {
    const database = await Database.open();
    try {
        const [syntax] = await parseQueries(database, [sql]);
        assert.ok(syntax);
        return syntax;
    } finally {
        database.close();
    }
}

test("finds the tables that a query reads, but not its own expressions", async () => {
    const syntax =
        await parsed(`with a as (select * from main.x join y using (id)), b as (with c as (select 1) select * from c, a)
        select *, (select max(id) from main.z) from b, c, range(3) as r where exists (select 1 from lake.s.t)`);
    assert.ok(syntax.ok);
    assert.equal(syntax.reads.map((read) => read.name).sort(), ["c", "lake.s.t", "main.x", "main.z", "y"]);
});

test("finds what is read by a name in quotes", async () => {
    const syntax = await parsed("select * from query_table('main.x'), read_csv('f.csv'), 'g.parquet'");
    assert.ok(syntax.ok);
    assert.equal(syntax.reads.map((read) => read.name).sort(), ["g.parquet", "query_table()", "read_csv()"]);
});

for (const [sql, message] of [
    ["", "there is no query in this file"],
    ["select 1; select 2", "a model or test is one SELECT statement, and here begins another"],
    ["create table t as select 1", "a model or test is one SELECT statement, and this is another kind"],
    ["-- all\nsummarize t", "a model or test is one SELECT statement, and this is another kind"],
    ["(describe t)", "a model or test is one SELECT statement, and this is another kind"],
    ["select 1 +", "syntax error at end of input"],
] as const) {
    test(`refuses ${JSON.stringify(sql)}`, async () => {
        const syntax = await parsed(sql);
        assert.is(syntax.ok, false);
        assert.is(!syntax.ok && syntax.message, message);
    });
}

test.run();
