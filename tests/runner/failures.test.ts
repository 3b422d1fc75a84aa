import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { Result } from "../../runner/run.ts";
import { suite } from "../suite.ts";
import { makeDatabase, type Toy, toyProject } from "./toy.ts";

const test = suite("failures");

const yml = (tests: string, config = "{}"): string => `models:
  - {name: stg, config: {unique_key: id}}
  - {name: int, config: ${config}}
  - {name: mart, config: {unique_key: id}, columns: [{name: label, data_tests: [${tests}]}]}
`;

/** A chain that passes one column on under three names: shop.books.title, stg.title, int.title, mart.label. */
const sound = {
    "targets/dev.ts": 'export default { folder: "data", attach: { shop: "shop.duckdb" } };',
    "models/_sources.yml": "sources: [{name: shop, database: shop, schema: main, tables: [{name: books}]}]",
    "models/codes.sql": "select 'Emma' as code union all select 'Dune' union all select 'Ilium'",
    "models/stg.sql": "select id, title from {{source.shop.books}}",
    "models/int.sql": "select s.id, s.title from {{ref.stg}} as s join range(10) as r(n) on r.n = s.id",
    "models/mart.sql": "select id, title as label from {{ref.int}}",
};
const soundRows = "(1, 'Emma'), (2, 'Dune'), (3, 'Ilium')";

interface Defect {
    readonly test: string;
    /** SQL for the title that goes wrong in place of a right one. */
    readonly wrong: string;
    readonly sample: readonly object[];
}

const defects: Record<string, Defect> = {
    not_null: { test: "not_null", wrong: "nullif(title, 'Dune')", sample: [{ id: 2, label: null }] },
    unique: {
        test: "unique",
        wrong: "replace(title, 'Dune', 'Emma')",
        sample: [{ id: 1, label: "Emma", n_records: "2" }],
    },
    accepted_values: {
        test: "{accepted_values: {values: [Emma, Dune, Ilium]}}",
        wrong: "replace(title, 'Dune', 'Doom')",
        sample: [{ id: 2, label: "Doom", n_records: "1" }],
    },
    relationships: {
        test: "{relationships: {to: ref('codes'), field: code}}",
        wrong: "replace(title, 'Dune', 'Doom')",
        sample: [{ id: 2, label: "Doom" }],
    },
    "a test of the project's own": {
        test: "short",
        wrong: "replace(title, 'Dune', 'A long title')",
        sample: [{ id: 2, label: "A long title" }],
    },
};

async function chain(
    files: Readonly<Record<string, string>>,
    rows = soundRows,
): Promise<{ toy: Toy; failed: Result | undefined }> {
    const toy = toyProject({
        ...sound,
        "tests/generic/short.sql": "select * from {{model}} where length({{column_name}}) > 10",
        ...files,
    });
    await makeDatabase(
        join(toy.folder, "shop.duckdb"),
        `create table books as select * from (values ${rows}) as t(id, title)`,
    );
    const { results } = await toy.build();
    return {
        toy,
        failed: results.find(({ status }) => status === "fail" || status === "warn"),
    };
}

for (const [name, { test: declared, wrong, sample }] of Object.entries(defects)) {
    const levels = {
        "shop.books": {
            files: {},
            rows: `(select id, ${wrong} as title from (values ${soundRows}) as s(id, title))`,
            says: "already so in: shop.books.title (1 row), models/_sources.yml",
        },
        stg: {
            files: { "models/stg.sql": `select id, ${wrong} as title from {{source.shop.books}}` },
            rows: undefined,
            says: "already so in: stg.title (1 row), models/stg.sql",
        },
        int: {
            files: { "models/int.sql": `select id, ${wrong} as title from {{ref.stg}}` },
            rows: undefined,
            says: "already so in: int.title (1 row), models/int.sql",
        },
        mart: {
            files: { "models/mart.sql": `select id, ${wrong} as label from {{ref.int}}` },
            rows: undefined,
            says: "made here: mart, models/mart.sql",
        },
    };
    for (const [level, { files, rows, says }] of Object.entries(levels)) {
        test(`finds where ${name} goes wrong: in ${level}`, async () => {
            const source = rows === undefined ? soundRows : undefined;
            const toy = toyProject({
                ...sound,
                "tests/generic/short.sql": "select * from {{model}} where length({{column_name}}) > 10",
                "models/_models.yml": yml(declared, "{materialized: ephemeral}"),
                ...files,
            });
            const values = source === undefined ? rows : `(values ${source}) as t(id, title)`;
            await makeDatabase(join(toy.folder, "shop.duckdb"), `create table books as select * from ${values}`);
            const { results } = await toy.build();
            const failed = results.find(({ status }) => status === "fail");
            assert.equal(failed?.sample, sample);
            assert.match(toy.said(), says);
            assert.is(failed?.unclear, undefined);
            toy.close();
        });
    }
}

