import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { PipelineError } from "../../common/errors.ts";
import { takeLock } from "../../common/lock.ts";
import { build } from "../../runner/build.ts";
import { suite } from "../suite.ts";
import { listener, type Toy, toyProject } from "./toy.ts";

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
    const before = toy.build({ signal: interruption.signal, logFormat: "json" });
    interruption.abort();
    let said = "";
    await before.catch((error: Error) => {
        said = error.message;
    });
    assert.is(toy.said(), readFileSync(join(toy.folder, "artifacts/dev/events.ndjson"), "utf8").trimEnd());
    assert.match(said, /interrupted at 1 of 4, s\. What people read is as it was/);
    const last = events(toy).at(-1);
    assert.is(last?.status, "interrupted");
    assert.equal(last?.reasons, ["interrupted at 1 of 4, s"]);
    const { ok, results } = await toy.build();
    assert.ok(ok, toy.said());
    assert.is(results[0]?.status, "reused");
    toy.close();
});

for (const [what, files, options, expected] of [
    [
        "a mistake that the check finds",
        { "models/a.sql": "select idd from {{ref.s}}", "seeds/s.csv": "id\n1\n" },
        {},
        ["refused", undefined, undefined],
    ],
    ["a mistake in a file", { "models/a.sql": "select {{ref.s}}" }, {}, ["refused", undefined, undefined]],
    [
        "a configuration that is wrong",
        { "pipeline.config.ts": "export default {};" },
        {},
        ["finished", "error", ['pipeline.config.ts  "name" is missing']],
    ],
    [
        "an unknown target",
        { "models/a.sql": "select 1 as id" },
        { target: "nowhere" },
        ["finished", "error", ['unknown target "nowhere". Known: dev']],
    ],
    [
        "a selection that takes nothing",
        { "models/a.sql": "select 1 as id" },
        { select: ["tag:none"] },
        ["finished", "success", ["Nothing to do"]],
    ],
] as const) {
    test(`with logFormat json end with an event after ${what}`, async () => {
        const toy = toyProject(files);
        const said: string[] = [];
        const output = { out: (text: string) => void said.push(text), note: () => undefined };
        await build("build", { projectDir: toy.folder, logFormat: "json", ...options }, output).catch(
            (error: unknown) => {
                assert.instance(error, PipelineError);
            },
        );
        const { type, status, reasons } = JSON.parse(said.at(-1) ?? "") as Record<string, unknown>;
        assert.equal([type, status, reasons], expected);
        toy.close();
    });
}

for (const [what, path, text, options] of [
    ["finds nothing to do", "models/more.sql", "select 1 as id", { select: ["tag:none"] }],
    ["can't read the project", "models/more.sql", "select {{ref.nowhere}}", {}],
] as const) {
    test(`of an older run are gone after one that ${what}`, async () => {
        const toy = toyProject({ ...files, "seeds/s.csv": "id\n1\n2\n" });
        await toy.build();
        const [before] = events(toy);
        toy.write(path, text);
        await toy.build(options).catch(() => undefined);
        assert.is.not(events(toy)[0]?.run_id, before?.run_id);
        assert.is(events(toy).length, 1);
        toy.close();
    });
}

test("of a run are left alone by a build that finds it going on, and by one that only explains", async () => {
    const toy = toyProject({ ...files, "seeds/s.csv": "id\n1\n2\n" });
    await toy.build();
    const before = events(toy);
    await toy.build({ explain: true });
    const release = takeLock(join(toy.folder, "data/build.lock"), "build");
    await toy.build().catch(() => undefined);
    release();
    assert.equal(events(toy), before);
    toy.close();
});

test("with logFormat json say why each node would run", async () => {
    const toy = toyProject({ ...files, "seeds/s.csv": "id\n1\n2\n" });
    await toy.build({ select: ["s"], indirectSelection: "empty" });
    const said = listener();
    await build("build", { projectDir: toy.folder, explain: true, logFormat: "json" }, said);
    const { type, nodes } = JSON.parse(said.said[1] ?? "") as Record<string, unknown>;
    assert.is(type, "plan");
    assert.equal(nodes, [
        { node: "s", fate: "reused" },
        { node: "a", fate: "runs", reason: "it has not run yet" },
        { node: "unique_a_id", fate: "runs", reason: "it has not run yet" },
    ]);
    assert.is(said.said.length, 2);
    toy.close();
});

test("of a run that was interrupted while it was published say so", async () => {
    const toy = toyProject({
        "models/a.sql": "select count(*) as n from range(100000000000) as r(i) where i % 7 = 8",
        "models/_models.yml": "models: [{name: a, config: {materialized: view}}]",
    });
    const interruption = new AbortController();
    const onEvent = ({ type }: { type: string }): void => {
        if (type === "node") setTimeout(() => interruption.abort(), 300);
    };
    let said = "";
    await toy.build({ signal: interruption.signal, onEvent }).catch((error: Error) => {
        said = error.message;
    });
    assert.is(said, "interrupted before it was published. What people read is as it was");
    assert.is(events(toy).at(-1)?.status, "interrupted");
    assert.equal(await toy.rows("select status from meta.runs", "data/work.duckdb"), [{ status: "interrupted" }]);
    toy.close();
});

test("tell a check that was interrupted from one that found a mistake", async () => {
    const toy = toyProject({
        "models/a.sql": "select count(*) as n from range(100000000000) as r(i) where i % 7 = 8",
        "models/_models.yml": "unit_tests: [{name: slow, model: a, given: [], expect: {rows: [{n: 0}]}}]",
    });
    const interruption = new AbortController();
    setTimeout(() => interruption.abort(), 500);
    let said = "";
    await toy.build({ signal: interruption.signal }).catch((error: Error) => {
        said = error.message;
    });
    assert.is(said, "interrupted before anything ran. What people read is as it was");
    assert.equal(
        events(toy).map(({ type, status }) => [type, status]),
        [["finished", "interrupted"]],
    );
    toy.close();
});

test.run();
