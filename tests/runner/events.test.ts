import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "../suite.ts";
import { type Toy, toyProject } from "./toy.ts";

const test = suite("events");

function events(toy: Toy): Record<string, unknown>[] {
    const text = readFileSync(join(toy.folder, "artifacts/dev/events.ndjson"), "utf8");
    return text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const files = {
    "seeds/s.csv": "id\n1\n1\n",
    "models/a.sql": "select id from {{ref.s}}",
    "models/_models.yml": "models: [{name: a, columns: [{name: id, data_tests: [unique]}]}]",
};

test("keep what happened in a run, of which the terminal lines are one rendering", async () => {
    const toy = toyProject(files);
    assert.not((await toy.build()).ok);
    const [checked, ...rest] = events(toy);
    const finished = rest.at(-1);
    assert.is(checked?.schema, "shelfmark.events/1");
    assert.is(checked?.type, "checked");
    assert.equal(
        rest.slice(0, -1).map(({ type, index, total, node, status }) => [type, index, total, node, status]),
        [
            ["node", 1, 3, "s", "success"],
            ["node", 2, 3, "a", "success"],
            ["node", 3, 3, "unique_a_id", "fail"],
        ],
    );
    assert.equal(rest[2]?.sample, [{ id: "1", n_records: "2" }]);
    assert.is(rest[2]?.failures, 1);
    assert.is(finished?.type, "finished");
    assert.is(finished?.status, "error");
    assert.equal(finished?.counts, { success: 2, fail: 1 });
    assert.is(new Set([checked, ...rest].map((event) => event?.run_id)).size, 1);
    toy.close();
});

test("with logFormat json are what is printed, line by line, and nothing else", async () => {
    const toy = toyProject({ ...files, "seeds/s.csv": "id\n1\n2\n" });
    assert.ok((await toy.build({ logFormat: "json" })).ok);
    assert.is(toy.said(), readFileSync(join(toy.folder, "artifacts/dev/events.ndjson"), "utf8").trimEnd());
    const published = events(toy).at(-1)?.published as { tables: number };
    assert.is(published.tables, 2);
    toy.close();
});

test("say what was refused, and where, and begin anew with each run", async () => {
    const toy = toyProject({ ...files, "seeds/s.csv": "id\n1\n2\n" });
    await toy.build();
    toy.write("models/a.sql", "select idd from {{ref.s}}");
    await toy.build().catch(() => undefined);
    assert.equal(
        events(toy).map(({ type, problems }) => [type, problems]),
        [
            [
                "refused",
                [{ message: 'unknown column "idd". Did you mean "id"?', file: "models/a.sql", line: 1, column: 8 }],
            ],
        ],
    );
    toy.close();
});

test("of an interrupted run say where it stood, and the next build goes on there", async () => {
    const toy = toyProject({ ...files, "seeds/s.csv": "id\n1\n2\n", "models/b.sql": "select id from {{ref.a}}" });
    const interruption = new AbortController();
    const before = toy.build({ signal: interruption.signal });
    interruption.abort();
    let said = "";
    await before.catch((error: Error) => {
        said = error.message;
    });
    assert.match(said, /interrupted at 1 of 4, s\. What people read is as it was/);
    const last = events(toy).at(-1);
    assert.is(last?.status, "interrupted");
    assert.equal(last?.reasons, ["interrupted at 1 of 4, s"]);
    const { ok, results } = await toy.build();
    assert.ok(ok, toy.said());
    assert.is(results[0]?.status, "reused");
    toy.close();
});

test.run();
