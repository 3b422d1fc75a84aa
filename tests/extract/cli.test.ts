import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import * as assert from "uvu/assert";
import type { Answer, StandInRequest } from "../../demo/server.ts";
import { suite } from "../suite.ts";
import { holdOpen } from "./hold-open.ts";
import {
    asksForRange,
    asksForWorks,
    type Cli,
    cleanUp,
    contentOf,
    json,
    query,
    runCli,
    type Scene,
    setScene,
} from "./scene.ts";

const test = suite("cli");
test.after(cleanUp);

test("writes its progress as plain lines to a pipe, and closes with one line about the run", async () => {
    const scene = await setScene(30);
    const { code, out, err } = await scene.cli().ended;
    assert.is(code, 0);
    assert.match(
        out,
        /^extract science_fiction: complete: 30 works of 30\nextract: complete: 30 works and 15 author documents in 4 requests, \d s, run \d{8}T\d{6}Z-science_fiction\n$/,
    );
    assert.is(
        err,
        "extract science_fiction: asking how many works there are\nextract science_fiction: 30 of 30 works\n" +
            "extract: 0 of 15 authors\nextract: 15 of 15 authors\n",
    );
    assert.match(scene.standIn.requests[0]?.userAgent ?? "", /^shelfmark\/\d+\.\d+\.\d+ \(\+tests@example\.org\)$/);
});

test("does not start without a contact, and leaves no trace", async () => {
    const scene = await setScene(3);
    const { code, out, err } = await scene.cli("--contact", "").ended;
    assert.equal([code, out], [1, ""]);
    assert.match(
        err,
        /^Open Library asks every program for a contact: .* pipeline\.config\.ts under extract\.contact.*\n$/,
    );
    assert.equal([scene.standIn.requests.length, existsSync(scene.landing)], [0, false]);
});

test("extracts one subject after the other, going on after a failure, and ends with the worst code", async () => {
    const scene = await setScene(3, countsOneMore);
    const { code, out, err } = await scene.cli("--subject", "No such", "--subject", "Science Fiction").ended;
    assert.is(code, 1);
    assert.match(err, /^extract: "No such" is the subject key "no_such"\n/);
    assert.match(err, /^extract no_such: there are no works of the subject "no_such"; .*\.$/m);
    assert.match(out, /^extract science_fiction: partial: 3 works of 4: 1 of the counted works .*\n$/);
});

test("ends with 3 when a run is partial, and with 0 when --max-works made it so", async () => {
    const scene = await setScene(30, countsOneMore);
    const stopped = await scene.cli("--max-works", "10").ended;
    assert.is(stopped.code, 0);
    assert.match(stopped.out, /partial: 10 works of 3\d: stopped at --max-works 10 of 3\d\n/);
    const partial = await scene.cli().ended;
    assert.is(partial.code, 3);
    assert.match(partial.out, /: 1 of the counted works were not found in two walks\n/);
});

test("refuses to be faster than Open Library allows", async () => {
    const scene = await setScene(1);
    for (const pace of ["off", "3.5"]) {
        const { code, err } = await scene.cli("--base-url", "https://openlibrary.org", "--pace", pace).ended;
        assert.equal(
            [code, err],
            [2, `--pace ${pace} is too fast for openlibrary.org, which allows 3 requests a second\n`],
        );
    }
});

test("says in one sentence that it is refused for its contact", async () => {
    const page = { status: 403, headers: { "Content-Type": "text/html" }, body: "<h1>403 Forbidden</h1>" };
    const scene = await setScene(3, () => page);
    const { code, err } = await scene.cli().ended;
    assert.is(code, 1);
    assert.match(err.split("\n").at(-2) ?? "", /^extract science_fiction: 403 Forbidden: GET .* contact .*\.$/);
    assert.is(scene.standIn.requests.length, 1);
});

