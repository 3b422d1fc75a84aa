import * as assert from "uvu/assert";
import { retry } from "../../../runner/commands/retry.ts";
import { suite } from "../../suite.ts";
import { listener, toyProject } from "../toy.ts";

const test = suite("retry");

test("resumes from what failed and was skipped", async () => {
    const toy = toyProject({
        "seeds/s.csv": "id,v\n1,a\n2,b\n3,c\n",
        "models/b.sql": "select id, v from {{ref.a}}",
        "models/_models.yml": "models: [{name: a, columns: [{name: id, data_tests: [unique]}]}]",
        "models/a.sql": "select id, v from {{ref.s}}",
    });
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
    const events = listener();
    await retry({ projectDir: toy.folder, logFormat: "json" }, events);
    const { type, reasons } = JSON.parse(events.said.join()) as Record<string, unknown>;
    assert.is(type, "finished");
    assert.match(String(reasons), /^Nothing to retry: run \S+ left nothing undone$/);
    toy.close();
});

test.run();
