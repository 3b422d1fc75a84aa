import * as assert from "uvu/assert";
import { suite } from "../suite.ts";
import { toyProject } from "./toy.ts";

const test = suite("build");

const files = {
    "seeds/s.csv": "id,v\n1,a\n2,b\n3,c\n",
    "models/a.sql": "select id, v from {{ref.s}}",
    "models/b.sql": "select id, v from {{ref.a}}",
};

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

test.run();
