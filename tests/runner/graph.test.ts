import * as assert from "uvu/assert";
import { buildGraph } from "../../runner/graph.ts";
import { parse } from "../../runner/parse.ts";
import { suite } from "../suite.ts";
import { toyProject } from "./toy.ts";

const test = suite("graph");

//  seed ─► stg_a ─► int_c ─► mart_d        stg_b is read by int_c and mart_e
const files = {
    "seeds/seed.csv": "id\n1\n",
    "models/staging/stg_a.sql": "select * from {{ref.seed}}",
    "models/staging/stg_b.sql": "select 1 as id",
    "models/intermediate/int_c.sql": "select * from {{ref.stg_a}} union all select * from {{ref.stg_b}}",
    "models/marts/mart_d.sql": "select * from {{ref.int_c}}",
    "models/marts/mart_e.sql": "select * from {{ref.stg_b}}",
    "models/_models.yml": `models:
  - {name: stg_b, columns: [{name: id, data_tests: [unique]}]}
  - {name: mart_d, columns: [{name: id, data_tests: [{relationships: {to: ref('stg_a'), field: id}}]}]}
`,
    "tests/no_row.sql": "select * from {{ref.mart_e}} where id < 0",
};

test("puts each node after all that it reads, and a test right after the last it reads", async () => {
    const toy = toyProject(files);
    const names = buildGraph(await parse(toy.folder)).order.map((node) => node.name);
    assert.equal(names, [
        ...["seed", "stg_b", "unique_stg_b_id", "stg_a", "mart_e", "no_row", "int_c", "mart_d"],
        "relationships_mart_d_id_stg_a_id",
    ]);
    toy.close();
});

test.run();
