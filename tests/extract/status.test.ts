import { readFileSync, writeFileSync } from "node:fs";
import { DuckDBInstance } from "@duckdb/node-api";
import * as assert from "uvu/assert";
import { readStatus } from "../../extract/status.ts";
import { suite } from "../suite.ts";
import { holdOpen } from "./hold-open.ts";
import { asksForRange, asksForWorks, cleanUp, failsWith, json, query, setScene } from "./scene.ts";

const test = suite("status");
test.after(cleanUp);

test("says that there is no landing file, and makes none", async () => {
    const scene = await setScene(1);
    const { code, out, err } = await scene.cli("status").ended;
    assert.equal([code, out], [1, ""]);
    assert.match(err, /^there is no landing file \S+landing\.duckdb yet; npm run extract makes it\n$/);
    await failsWith(readStatus(scene.landing), /there is no landing file/);
});

test("lists runs, newest first, with the difference between what landed and what was counted", async () => {
    const scene = await setScene(30, (request, answer) => {
        if (asksForWorks(request) || request.path !== "/search.json") return undefined;
        const whole = JSON.parse(answer().body);
        return json({ ...whole, numFound: whole.numFound + (query(request, "q").includes("fantasy") ? 0 : 2) });
    });
    const first = await scene.extract();
    const second = await scene.extract({ maxWorks: 10 });
    const { code, out, err } = await scene.cli("status").ended;
    assert.equal([code, err], [0, ""]);
    const when = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d to \\d\\d:\\d\\d UTC";
    const lines = [
        second.runId,
        `    partial, ${when}, 4 requests`,
        "    science_fiction: partial: 10 works of 30, 20 missing",
        "    authors: \\d+ of \\d+",
        "",
        first.runId,
        `    partial, ${when}, \\d+ requests`,
        "    science_fiction: partial: 30 works of 32, 2 missing",
        "    authors: 15 of 15",
        "",
        "\\S+landing\\.duckdb: \\d\\.\\d MB, 2 runs",
        "",
    ];
    assert.match(out, new RegExp(`^${lines.join("\n")}$`));
    const told = await scene.cli("status", "--json").ended;
    const runs = JSON.parse(told.out);
    assert.equal(
        runs.map((run: { run_id: string; max_works: number | null }) => [run.run_id, run.max_works]),
        [
            [second.runId, 10],
            [first.runId, null],
        ],
    );
    assert.equal(runs[1].subjects, [
        {
            subject: "science_fiction",
            status: "partial",
            message: "2 of the counted works were not found in two walks",
            num_found: 32,
            works_landed: 30,
        },
    ]);
});

test("tells how far a living extraction is, before anything is in the landing file", async () => {
    let arrive = (): void => {};
    const arrived = new Promise<void>((resolve) => {
        arrive = resolve;
    });
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
        release = resolve;
    });
    const scene = await setScene(2_500, async (request) => {
        if (!asksForRange(request)) return undefined;
        arrive();
        await released;
        return undefined;
    });
    const running = scene.cli();
    await arrived;
    const { code, out } = await scene.cli("status").ended;
    assert.is(code, 0);
    assert.match(
        out,
        new RegExp(
            `^under way: extract science_fiction\n    process ${running.process.pid}, since [-0-9]+ [:0-9]+ UTC\n` +
                "\\d{8}T\\d{6}Z-science_fiction\n    2 pages, 1,000 works, 0 of 1,000 authors; 0\\.\\d MB not loaded yet\n\n" +
                "\\S+landing\\.duckdb: not there yet, 0 runs\n$",
        ),
    );
    const [run, ...others] = JSON.parse((await scene.cli("status", "--json").ended).out);
    assert.equal([run.status, run.works_landed, run.pages_landed, others], ["running", 1000, 2, []]);
    assert.equal(run.subjects[0].subject, "science_fiction");
    // Killed, its spool waits.
    running.process.kill("SIGKILL");
    await running.ended;
    release();
    const waiting = await scene.cli("status").ended;
    assert.match(
        waiting.out,
        /^waits to be loaded by the next extraction:\n\d+T\d+Z-science_fiction\n {4}2 pages, 1,000 works/,
    );
    assert.is((await scene.cli().ended).code, 0);
    const { runs, spools } = await readStatus(scene.landing).then(({ runs: all, waiting: rest }) => ({
        runs: all?.map(({ status, works_landed }) => [status, works_landed]),
        spools: rest,
    }));
    assert.equal([runs, spools], [[["complete", 2500]], []]);
});

test("reads beside a build, and says who writes when somebody does", async () => {
    const scene = await setScene(3);
    await scene.extract();
    const reader = await holdOpen(scene.landing);
    assert.match((await scene.cli("status").ended).out, /3 works of 3\n/);
    await reader.release();
    const writer = scene.cli();
    await writer.ended;
    const instance = await DuckDBInstance.create(scene.landing);
    const { code, out } = await scene.cli("status").ended;
    assert.is(code, 0);
    assert.match(
        out,
        new RegExp(
            `^\\S+landing\\.duckdb: \\d\\.\\d MB, held by process ${process.pid} \\(.*\\), which writes to it\n$`,
        ),
    );
    const told = await scene.cli("status", "--json").ended;
    assert.equal([told.code, told.out], [1, ""]);
    assert.match(told.err, /^process \d+ \(.*\) writes to .*; ask again when it is done\n$/);
    instance.closeSync();
});

test("needs no more columns than a terminal has", async () => {
    const scene = await setScene(3);
    const subject = "a".repeat(200);
    await failsWith(scene.extract({ subjects: [subject, "science_fiction"] }), /there are no works/);
    const { out } = await scene.cli("status").ended;
    const lines = out.split("\n").slice(0, -2);
    assert.ok(lines.length > 3 && lines.every((line) => line.length <= 80), out);
    assert.match(out, /^\d+T\d+Z-a{60}$/m);
});

test("survives a spool of which nothing is whole yet", async () => {
    const scene = await setScene(3);
    await scene.extract();
    const path = `${scene.landing}.spool/20260101T000000Z-x.ndjson`;
    writeFileSync(path, '{"kind":"run","row":{"run_id"');
    const { waiting } = await readStatus(scene.landing);
    assert.equal(
        [waiting[0]?.runId, waiting[0]?.start, waiting[0]?.totals],
        ["20260101T000000Z-x", undefined, undefined],
    );
    assert.match(
        (await scene.cli("status").ended).out,
        /20260101T000000Z-x\n {4}nothing yet; 0\.0 MB not loaded yet\n/,
    );
    assert.is(readFileSync(path, "utf8").length, 29);
});

test.run();
