import { rmSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { Checker, check } from "../../runner/check.ts";
import { compile } from "../../runner/compile.ts";
import { Database } from "../../runner/duckdb.ts";
import { loadProject } from "../../runner/load.ts";
import { ProjectError } from "../../runner/problem.ts";
import { fc } from "../random.ts";
import { suite } from "../suite.ts";
import { type Toy, toyProject } from "./toy.ts";

const test = suite("check");

/** What a check says: the columns by node, or the mistakes as they are printed. */
async function said(toy: Toy, checked: (what: Parameters<Checker["check"]>) => ReturnType<Checker["check"]>) {
    const { project, graph } = await loadProject({ projectDir: toy.folder });
    const names = project.nodes.keys();
    try {
        return [...(await checked([project, { graph, compiled: compile(project, graph), names }]))];
    } catch (error) {
        if (error instanceof ProjectError) return error.message;
        throw error;
    }
}

/** A checker on a toy project, and how many statements it took. */
async function kept(toy: Toy) {
    const database = await Database.open();
    let statements = 0;
    const counted = (connection: Database): Database => {
        for (const method of ["run", "rows", "bind", "columns", "tableToBe"] as const) {
            const original = connection[method].bind(connection) as (sql: string) => Promise<never>;
            connection[method] = (sql: string) => {
                statements++;
                return original(sql);
            };
        }
        return connection;
    };
    const beside = database.beside.bind(database);
    database.beside = async () => counted(await beside());
    const checker = await Checker.open(counted(database));
    return {
        check: async () => {
            statements = 0;
            return said(toy, (what) => checker.check(...what));
        },
        statements: () => statements,
        close: async () => {
            await checker.close();
            database.close();
        },
    };
}

const chain = {
    "seeds/s.csv": "id\n1\n",
    "models/a.sql": "select id from {{ref.s}}",
    "models/b.sql": "select id + 1 as next from {{ref.a}}",
    "models/c.sql": "select next as id from {{ref.b}}",
    "models/_models.yml": "models: [{name: c, columns: [{name: id, data_tests: [unique]}]}]",
};

/** What a check finds of a model and one that reads it. */
const twoIds = ["a", "b"].map((name) => [name, [{ name: "id", type: "INTEGER" }]]);

test("asks nothing of what is as it was", async () => {
    const toy = toyProject(chain);
    const checker = await kept(toy);
    const first = await checker.check();
    const before = checker.statements();
    assert.equal(await checker.check(), first);
    assert.is(checker.statements(), 0, `the first time ${before}`);
    toy.write("models/a.sql", "select id from {{ref.s}} {{! a comment }}");
    assert.equal(await checker.check(), first);
    assert.is(checker.statements(), 0);
    await checker.close();
    toy.close();
});

test("knows the columns of a table before it is made, whatever their types are", async () => {
    const expressions = [
        ...[
            "null",
            "[null]",
            "{a: null}",
            "[]",
            "map {}",
            "1",
            "1::tinyint",
            "1::utinyint",
            "1::uhugeint",
            "1::hugeint",
        ],
        ...["1.50", "1e3", "1::decimal(38, 2)", "1::float", "true", "'a'", "'a' collate nocase", "'a'::blob"],
        ...["'101'::bit", "date '2026-01-01'", "time '00:00'", "timetz '00:00'", "now()", "now()::timestamp"],
        ...["now()::timestamp_ns", "now()::timestamp_s", "interval 1 day", "uuid()", "'{}'::json", "[1, 2]::int[2]"],
        ...["'a'::enum('a', 'b')", "{a: 1, b: [date '2026-01-01']}", "union_value(n := 1)", "map {'a': 1.5}"],
        ...["(select 1)", "count(*) over ()", "array_agg(1) over ()", "'1'::bignum"],
    ];
    const named = expressions.map((expression, i) => `${expression} as c${i}`);
    const toy = toyProject({
        "models/all.sql": `select ${named.join(", ")}`,
        "models/unnamed.sql": "select 1, 'a', count(*), sum(1), (select 2)",
        ...Object.fromEntries(named.map((each, i) => [`models/m${i}.sql`, `select ${each}`])),
    });
    assert.ok((await toy.build()).ok, toy.said());
    const made = await toy.rows(
        "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'main' and not internal order by table_name, column_index",
    );
    const checker = await kept(toy);
    const found = (await checker.check()) as [string, { name: string; type: string }[]][];
    assert.equal(
        found.flatMap(([model, columns]) => columns.map(({ name, type }) => `${model} ${name} ${type}`)).sort(),
        made.map((row) => Object.values(row).join(" ")).sort(),
    );
    await checker.close();
    toy.close();
});

test("refuses a parameter, which nothing gives a value", async () => {
    const toy = toyProject({ "models/a.sql": "select 1 as id where 1 = $1", "tests/none.sql": "select $id" });
    const checker = await kept(toy);
    const said = String(await checker.check());
    assert.match(said, /^models\/a\.sql:1:1 {2}expected 1 parameters, but none were supplied/);
    assert.match(said, /^tests\/none\.sql:1:1 {2}expected 1 parameters, but none were supplied/m);
    await checker.close();
    toy.close();
});

test("refuses a table of structs without names, where one is made", async () => {
    const toy = toyProject({
        "models/inner.sql": "select row(1, 2) as pair",
        "models/outer.sql": "select [row(id)] as list from (select 1 as id)",
        "models/fine.sql": "select pair = row(1, 2) as is_same from {{ref.inner}}",
        "models/_models.yml": "models: [{name: inner, config: {materialized: ephemeral}}]",
    });
    const checker = await kept(toy);
    assert.match(
        String(await checker.check()),
        /^models\/outer\.sql:1:1 {2}"list" has a struct whose fields have no names/,
    );
    toy.write("models/outer.sql", "select [{id: id}] as list from (select 1 as id)");
    assert.is((await checker.check()).length, 3);
    assert.ok((await toy.build()).ok, toy.said());
    await checker.close();
    toy.close();
});

test("follows a change as far as it changes columns", async () => {
    const toy = toyProject(chain);
    const checker = await kept(toy);
    await checker.check();
    toy.write("models/a.sql", "select id * 2 as id from {{ref.s}}");
    await checker.check();
    const alone = checker.statements();
    toy.write("models/a.sql", "select id * 2 as id, 1 as more from {{ref.s}}");
    await checker.check();
    // b is bound again, and gives what it gave: c and its test are not.
    assert.ok(checker.statements() > alone);
    assert.ok(checker.statements() <= alone + 2);
    toy.write("models/a.sql", "select id * 2 as identifier from {{ref.s}}");
    assert.match(
        String(await checker.check()),
        /^models\/b\.sql:1:8 {2}unknown column "id"\. Columns at hand: identifier/,
    );
    toy.write("models/a.sql", "select cast(id as varchar) as id from {{ref.s}}");
    assert.match(String(await checker.check()), /^models\/b\.sql:1:11 {2}/);
    await checker.close();
    toy.close();
});

interface Spec {
    readonly reads: readonly number[];
    readonly columns: readonly string[];
    readonly type: "1" | "'x'" | "json('{}')";
    readonly form: "own" | "all" | "sum" | "unknown" | "unreadable" | "past";
    readonly materialized: "table" | "ephemeral";
    readonly declared: readonly string[];
    readonly hasContract: boolean;
    readonly isTested: boolean;
    readonly isUpperCase: boolean;
}

const names = fc.constantFrom(["a"], ["a", "b"], ["b", "a"], ["b", "a", "c"], ["a", "c"], ["b"]);
const likely: { [Key in keyof Spec]: fc.Arbitrary<Spec[Key]> } = {
    reads: fc.subarray([0, 1, 2, 3]),
    columns: names,
    type: fc.constantFrom("1", "1", "'x'", "json('{}')"),
    form: fc.constantFrom(...Array(12).fill("own"), ...Array(16).fill("all"), "sum", "unknown", "unreadable", "past"),
    materialized: fc.constantFrom("table", "table", "ephemeral"),
    declared: fc.oneof({ weight: 9, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: names }),
    hasContract: fc.nat(3).map((n) => n === 0),
    isTested: fc.boolean(),
    isUpperCase: fc.nat(9).map((n) => n === 0),
};
const spec: fc.Arbitrary<Spec> = fc.record(likely);

/** The files of models of which each reads earlier ones that are there. */
function filesOf(specs: readonly (Spec | undefined)[]): Map<string, string> {
    const nameOf = (i: number): string => (specs[i]?.isUpperCase ? `M${i}` : `m${i}`);
    const described: string[] = [];
    const files = new Map<string, string>();
    for (const [i, model] of specs.entries()) {
        if (model === undefined) continue;
        const refs = model.reads.filter((k) => k < i && specs[k] !== undefined);
        const list = model.columns.map((name) => `${model.type} as ${name}`).join(", ");
        const from = refs.map((k) => `{{ref.${nameOf(k)}}} as r${k}`).join(" cross join ");
        const [first] = refs;
        const sql = {
            own: `select ${list}${from === "" ? "" : ` from ${from}`}`,
            all: first === undefined ? `select ${list}` : `select r${first}.* from ${from}`,
            sum: first === undefined ? `select ${list}` : `select sum(r${first}.a) as a from ${from}`,
            unknown: `select nothing_such as a${from === "" ? "" : ` from ${from}`}`,
            unreadable: `selec ${list}`,
        };
        // The same text when it is compiled, but not through a ref.
        const past = sql.all.replace(/\{\{ref\.(\w+)\}\}/g, "main.$1");
        files.set(`models/${nameOf(i)}.sql`, model.form === "past" ? past : sql[model.form]);
        if (model.isTested) files.set(`tests/t${i}.sql`, `select a from {{ref.${nameOf(i)}}} where a is null`);
        const columns = model.declared.map((name) => `{name: ${name}, data_type: integer}`).join(", ");
        const contract = `contract: {enforced: ${model.hasContract && columns !== ""}}`;
        const config = `config: {materialized: ${model.materialized}, ${contract}}`;
        described.push(`  - {name: ${nameOf(i)}, ${config}, columns: [${columns}]}`);
    }
    if (described.length > 0) files.set("models/_models.yml", `models:\n${described.join("\n")}\n`);
    return files;
}

/** One or two things about a model are changed, the model is removed, or it is put back to what it was before. */
const edit = fc.record({
    index: fc.nat(4),
    change: fc.oneof(
        { weight: 6, arbitrary: fc.subarray(Object.keys(likely) as (keyof Spec)[], { minLength: 1, maxLength: 2 }) },
        { weight: 1, arbitrary: fc.constant("remove" as const) },
        { weight: 3, arbitrary: fc.constant("undo" as const) },
    ),
    spec,
});

test("says after any edits what a check from the start says", async () => {
    let withMistakes = 0;
    let without = 0;
    const models = fc.array(fc.option(spec, { nil: undefined }), { minLength: 5, maxLength: 5 });
    const property = fc.asyncProperty(models, fc.array(edit, { maxLength: 8 }), async (start, edits) => {
        const toy = toyProject({});
        const database = await Database.open();
        const checker = await Checker.open(database);
        const other = await Database.open();
        let files = new Map<string, string>();
        let [before, specs] = [start, start];
        for (const { index, change, spec } of [{ index: -1, change: "undo", spec: undefined } as const, ...edits]) {
            const changed = specs.map((model, i) => {
                if (i !== index) return model;
                if (change === "remove") return undefined;
                if (change === "undo") return before[i];
                return { ...(model ?? spec), ...Object.fromEntries(change.map((key) => [key, spec?.[key]])) } as Spec;
            });
            [before, specs] = [specs, changed];
            for (const path of files.keys()) rmSync(join(toy.folder, path));
            files = filesOf(specs);
            for (const [path, text] of files) toy.write(path, text);
            const warm = await said(toy, (what) => checker.check(...what));
            const cold = await said(toy, ([project, what]) => check(other, project, what));
            assert.equal(warm, cold);
            if (typeof cold === "string") withMistakes++;
            else without++;
        }
        await checker.close();
        database.close();
        other.close();
        toy.close();
    });
    await fc.assert(property, { numRuns: 40 });
    assert.ok(withMistakes > 10 && without > 10, `${withMistakes} with mistakes, ${without} without`);
});

test("does not take a model that was wrong meanwhile for what it was before", async () => {
    const toy = toyProject({ "models/a.sql": "select 1 as id" });
    const checker = await kept(toy);
    await checker.check();
    toy.write("models/a.sql", "select 1 as other");
    toy.write("models/_models.yml", "models: [{name: a, columns: [{name: id}]}]");
    assert.match(String(await checker.check()), /^models\/_models\.yml:1:\d+ {2}"a" has no column "id"/);
    toy.write("models/a.sql", "select 1 as id");
    toy.write("models/_models.yml", "");
    toy.write("models/b.sql", "select id from {{ref.a}}");
    assert.equal(await checker.check(), twoIds);
    await checker.close();
    toy.close();
});

test("tells a ref from the same text without one", async () => {
    const toy = toyProject({ "models/a.sql": "select 1 as id", "models/b.sql": "select id from {{ref.a}}" });
    const checker = await kept(toy);
    await checker.check();
    toy.write("models/b.sql", "select id from main.a");
    assert.match(String(await checker.check()), /^models\/b\.sql:1:16 {2}"main\.a" is read past the project/);
    await checker.close();
    toy.close();
});

test("does not take the table of a name in another case for its own", async () => {
    const toy = toyProject({ "models/a.sql": "select 1 as id", "models/b.sql": "select 1 as n" });
    const checker = await kept(toy);
    await checker.check();
    rmSync(join(toy.folder, "models/a.sql"));
    toy.write("models/A.sql", "select 1 as other");
    await checker.check();
    rmSync(join(toy.folder, "models/A.sql"));
    toy.write("models/a.sql", "select 1 as id");
    toy.write("models/b.sql", "select id from {{ref.a}}");
    assert.equal(await checker.check(), twoIds);
    await checker.close();
    toy.close();
});

test.run();