test("says who runs when it is started a second time", async () => {
    const { arrived, arrive } = gate();
    const { arrived: released, arrive: release } = gate();
    const scene = await setScene(3, async () => {
        arrive();
        await released;
        return undefined;
    });
    const first = scene.cli();
    await arrived;
    const second = await scene.cli().ended;
    release();
    assert.is(second.code, 1);
    assert.match(
        second.err,
        new RegExp(
            `^"extract science_fiction" is already running \\(process ${first.process.pid}, started .*\\)\\..*\n$`,
        ),
    );
    assert.is((await first.ended).code, 0);
});

test("waits for a landing file that another process reads, and says for whom", async () => {
    const scene = await setScene(3);
    await scene.extract();
    const holder = await holdOpen(scene.landing);
    const waiting = scene.cli();
    let said = "";
    waiting.process.stderr?.on("data", (text: string) => (said += text));
    while (!said.includes("waiting for") && waiting.process.exitCode === null) await wait(20);
    await holder.release();
    const { code, err } = await waiting.ended;
    assert.is(code, 0);
    assert.match(
        err,
        new RegExp(`^extract: waiting for process ${holder.pid} \\(.*\\), which uses .*landing\\.duckdb$`, "m"),
    );
});

for (const [when, isFatal, landed] of [
    ["among the works", (path: string, q: string) => path === "/search.json" && q.includes("OL12000W"), "2,000"],
    ["among the authors", (path: string) => path === "/api/get_many", "2,500"],
] as const) {
    test(`loses nothing that has landed when it is killed ${when}`, async () => {
        let victim: Cli | undefined;
        const scene = await setScene(2_500, async (request) => {
            if (victim === undefined || !isFatal(request.path, query(request, "q"))) return undefined;
            victim.process.kill("SIGKILL");
            await victim.ended;
            return { drop: true };
        });
        victim = scene.cli();
        const killed = await victim.ended;
        victim = undefined;
        assert.equal([killed.code, killed.out], [null, ""]);
        assert.is(readdirSync(`${scene.landing}.spool`).length, 1);
        const { code, err } = await scene.cli().ended;
        assert.is(code, 0);
        assert.match(err, new RegExp(`^extract: going on with run \\S+, which has landed ${landed} works$`, "m"));
        const answered = scene.standIn.requests.filter(
            ({ path, status }) => path.includes("sort=key") && status === 200,
        );
        assert.is(answered.length, 3);
        assert.equal(readdirSync(`${scene.landing}.spool`), []);
        await sameAsUninterrupted(scene);
    });
}

test("lands what it has when it is interrupted, and says where it stands", async () => {
    let running: Cli | undefined;
    const scene = await setScene(2_500, async (request) => {
        if (asksForRange(request)) running?.process.kill("SIGINT");
        await wait(running === undefined ? 0 : 50);
        return undefined;
    });
    running = scene.cli();
    const { code, err } = await running.ended;
    running = undefined;
    assert.is(code, 2);
    assert.match(
        err,
        /^extract science_fiction: interrupted\. 1,000 of 2,500 works are landed; run again to go on\.$/m,
    );
    const [run] = await scene.rows("select status, message, works_landed from openlibrary.extract_runs");
    assert.equal(run, { status: "failed", message: "interrupted", works_landed: "1000" });
    assert.is((await scene.cli().ended).code, 0);
    await sameAsUninterrupted(scene);
});

