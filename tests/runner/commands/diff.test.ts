import { rmSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { diff } from "../../../runner/commands/diff.ts";
import { suite } from "../../suite.ts";
import { listener, type Toy, toyProject } from "../toy.ts";

const test = suite("diff");

const files = {
    "seeds/s.csv": "id,v\n1,a\n2,b\n3,c\n",
    "models/a.sql": "select id, v from {{ref.s}}",
    "models/b.sql": "select id, v from {{ref.a}}",
    "models/apart.sql": "select 1 as id",
    "models/_models.yml":
        "models: [{name: a, config: {unique_key: id}, columns: [{name: id, data_tests: [unique]}]}, {name: b, config: {unique_key: id}}]",
};

async function differences(toy: Toy, options: { limit?: number; output?: "text" | "json" } = {}): Promise<string> {
    const heard = listener();
    await diff({ projectDir: toy.folder, limit: 5, output: "text", ...options }, heard);
    return heard.said.join("\n");
}

test("shows what a build would change for readers, by key and column, before it is published", async () => {
    const toy = toyProject(files);
    let said = "";
    await differences(toy).catch((error: Error) => {
        said = error.message;
    });
    assert.match(said, /nothing is published for target "dev" yet/);
    await toy.build();
    assert.is(await differences(toy), "0 of 4 tables changed, 0 new, 0 gone, 4 as they are");
    toy.write("seeds/s.csv", "id,v\n1,a\n2,B\n4,d\n");
    toy.write("models/b.sql", "select id, upper(v) as v, 1 as more from {{ref.a}}");
    rmSync(join(toy.folder, "models/apart.sql"));
    toy.write("models/fresh.sql", "select 1 as id");
    const changed = `1 added, 1 gone, 1 changed (v in 1)`;
    assert.is(
        await differences(toy),
        `a: ${changed}
    ~ id=2  v=b but B
    - id=3  v=c
    + id=4  v=d
b: 1 added, 1 gone, 2 changed (v in 2)
    + column more INTEGER
    ~ id=1  v=a but A
    ~ id=2  v=b but B
    - id=3  v=c
    + id=4  v=D
fresh: a new table
s: 2 added, 2 gone, 0 changed
    + id=2  v=B
    - id=2  v=b
    - id=3  v=c
    + id=4  v=d
apart: no longer published
3 of 5 tables changed, 1 new, 1 gone, 0 as they are`,
    );
    assert.match(await differences(toy, { limit: 1 }), /~ id=1 {2}v=a but A\n {4}and 3 more/);
    const [first] = JSON.parse(await differences(toy, { output: "json" })) as { rows: { changed: number } }[];
    assert.is(first?.rows.changed, 1);
    assert.equal(await toy.rows("select v from a order by id"), [{ v: "a" }, { v: "b" }, { v: "c" }]);
    // What diff built is what the build publishes.
    const { results, publication } = await toy.build();
    assert.ok(publication);
    assert.equal([...new Set(results.map(({ status }) => status))], ["reused"]);
    toy.close();
});

test("pairs rows by a key in whatever case it is written", async () => {
    const toy = toyProject({
        "models/a.sql": "select 1 as Id, 'x' as v",
        "models/_models.yml": "models: [{name: a, config: {unique_key: iD}}]",
    });
    await toy.build();
    toy.write("models/a.sql", "select 1 as Id, 'y' as v");
    assert.match(await differences(toy), /^a: 0 added, 0 gone, 1 changed \(v in 1\)\n {4}~ Id=1 {2}v=x but y\n/);
    toy.close();
});

test("says that what failed would not be published", async () => {
    const toy = toyProject(files);
    await toy.build();
    toy.write("models/a.sql", "select 1 as id, v from {{ref.s}}");
    const heard = listener();
    assert.is(await diff({ projectDir: toy.folder, limit: 1, output: "text" }, heard), false);
    assert.match(heard.noted.join("\n"), /A build would not publish this/);
    assert.match(heard.said.join("\n"), /^a: /);
    toy.close();
});

test("compares columns whatever they are called", async () => {
    const toy = toyProject({ "models/m.sql": "select 1 as a, 2 as b, 3 as before, 4 as kind" });
    await toy.build();
    toy.write("models/m.sql", "select 1 as a, 5 as b, 3 as before, 4 as kind");
    assert.match(await differences(toy), /m: 1 added, 1 gone, 0 changed\n {4}- a=1 {2}b=2 .*\n {4}\+ a=1 {2}b=5/);
    toy.close();
});

test.run();
