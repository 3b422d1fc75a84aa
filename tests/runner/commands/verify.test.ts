import * as assert from "uvu/assert";
import { verify } from "../../../runner/commands/verify.ts";
import { suite } from "../../suite.ts";
import { listener, toyProject } from "../toy.ts";

const test = suite("verify");

test("has nothing to do where no model is incremental", async () => {
    const toy = toyProject({ "models/a.sql": "select 1 as id" });
    const heard = listener();
    assert.ok(await verify({ projectDir: toy.folder, limit: 5 }, heard));
    assert.is(heard.said.join(), "Nothing to verify: no model is incremental");
    toy.close();
});

test("shows where an incremental model is not what a full refresh would make", async () => {
    const toy = toyProject({
        "seeds/s.csv": "id,v\n1,a\n2,b\n3,c\n",
        "models/a.sql": "select id, v from {{ref.s}}",
        "models/inc.sql":
            "select id, v from {{ref.s}}{{#incremental}} where id > (select max(id) from {{this}}){{/incremental}}",
        "models/_inc.yml": "models: [{name: inc, config: {materialized: incremental, unique_key: id}}]",
    });
    await toy.build();
    const first = listener();
    assert.ok(await verify({ projectDir: toy.folder, limit: 5 }, first));
    assert.is(first.said.join("\n"), "inc: as a full refresh would make it");
    toy.write("seeds/s.csv", "id,v\n1,late\n2,b\n4,d\n");
    await toy.build();
    const second = listener();
    assert.not(await verify({ projectDir: toy.folder, limit: 5, select: ["inc"] }, second));
    assert.is(
        second.said.join("\n"),
        `inc: a full refresh would add 0 rows, remove 1 and change 1
    ~ id=1  v=a but late
    - id=3  v=c`,
    );
    let said = "";
    await verify({ projectDir: toy.folder, limit: 5, select: ["a"] }, listener()).catch((error: Error) => {
        said = error.message;
    });
    assert.match(said, /none of what is selected is an incremental model/);
    toy.close();
});

test.run();