test("says how many fail, five of them, and where the query is", async () => {
    const { toy, failed } = await chain({
        "models/_models.yml": yml("not_null"),
        "models/mart.sql": "select n as id, null as label, 'more' as more from range(7) as r(n)",
    });
    assert.is(failed?.failures, 7);
    assert.equal(failed?.sample?.length, 5);
    assert.match(
        toy.said(),
        [
            "FAIL not_null_mart_label",
            "    7 failing rows, the first 5 (artifacts/dev/failures/not_null_mart_label.csv):",
            "    id=0  label=null",
        ].join("\n"),
    );
    assert.match(toy.said(), "    compiled: artifacts/dev/compiled/tests/not_null_mart_label.sql\n");
    assert.ok(existsSync(join(toy.folder, failed?.compiled ?? "")));
    toy.close();
});

test("finds the one branch of a union that brings the value, and both where both do", async () => {
    const files = {
        "models/other.sql": "select 9 as id, {{vars.batch}} as title",
        "models/int.sql": "select id, title from {{ref.stg}} union all select id, title from {{ref.other}}",
        "models/_models.yml": yml("not_null"),
        "pipeline.config.ts":
            'export default { name: "toy", vars: { batch: "null::varchar" }, models: { materialized: "table" } };',
    };
    const one = await chain(files);
    assert.equal(one.failed?.alreadyIn, [{ node: "other", column: "title", rows: 1, file: "models/other.sql" }]);
    one.toy.close();
    const both = await chain(files, "(1, 'Emma'), (2, null), (3, null)");
    assert.equal(
        both.failed?.alreadyIn?.map(({ node, rows }) => [node, rows]),
        [
            ["shop.books", 2],
            ["other", 1],
        ],
    );
    both.toy.close();
});

test("blames the union for values that repeat in neither of its branches", async () => {
    const { toy, failed } = await chain({
        "models/int.sql": "select id, title from {{ref.stg}} union all select id + 10, title from {{ref.stg}}",
        "models/_models.yml": yml("unique"),
    });
    assert.is(failed?.failures, 3);
    assert.equal(failed?.alreadyIn, [{ node: "int", column: "title", rows: 3, file: "models/int.sql" }]);
    toy.close();
});

test("blames the join that multiplies rows, not the column that repeats other values above", async () => {
    const { toy, failed } = await chain(
        {
            "models/int.sql": "select s.id, s.title from {{ref.stg}} as s join range(2) as r(n) on true where s.id < 3",
            "models/_models.yml": yml("unique"),
        },
        "(1, 'Emma'), (2, 'Dune'), (3, 'Ilium'), (4, 'Ilium')",
    );
    assert.equal(
        failed?.alreadyIn?.map(({ node }) => node),
        ["int"],
    );
    toy.close();
});

test("narrows the question by `where` as far up as there are its columns", async () => {
    const { toy, failed } = await chain(
        {
            "models/int.sql": "select id, title, id > 1 as is_late from {{ref.stg}}",
            "models/mart.sql": "select id, title as label, is_late from {{ref.int}}",
            "models/_models.yml": yml("{not_null: {where: is_late, severity: warn}}"),
        },
        "(1, null), (2, null), (3, 'Ilium')",
    );
    assert.is(failed?.status, "warn");
    assert.equal(failed?.sample, [{ id: 2, label: null }]);
    assert.equal(
        failed?.alreadyIn?.map(({ node, rows }) => [node, rows]),
        [["shop.books", 2]],
    );
    toy.close();
});

