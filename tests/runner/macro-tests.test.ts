import { existsSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { checkProject } from "../../runner/check-project.ts";
import { suite } from "../suite.ts";
import { toyProject } from "./toy.ts";

const test = suite("macro-tests");

const files = {
    "macros/half.sql": "{{n}} / 2",
    "macros/quarter.sql": "{{#half}}{{#half}}{{n}}{{/half}}{{/half}}",
    "macros/floor_of.sql": "{{a}} // {{b}}",
    "macros/joined.sql": "array_to_string({{list}}, {{separator}})",
    "macros/batched.sql": "{{n}} + {{vars.batch}}",
    "macros/biggest.sql": "(select max(id) from {{ref.m}}) + {{n}}",
    "macros/broken.sql": "lower({{text}})\n    || no_such_function({{text}})",
    "macros/number_in.sql": "cast({{text}} as integer)",
    "macros/each_of.sql": "unnest({{list}})",
    "macros/_macros.yml": `macros:
  - {name: half, arguments: [{name: n}]}
  - {name: quarter, arguments: [{name: n}]}
  - {name: floor_of, arguments: [{name: a}, {name: b}]}
  - {name: joined, arguments: [{name: list}, {name: separator}]}
  - {name: batched, arguments: [{name: n}]}
  - {name: biggest, arguments: [{name: n}]}
  - {name: broken, arguments: [{name: text}]}
  - {name: number_in, arguments: [{name: text}]}
  - {name: each_of, arguments: [{name: list}]}
`,
    "models/m.sql": "select 1 as id",
    "models/n.sql": "select {{#quarter}}id{{/quarter}} as q from {{ref.m}}",
};

/** What the check says of unit tests of macros. */
async function verdict(unitTests: string, select?: readonly string[]): Promise<string> {
    const toy = toyProject({ ...files, "macros/_unit_tests.yml": `unit_tests:\n${unitTests}` });
    const silent = { out: () => undefined, note: () => undefined };
    try {
        const own = select === undefined ? {} : { select: [...select] };
        return await checkProject({ projectDir: toy.folder, ...own }, silent).then(
            () => "passes",
            (error: Error) => error.message,
        );
    } finally {
        assert.is(existsSync(join(toy.folder, "data", "work.duckdb")), false);
        toy.close();
    }
}

const of = (macro: string, given: string, more = ""): string =>
    `  - {name: t_${macro}, macro: ${macro}, given: {${given}}${more}}\n`;

test("passes when each row gives what it expects, of values of any type", async () => {
    const good =
        of("half", "rows: [{n: 3, expect: 1.5}, {n: 0.5, expect: 0.25}, {n: null, expect: null}]") +
        of(
            "joined",
            'rows: [{list: ["it\'s", "b"], separator: "\'; ", expect: "it\'s\'; b"}, {list: [], separator: "", expect: ""}]',
        ) +
        of("floor_of", 'format: csv, types: {a: integer, b: integer}, rows: "a,b,expect\\n7,2,3\\n7,,\\n"') +
        of("batched", "rows: [{n: 1, expect: 8}]", ", overrides: {vars: {batch: 7}}");
    assert.is(await verdict(good), "passes");
});

test("names the arguments, what is expected and what is made, at the first row that differs", async () => {
    const said = await verdict(
        of("floor_of", "rows: [{a: 4, b: 2, expect: 2}, {a: 7, b: 2, expect: 3.5}, {a: 9, b: 3, expect: null}]"),
    );
    assert.is(
        said.replace(/\n {4}2 \|[\s\S]*/, ""),
        `macros/_unit_tests.yml:2:81  unit test "t_floor_of": "floor_of" gives something else:
    a=7  b=2: expected 3.5, made 3, of type INTEGER
    a=9  b=3: expected null, made 3`,
    );
});

test("shows white space, and text apart from numbers", async () => {
    const said = await verdict(of("joined", 'rows: [{list: ["1", "2"], separator: "  ", expect: "1 2"}]'));
    assert.match(said, 'list=["1","2"]  separator="  ": expected "1 2", made "1  2"');
});

test("shows a mistake in a macro at its line, and the row that calls it", async () => {
    const said = await verdict(of("broken", "rows: [{text: A, expect: a}]"));
    assert.match(said, /^macros\/broken\.sql:2:8 {2}unit test "t_broken": unknown function "no_such_function"/);
    assert.match(said, /called at macros\/_unit_tests\.yml:2:/);
    const within = await verdict(of("number_in", "rows: [{text: '1', expect: 1}, {text: x, expect: null}]"));
    assert.match(within, /could not convert string 'x' to INT32 \(text="x"\)/);
    assert.match(within, /_unit_tests\.yml:2:\d+/);
});

test("notices a macro that gives more than one value", async () => {
    assert.match(await verdict(of("each_of", "rows: [{list: [1, 1], expect: 1}]")), "2 values made, and not one");
});

test("runs with a model that calls the macro through another, and not with others", async () => {
    const wrong = of("half", "rows: [{n: 3, expect: 1}]");
    assert.is(await verdict(wrong, ["m"]), "passes");
    assert.match(await verdict(wrong, ["n"]), "n=3: expected 1");
    const uncalled = of("batched", "rows: [{n: 1, expect: 3}]");
    assert.is(await verdict(uncalled, ["n"]), "passes");
    assert.match(await verdict(uncalled), "expected 3, made 1");
});

test("runs again in a build when only a macro that no model calls has changed", async () => {
    const toy = toyProject({
        ...files,
        "macros/_unit_tests.yml": `unit_tests:\n${of("floor_of", "rows: [{a: 7, b: 2, expect: 3}]")}`,
    });
    try {
        assert.ok((await toy.build()).ok);
        assert.match(toy.said(), "and 1 unit test");
        toy.write("macros/floor_of.sql", "{{a}} / {{b}}");
        let said = "";
        await toy.build().catch((error: Error) => void (said = error.message));
        assert.match(said, "expected 3, made 3.5");
    } finally {
        toy.close();
    }
});

for (const [unitTest, message] of [
    [of("haf", "rows: [{n: 1, expect: 1}]"), 'unknown macro "haf". Did you mean "half"?'],
    [of("floor_of", "rows: [{a: 1, bb: 1, expect: 1}]"), 'macro "floor_of" has no argument "bb". Did you mean "b"?'],
    [of("floor_of", "rows: [{a: 1, expect: 1}]"), 'this row has no "b"'],
    [of("half", "rows: [{n: 1}]"), 'this row has no "expect"'],
    [
        of("half", "rows: [{n: 1, expect: 1}], types: {m: integer}"),
        'macro "half" has no argument "m". Did you mean "n"?',
    ],
    [of("half", "rows: [{n: 1, expect: 1}], types: {n: intger}"), 'the type of "n" is intger: unknown type "intger"'],
    [of("half", "rows: [{n: 1, expect: x}]"), "expect is \"x\": could not convert string 'x' to DOUBLE"],
    [of("half", "rows: [{n: [1], expect: 1}, {n: 1, expect: 1}]"), 'the values of "n" have no type in common'],
    [of("half", "rows: []"), "without rows nothing is tested"],
    [of("half", "row: []"), 'unknown key "row"'],
    [of("half", "rows: [{n: 1, expect: 1}]", ", overrides: {vars: {btach: 1}}"), 'unknown var "btach"'],
    [of("biggest", "rows: [{n: 1, expect: 1}]"), 'macro "biggest" reads m, and so can\'t be tested by itself'],
    [of("half", "rows: [{n: 1, expect: 0.5}]", ", expect: {}"), 'stands in each row of "given"'],
    [
        of("half", "rows: [{n: 1, expect: 0.5}]", ", model: m"),
        'a unit test is of a "model" or of a "macro", not of both',
    ],
    ["  - {name: t, expect: {}}\n", '"unit_tests.0.model" is missing'],
    [of("half", "rows: [{n: 1, expect: 0.5}]").repeat(2), 'there are two unit tests "t_half"'],
] as const) {
    test(`says ${message}`, async () => {
        const said = await verdict(unitTest);
        assert.ok(said.includes(message), said);
        assert.match(said, /^macros\/_unit_tests\.yml:\d+:\d+ {2}/);
    });
}

test.run();
