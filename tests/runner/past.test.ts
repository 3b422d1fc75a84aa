import { rmSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { diff } from "../../runner/commands/diff.ts";
import { retry } from "../../runner/commands/retry.ts";
import { verify } from "../../runner/commands/verify.ts";
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

/** Collects what a command prints: its result, and what it notes. */
function listener(): { out: (text: string) => void; note: (text: string) => void; said: string[]; noted: string[] } {
    const said: string[] = [];
    const noted: string[] = [];
    return { out: (text) => void said.push(text), note: (text) => void noted.push(text), said, noted };
}

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

test("retry resumes from what failed and was skipped", async () => {
    const toy = toyProject(files);
    const before = listener();
    await retry({ projectDir: toy.folder }, before);
    assert.match(before.said.join(), /Nothing to retry: nothing has run yet/);
    toy.write("models/a.sql", "select id, cast(v as integer) as v from {{ref.s}}");
    assert.not((await toy.build()).ok);
    toy.write("models/a.sql", "select id, v from {{ref.s}}");
    const after = listener();
    const { ok, results, publication } = await retry({ projectDir: toy.folder }, after);
    assert.ok(ok, after.said.join("\n"));
    assert.equal(
        results.map(({ node, status }) => `${node.name} ${status}`),
        ["a success", "unique_a_id pass", "b success"],
    );
    assert.ok(publication);
    assert.match(after.noted.join(), /Retrying what run \S+ \(build\) left undone/);
    const again = listener();
    await retry({ projectDir: toy.folder }, again);
    assert.match(again.said.join(), /Nothing to retry: run \S+ left nothing undone/);
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

test("--fail-fast skips all that follows the first failure, and a build afterwards takes it up", async () => {
    const toy = toyProject({ ...files, "models/zz.sql": "select 1 as id" });
    toy.write("models/a.sql", "select id, cast(v as integer) as v from {{ref.s}}");
    const { results } = await toy.build({ failFast: true });
    const of = (name: string): string | undefined => results.find(({ node }) => node.name === name)?.message;
    assert.is(of("b"), "--fail-fast: a failed");
    assert.is(results.filter(({ status }) => status === "error").length, 1);
    toy.write("models/a.sql", "select id, v from {{ref.s}}");
    assert.ok((await toy.build()).ok, toy.said());
    toy.close();
});

test("--empty and --sample run in memory, and leave everything as it is", async () => {
    const toy = toyProject(files);
    await toy.build();
    const before = await toy.rows("select count(*) as n from a");
    toy.write("models/b.sql", "select id, v, 1 as more from {{ref.a}}");
    const { ok, results } = await toy.build({ sampleRows: 0, select: ["b"] });
    assert.ok(ok, toy.said());
    // What b reads is made too: a sample has nothing to stand on but itself.
    assert.equal(results.map(({ node }) => node.name).sort(), ["a", "b", "s"]);
    assert.match(toy.said(), /This ran in memory on no rows of each source: nothing was kept, nothing was published/);
    assert.equal(await toy.rows("select count(*) as n from a"), before);
    assert.equal(await toy.rows("select * from main.b limit 0", "data/work.duckdb"), []);
    const { results: next } = await toy.build();
    assert.equal(next.find(({ node }) => node.name === "b")?.status, "success");
    toy.close();
});

async function differences(toy: Toy, options: { limit?: number; output?: "text" | "json" } = {}): Promise<string> {
    const heard = listener();
    await diff({ projectDir: toy.folder, limit: 5, output: "text", ...options }, heard);
    return heard.said.join("\n");
}

test("diff shows what a build would change for readers, by key and column, before it is published", async () => {
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

test("diff says that what failed would not be published", async () => {
    const toy = toyProject(files);
    await toy.build();
    toy.write("models/a.sql", "select 1 as id, v from {{ref.s}}");
    const heard = listener();
    assert.is(await diff({ projectDir: toy.folder, limit: 1, output: "text" }, heard), false);
    assert.match(heard.noted.join("\n"), /A build would not publish this/);
    assert.match(heard.said.join("\n"), /^a: /);
    toy.close();
});

test("verify has nothing to do where no model is incremental", async () => {
    const toy = toyProject(files);
    const heard = listener();
    assert.ok(await verify({ projectDir: toy.folder, limit: 5 }, heard));
    assert.is(heard.said.join(), "Nothing to verify: no model is incremental");
    toy.close();
});

test("verify shows where an incremental model is not what a full refresh would make", async () => {
    const toy = toyProject({
        ...files,
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