test("says what keeps it from looking further up, and fails nothing for it", async () => {
    const { toy, failed } = await chain({
        "tests/generic/rare.sql": "select id, {{column_name}} from {{model}} where {{condition}}",
        "models/int.sql": "select id, title, true as is_odd from {{ref.stg}}",
        "models/mart.sql": "select id, title as label, is_odd from {{ref.int}}",
        "models/_models.yml": yml("{rare: {condition: is_odd, severity: warn}}"),
    });
    assert.is(failed?.status, "warn");
    assert.equal(
        failed?.alreadyIn?.map(({ node }) => node),
        ["int"],
    );
    assert.match(toy.said(), /could not look further up: .*is_odd/);
    toy.close();
});

test("finds a column whose name needs quotes, in whatever case it is written", async () => {
    const { toy, failed } = await chain(
        {
            "models/stg.sql": 'select id, title as "the title" from {{source.shop.books}}',
            "models/int.sql": 'select id, "the title" || \'\' as "a title" from {{ref.stg}}',
            "models/mart.sql": 'select id, "a title" as "My Label" from {{ref.int}}',
            "models/_models.yml": `models:
  - {name: mart, config: {unique_key: id}, columns: [{name: my label, quote: true, data_tests: [not_null]}]}
`,
        },
        "(1, null)",
    );
    assert.equal(failed?.sample, [{ id: 1, "My Label": null }]);
    assert.equal(failed?.alreadyIn, [{ node: "int", column: "a title", rows: 1, file: "models/int.sql" }]);
    toy.close();
});

test("asks no more than 20 columns", async () => {
    const names = Array.from({ length: 25 }, (_, i) => `b${i}`);
    const { toy, failed } = await chain({
        ...Object.fromEntries(names.map((name, i) => [`models/${name}.sql`, `select ${i} as id, 'x' as title`])),
        "models/int.sql": names.map((name) => `select id, title from {{ref.${name}}}`).join(" union all "),
        "models/_models.yml": yml("unique"),
    });
    assert.equal(
        failed?.alreadyIn?.map(({ node }) => node),
        ["int"],
    );
    assert.is(failed?.unclear, "could not look further up: 20 columns have been asked");
    toy.close();
});

test("asks nothing upstream when a test passes, whatever it counts", async () => {
    const { toy } = await chain(
        { "models/_models.yml": yml("{not_null: {warn_if: '> 5', error_if: '> 5'}}") },
        "(1, null)",
    );
    assert.not.match(toy.said(), /already so|made here/);
    toy.close();
});

test("shows the rows of a .sql test and of a model without a key as the query returns them", async () => {
    const { toy } = await chain(
        {
            "models/_models.yml":
                "models: [{name: int, columns: [{name: title, data_tests: [{not_null: {severity: warn}}]}]}]",
            "tests/alone.sql": "select id, 'seen' as what from {{ref.int}} where id = 2",
        },
        "(2, null)",
    );
    assert.match(
        toy.said(),
        "    1 failing row (artifacts/dev/failures/alone.csv):\n    id=2  what=seen\n    compiled: artifacts/dev/compiled/tests/alone.sql\n\n",
    );
    assert.match(
        toy.said(),
        "    id=2  title=null\n    compiled: artifacts/dev/compiled/tests/not_null_int_title.sql\n    already so in: shop.books.title (1 row)",
    );
    toy.close();
});

test("tells programs the same", async () => {
    const { toy } = await chain({ "models/_models.yml": yml("not_null") }, "(1, null)");
    const events = readFileSync(join(toy.folder, "artifacts/dev/events.ndjson"), "utf8").trim().split("\n");
    const event = events.map((line) => JSON.parse(line)).find(({ status }) => status === "fail");
    assert.equal(event.already_in, [{ node: "shop.books", column: "title", rows: 1, file: "models/_sources.yml" }]);
    assert.is(event.compiled, "artifacts/dev/compiled/tests/not_null_mart_label.sql");
    const { results } = JSON.parse(readFileSync(join(toy.folder, "artifacts/dev/run_results.json"), "utf8"));
    const result = results.find(({ status }: { status: string }) => status === "fail");
    assert.match(result.message, "\nalready so in: shop.books.title (1 row), models/_sources.yml");
    toy.close();
});

test.run();
