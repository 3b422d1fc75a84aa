// Extractions that are killed at random moments. KILLS=100 kills so many; SEED=... kills at the same moments again.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import * as assert from "uvu/assert";
import { numbersFromSeed, seed } from "../random.ts";
import { suite } from "../suite.ts";
import { atCleanUp, cleanUp, contentOf, readRows, runCli, type Scene, setScene, writeProject } from "./scene.ts";

const test = suite("kills");
test.after(cleanUp);

const kills = Number(process.env.KILLS ?? 8);
/** So long takes an answer, for kills to fall between them. */
const latency = 60;
/** Requests that the extractor has under way at once. */
const atOnce = 3;

/** A project of its own, with a landing file in which an earlier extraction has landed some of the authors. */
function copyOf(scene: Scene): { folder: string; landing: string; rows: Scene["rows"] } {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-kills-"));
    atCleanUp(() => rmSync(folder, { recursive: true, force: true }));
    writeProject(folder, { contact: "tests@example.org", subjects: ["science_fiction"], baseUrl: scene.standIn.url });
    mkdirSync(join(folder, "data"));
    const landing = join(folder, "data", "landing.duckdb");
    copyFileSync(scene.landing, landing);
    return { folder, landing, rows: (sql) => readRows(landing, sql) };
}

/** What a run has landed and reused, and how it stands. */
async function resultOf(project: { rows: Scene["rows"] }, runId: string): Promise<unknown> {
    const about = `select status, message, works_landed, authors_wanted, authors_landed, authors_reused, rows_quarantined
        from openlibrary.extract_runs where run_id = '${runId}'`;
    const reused = `select author_key, page_run_id, page_number from openlibrary.reused_authors where run_id = '${runId}' order by all`;
    const subjects = `select subject, status, num_found, works_landed from openlibrary.extract_subjects where run_id = '${runId}'`;
    return {
        about: await project.rows(about),
        subjects: await project.rows(subjects),
        reused: await project.rows(reused),
        content: await contentOf(project, runId),
    };
}

/** What was answered more than once: pages of works, and hundreds of authors. */
function repeated(requests: Scene["standIn"]["requests"]): number {
    const times = new Map<string, number>();
    for (const { path, status } of requests) {
        if (status === 200 && !/[?&]limit=0(&|$)/.test(path)) times.set(path, (times.get(path) ?? 0) + 1);
    }
    return [...times.values()].reduce((sum, n) => sum + n - 1, 0);
}

test(`${kills} kills at random moments lose nothing, and fetch nothing twice but what was under way`, async () => {
    let onFirst = (): void => {};
    const scene = await setScene(4_000, async () => {
        onFirst();
        await wait(latency);
        return undefined;
    });
    /** A process takes so long to start as the machine has other things to do: moments after it count from its first request. */
    const firstRequest = (): Promise<void> => new Promise((resolve) => (onFirst = resolve));
    const earlier = await scene.extract({ maxWorks: 400 });
    const whole = copyOf(scene);
    const begun = performance.now();
    let startUp = 0;
    void firstRequest().then(() => (startUp ||= performance.now() - begun));
    assert.is((await runCli("--project-dir", whole.folder, "--pace", "off").ended).code, 0);
    const length = performance.now() - begun;
    const newRuns = `select run_id from openlibrary.extract_runs where run_id <> '${earlier.runId}' order by started_at`;
    const [reference] = await whole.rows(newRuns);
    const expected = await resultOf(whole, String(reference?.run_id));

    const next = numbersFromSeed();
    const outcomes = { "before anything": 0, "among the pages": 0, "after the last page": 0 };
    for (let n = 1; n <= kills; n++) {
        const delay = Math.round(next() * length);
        const project = copyOf(scene);
        try {
            const since = scene.standIn.requests.length;
            const victim = runCli("--project-dir", project.folder, "--pace", "off");
            if (delay > startUp) await Promise.race([firstRequest(), victim.ended]);
            await Promise.race([wait(delay > startUp ? delay - startUp : delay), victim.ended]);
            victim.process.kill("SIGKILL");
            await victim.ended;
            const spool = `${project.landing}.spool`;
            const isUnderWay = existsSync(spool) && readdirSync(spool).length > 0;
            const fetched = scene.standIn.requests.length - since;
            const again = await runCli("--project-dir", project.folder, "--pace", "off").ended;
            assert.is(again.code, 0, again.err);
            const runs = await project.rows(newRuns);
            assert.equal(await resultOf(project, String(runs[0]?.run_id)), expected);
            assert.equal(readdirSync(join(project.folder, "data")).sort(), ["landing.duckdb", "landing.duckdb.spool"]);
            assert.equal(readdirSync(spool), []);
            // Killed after its last page, the run is complete all the same, and the next one a run of its own.
            if (runs.length === 1) {
                const twice = repeated(scene.standIn.requests.slice(since));
                assert.ok(twice <= atOnce, `${twice} pages were fetched twice`);
            }
            if (runs.length > 1) outcomes["after the last page"]++;
            else outcomes[isUnderWay && fetched > 0 ? "among the pages" : "before anything"]++;
        } catch (error) {
            const text = `kill ${n} of ${kills}, ${delay} ms after the start of ${Math.round(length)}; again with SEED=${seed}`;
            throw new Error(`${text}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
        }
        rmSync(project.folder, { recursive: true });
    }
    const told = Object.entries(outcomes).map(([when, n]) => `${n} ${when}`);
    console.log(`kills: ${told.join(", ")}; the whole extraction took ${Math.round(length)} ms, seed ${seed}`);
    assert.ok(outcomes["among the pages"] > 0, `no kill fell among the pages; again with SEED=${seed}`);
});

test.run();
