// Each fault of the stand-in, against the whole extractor over HTTP: how the run ends, what it costs, and that nothing is
// lost and nothing invented.
import * as assert from "uvu/assert";
import { faults } from "../../demo/faults.ts";
import { Client } from "../../extract/client.ts";
import { FailedExtraction } from "../../extract/extract.ts";
import { suite } from "../suite.ts";
import { type FaultCase, pageSize, table, works } from "./fault-table.ts";
import { cleanUp, contentOf, type Scene, setScene } from "./scene.ts";

const test = suite("faults");
test.after(cleanUp);

type Content = Awaited<ReturnType<typeof contentOf>>;

interface End extends Omit<FaultCase, "what" | "plan" | "outcome" | "exit"> {
    readonly outcome: unknown;
    readonly exit: number;
    readonly message: string;
    readonly runId: string;
}

/** An extraction, and how it ended. */
async function extraction(scene: Scene, timeout?: number): Promise<End> {
    const before = scene.standIn.requests.length;
    const options = { baseUrl: scene.standIn.url, userAgent: "shelfmark/test (+tests@example.org)", backoff: 1 };
    const client = new Client({ ...options, ...(timeout !== undefined && { timeout }) });
    const end = await scene.extract({ client, pageSize }).then(
        ({ status }) => ({ exit: status === "complete" ? 0 : 3 }),
        (error: unknown) => {
            if (!(error instanceof FailedExtraction)) throw error;
            return { exit: error.exitCode, message: error.message };
        },
    );
    const [run = {}] = await scene.rows(`
        select runs.run_id, runs.status, runs.works_landed, subjects.message
        from openlibrary.extract_runs as runs
        inner join openlibrary.extract_subjects as subjects using (run_id)
        order by runs.ended_at desc
        limit 1`);
    return {
        outcome: run.status,
        message: String(run.message ?? ""),
        ...end,
        requests: scene.standIn.requests.length - before,
        works: Number(run.works_landed),
        runId: String(run.run_id),
    };
}

/** What a run lands that nothing befalls. */
let whole: Content;
test.before(async () => {
    const scene = await setScene(works);
    whole = await contentOf(scene, (await scene.extract()).runId);
});

const keysOf = (texts: readonly string[]): string[] => texts.map((text) => JSON.parse(text).key);

for (const { what, plan, timeout, ...expected } of table) {
    test(what, async () => {
        const scene = await setScene(works);
        scene.standIn.plan(plan);
        const end = await extraction(scene, timeout);
        assert.equal(
            { outcome: end.outcome, exit: end.exit, requests: end.requests, works: end.works },
            { outcome: expected.outcome, exit: expected.exit, requests: expected.requests, works: expected.works },
        );
        if (expected.says === undefined) assert.is(end.message, "");
        else assert.ok(end.message.includes(expected.says), end.message);
        scene.standIn.plan([]);
        if (end.outcome === "failed") {
            assert.not.match(end.message, "\n");
            if (end.works > 0) assert.match(end.message, /works are landed; run again to go on\.$/);
            const next = await extraction(scene);
            assert.equal([next.outcome, next.exit, next.runId], ["complete", 0, end.runId]);
            assert.is(next.requests, expected.next);
        }
        // A catalogue that has changed is read once more, to know what it holds now.
        const changes = plan.some(({ fault }) => fault === "put" || fault === "delete");
        const after = changes ? await contentOf(scene, (await extraction(scene)).runId) : whole;
        const landed = await contentOf(scene, end.runId);
        for (const kind of ["works", "authors"] as const) {
            const held = new Set([...whole[kind], ...after[kind]]);
            assert.equal(
                landed[kind].filter((text) => !held.has(text)),
                [],
                "nothing is invented",
            );
            const keys = new Set(keysOf(landed[kind]));
            assert.equal(
                keysOf(after[kind]).filter((key) => !keys.has(key)),
                [],
                "nothing is lost",
            );
        }
    });
}

test("has a line for each fault that the stand-in knows", () => {
    const used = new Set(table.flatMap(({ plan }) => plan.map(({ fault }) => fault)));
    assert.equal([...used].sort(), Object.keys(faults).sort());
});

for (const what of ["502, once", "403", "a work goes that has landed"]) {
    test(`ends at the command line with the same exit code: ${what}`, async () => {
        const found = table.find((each) => each.what === what);
        if (found === undefined) throw new Error("no such line");
        const scene = await setScene(works);
        scene.standIn.plan(found.plan);
        const { code, out, err } = await scene.cli().ended;
        assert.is(code, found.exit, err);
        if (found.says !== undefined) assert.ok((out + err).includes(found.says), out + err);
    });
}

test.run();