test("lands a dump, and refuses its flags without one", async () => {
    const scene = await setScene(1);
    const folder = dirname(dirname(scene.landing));
    const line = (type: string, key: string, fields: object): string =>
        [
            `/type/${type}`,
            key,
            1,
            "2026-01-01T00:00:00",
            JSON.stringify({ key, type: { key: `/type/${type}` }, ...fields }),
        ].join("\t");
    const role = { type: { key: "/type/author_role" }, author: { key: "/authors/OL1A" } };
    const work = line("work", "/works/OL1W", { title: "One", subjects: ["Tides"], authors: [role] });
    writeFileSync(join(folder, "ol_dump_works_2026-01-31.txt.gz"), gzipSync(`${work}\n`));
    writeFileSync(join(folder, "authors.txt"), `${line("author", "/authors/OL1A", { name: "Ann" })}\n`);
    const works = ["--dump", join(folder, "ol_dump_works_2026-01-31.txt.gz")];
    const authors = ["--authors", join(folder, "authors.txt")];
    const landed = await scene.cli(...works, ...authors, "--subject", "Tides").ended;
    assert.is(landed.code, 0, landed.err);
    assert.match(
        landed.out,
        /^extract tides: complete: 1 works and 1 author documents from ol_dump_works_2026-01-31\.txt\.gz, /,
    );
    const alone = await scene.cli(...works, "--all").ended;
    assert.equal([alone.code, alone.err], [2, "--dump needs the authors of that dump: give --authors too\n"]);
    const stray = await scene.cli("--reading-log", "x").ended;
    assert.equal([stray.code, stray.err], [2, "--reading-log is about a dump: give its works too, with --dump\n"]);
    const mixed = await scene.cli(...works, ...authors, "--all", "--max-works", "5").ended;
    assert.equal([mixed.code, mixed.err], [2, "--max-works is about the service, and not about a dump\n"]);
    assert.is(scene.standIn.requests.length, 0);
});

test("explains its options", async () => {
    const { code, out } = await runCli("--help").ended;
    assert.is(code, 0);
    for (const option of ["subject", "max-works", "base-url", "target", "contact", "pace", "project-dir", "debug"]) {
        assert.match(out, `--${option}`);
    }
});

for (const [args, message] of [
    [["--max-works", "some"], /expected a whole number above 0/],
    // Past 2^53, where DuckDB would take none of it in the end.
    [["--max-works", "99999999999999999999"], /expected a whole number above 0/],
    [["--authors-max-age", "99999999999"], /expected a number of days, from 0 to 36525/],
    [["--pace", "0"], /expected a number above 0, or "off"/],
    [["--foo"], /unknown option '--foo'/],
    [["prune"], /required option '--keep <n>' not specified/],
    [["status", "foo"], /too many arguments/],
] as const) {
    test(`ends with 2 for the mistake in "${args.join(" ")}"`, async () => {
        const { code, err } = await runCli(...args).ended;
        assert.is(code, 2, err);
        assert.match(err, message);
    });
}

test("goes on when nobody reads what it says", async () => {
    const scene = await setScene(30);
    const unread = scene.cli();
    unread.process.stdout?.destroy();
    unread.process.stderr?.destroy();
    assert.is((await unread.ended).code, 0);
    const runs = await scene.rows("select status from openlibrary.extract_runs");
    assert.equal(runs, [{ status: "complete" }]);
});

test("cuts a run's name between letters", async () => {
    const scene = await setScene(1);
    const { runId } = await scene.extract({ subjects: ["science_fiction", `${"x".repeat(59)}🚀x`] }).catch(async () => {
        const [run] = await scene.rows("select run_id from openlibrary.extract_runs");
        return { runId: String(run?.run_id) };
    });
    assert.not.match(runId, /\p{Surrogate}/u);
});

/** Counts of works that are there are one too high. */
function countsOneMore(request: StandInRequest, answer: () => Answer): Answer | undefined {
    if (asksForWorks(request) || request.path !== "/search.json") return undefined;
    const whole = JSON.parse(answer().body);
    return whole.numFound === 0 ? undefined : json({ ...whole, numFound: whole.numFound + 1 });
}

async function sameAsUninterrupted(scene: Scene): Promise<void> {
    const reference = await setScene(2_500);
    const whole = await reference.extract();
    const runs = await scene.rows("select * from openlibrary.extract_runs");
    assert.equal(
        runs.map(({ status, works_landed, authors_landed }) => [status, works_landed, authors_landed]),
        [["complete", "2500", "1250"]],
    );
    const content = await contentOf(scene, String(runs[0]?.run_id));
    assert.equal(content, await contentOf(reference, whole.runId));
}

function gate(): { arrived: Promise<void>; arrive: () => void } {
    let arrive = (): void => {};
    const arrived = new Promise<void>((resolve) => {
        arrive = resolve;
    });
    return { arrived, arrive };
}

test.run();
