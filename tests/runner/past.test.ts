import * as assert from "uvu/assert";
import { suite } from "../suite.ts";
import { type Toy, toyProject } from "./toy.ts";

const test = suite("past");

const files = {
    "seeds/s.csv": "id,v\n1,a\n2,b\n3,c\n",
    "models/a.sql": "select id, v from {{ref.s}}",
    "models/b.sql": "select id, v from {{ref.a}}",
    "models/apart.sql": "select 1 as id",
    "models/_models.yml":
        "models: [{name: a, config: {unique_key: id}, columns: [{name: id, data_tests: [unique]}]}, {name: b, config: {unique_key: id}}]",
};

async function ran(toy: Toy, select: string[]): Promise<string> {
    const { results } = await toy.build({ select, indirectSelection: "empty", explain: false, command: "build" });
    return results.map(({ node }) => node.name).join(" ");
}

test("state: selects what is other than what is published", async () => {
    const toy = toyProject(files);
    assert.is(await ran(toy, ["state:new,resource_type:model"]), "apart a b");
    await toy.build();
    assert.is(await ran(toy, ["state:modified"]), "");
    toy.write("models/a.sql", "-- a comment\nselect id, v from {{ref.s}}");
    assert.is(await ran(toy, ["state:modified"]), "");
    toy.write("models/a.sql", "select id, upper(v) as v from {{ref.s}}");
    toy.write("models/fresh.sql", "select 1 as id");
    assert.is(await ran(toy, ["state:modified,resource_type:model"]), "fresh a");
    toy.close();
});

test("result: selects by what came of the last run", async () => {
    const toy = toyProject(files);
    toy.write("models/a.sql", "select id, cast(v as integer) as v from {{ref.s}}");
    assert.not((await toy.build()).ok);
    assert.is(await ran(toy, ["result:error"]), "a");
    toy.close();
});

test("an unknown result or state is refused with those that there are", async () => {
    const toy = toyProject(files);
    for (const [selector, message] of [
        ["result:failed", /result is "failed"; expected success, pass, warn, fail, error, skipped, reused/],
        ["state:changed", /state is "changed"; expected new, old, modified, unmodified/],
    ] as const) {
        let said = "";
        await toy.build({ select: [selector] }).catch((error: Error) => {
            said = error.message;
        });
        assert.match(said, message);
    }
    toy.close();
});

test.run();
