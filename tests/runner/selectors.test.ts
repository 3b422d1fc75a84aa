import * as assert from "uvu/assert";
import { buildGraph } from "../../runner/graph.ts";
import { parse } from "../../runner/parse.ts";
import { type IndirectSelection, select } from "../../runner/selectors.ts";
import { suite } from "../suite.ts";
import { toyProject } from "./toy.ts";

const test = suite("selectors");

//  seed ─► stg_a ─► int_c ─► mart_d        stg_b is read by int_c and mart_e
const files = {
    "seeds/seed.csv": "id\n1\n",
    "models/staging/stg_a.sql": "select * from {{ref.seed}}",
    "models/staging/stg_b.sql": "select 1 as id",
    "models/intermediate/int_c.sql": "select * from {{ref.stg_a}} union all select * from {{ref.stg_b}}",
    "models/marts/mart_d.sql": "select * from {{ref.int_c}}",
    "models/marts/mart_e.sql": "select * from {{ref.stg_b}} where id in (select id from {{source.lake.fish}})",
    "models/_sources.yml": "sources: [{name: lake, tables: [{name: fish, columns: [{name: id, data_type: integer}]}]}]",
    "models/_models.yml": `models:
  - {name: stg_a, tags: [nightly]}
  - {name: stg_b, config: {tags: nightly, materialized: view}, columns: [{name: id, data_tests: [unique]}]}
  - {name: mart_d, columns: [{name: id, data_tests: [{relationships: {to: ref('stg_a'), field: id}}]}]}
`,
    "tests/no_row.sql": "select * from {{ref.mart_e}} where id < 0",
};

const toy = toyProject(files);
test.after(() => toy.close());

async function selected(
    selectors: readonly string[],
    exclude: readonly string[],
    mode?: IndirectSelection,
): Promise<string> {
    const project = await parse(toy.folder);
    const { names, unmatched } = select(project, buildGraph(project), {
        select: selectors,
        exclude,
        indirectSelection: mode,
    });
    assert.equal(unmatched, []);
    return [...names].sort().join(" ");
}

const relationship = "relationships_mart_d_id_stg_a_id";

for (const [selectors, expected, exclude = ""] of [
    ["stg_a", `${relationship} stg_a`],
    ["+stg_a", `${relationship} seed stg_a`],
    ["int_c+", `int_c mart_d ${relationship}`],
    ["+int_c+", "int_c seed stg_a stg_b unique_stg_b_id", "mart_d"],
    ["1+mart_d", `int_c mart_d ${relationship}`],
    ["2+mart_d", `int_c mart_d ${relationship} stg_a stg_b unique_stg_b_id`],
    ["seed+1", `${relationship} seed stg_a`],
    ["@stg_a", `int_c mart_d ${relationship} seed stg_a stg_b unique_stg_b_id`],
    ["marts", `mart_d mart_e no_row ${relationship}`],
    ["models/staging", `${relationship} stg_a stg_b unique_stg_b_id`],
    ["path:models/marts/mart_e.sql", "mart_e no_row"],
    ["models/marts/mart_e.sql", "mart_e no_row"],
    ["file:mart_e", "mart_e no_row"],
    ["fqn:marts.mart_e", "mart_e no_row"],
    ["marts.mart_e", "mart_e no_row"],
    ["tag:nightly", `${relationship} stg_a stg_b unique_stg_b_id`],
    ["tag:nightly,config.materialized:view", "stg_b unique_stg_b_id"],
    ["mart_e seed", "mart_e no_row seed"],
    ["stg_*,tag:night*", `${relationship} stg_a stg_b unique_stg_b_id`],
    ["mart_[de]", `mart_d mart_e no_row ${relationship}`],
    ["mart_[!e]", `mart_d ${relationship}`],
    ["mart_[!z-ae]", `mart_d ${relationship}`],
    ["path:./models/marts/", `mart_d mart_e no_row ${relationship}`],
    ["./models/marts/mart_e.sql", "mart_e no_row"],
    ["seeds", "seed"],
    ["tests", "no_row"],
    ["source:lake+", "lake.fish mart_e no_row"],
    ["source:lake.fish+,resource_type:model", "mart_e no_row"],
    ["resource_type:seed", "seed"],
    ["test_type:singular", "no_row"],
    ["test_type:generic", `${relationship} unique_stg_b_id`],
    ["test_name:unique", "unique_stg_b_id"],
    ["no_row", "no_row"],
    ["+no_row", "lake.fish mart_e no_row stg_b unique_stg_b_id"],
    ["config.severity:error,stg_b", "unique_stg_b_id"],
] as const) {
    test(`selects ${selectors}${exclude === "" ? "" : ` without ${exclude}`}`, async () => {
        assert.is(
            await selected(
                selectors.split(" "),
                exclude.split(" ").filter((word) => word !== ""),
            ),
            expected,
        );
    });
}

for (const [mode, expected] of [
    ["eager", `mart_d ${relationship}`],
    ["cautious", "mart_d"],
    ["buildable", `mart_d ${relationship}`],
    ["empty", "mart_d"],
] as const) {
    test(`takes the tests that ${mode} takes`, async () => {
        assert.is(await selected(["mart_d"], [], mode), expected);
    });
}

test("names what was probably meant by a selector that matches nothing", async () => {
    const project = await parse(toy.folder);
    const { names, unmatched } = select(project, buildGraph(project), {
        select: ["martd", "intermediat", "tag:nightli"],
    });
    assert.is(names.size, 0);
    assert.equal(unmatched, [
        { selector: "martd", nearest: "mart_d" },
        { selector: "intermediat", nearest: "intermediate" },
        { selector: "tag:nightli", nearest: "nightly" },
    ]);
});

test("knows its methods", async () => {
    const project = await parse(toy.folder);
    const { unmatched } = select(project, buildGraph(project), { select: ["tga:x", "config.materialised:view"] });
    assert.match(unmatched[0]?.problem ?? "", /"tga:" is no method of selection. Known: fqn, tag, source/);
    assert.match(unmatched[1]?.problem ?? "", /Known: config\.materialized/);
});

for (const selector of ["[", "stg_[", "[z-a]", "[!z-a]*["]) {
    test(`takes "${selector}" for a name that is not there`, async () => {
        const project = await parse(toy.folder);
        const { names, unmatched } = select(project, buildGraph(project), { select: [selector] });
        assert.is(names.size, 0);
        assert.equal(
            unmatched.map((one) => one.selector),
            [selector],
        );
    });
}

test.run();
