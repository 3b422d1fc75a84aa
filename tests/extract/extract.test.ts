import * as assert from "uvu/assert";
import { catalogueOf } from "../../demo/catalogue-file.ts";
import { FailedExtraction } from "../../extract/extract.ts";
import { suite } from "../suite.ts";
import { holdOpen } from "./hold-open.ts";
import {
    asksForRange,
    asksForWorks,
    cleanUp,
    contentOf,
    failsWith,
    html,
    json,
    query,
    type Scene,
    setScene,
    shelf,
} from "./scene.ts";

const test = suite("extract");
test.after(cleanUp);

test("lands every work and every author document byte for byte", async () => {
    const bodies: string[] = [];
    const scene = await setScene(2_500, (_request, answer) => {
        const given = answer();
        bodies.push(given.body);
        return given;
    });
    const { status, runId, summary } = await scene.extract();
    assert.is(status, "complete");
    assert.match(
        summary,
        /^extract science_fiction: complete: 2,500 works of 2,500\nextract: complete: 2,500 works and 1,250 author documents in 18 requests, \d+ s, run \d{8}T\d{6}Z-science_fiction$/,
    );
    const landed = await scene.rows(`
        select body, body_sha256 = sha256(body) as is_hashed from openlibrary.search_pages
        union all select body, body_sha256 = sha256(body) from openlibrary.author_pages`);
    assert.equal(landed.map(({ body }) => body).sort(), bodies.sort());
    assert.ok(landed.every(({ is_hashed }) => is_hashed));
    const content = await contentOf(scene, runId);
    const records = shelf(2_500)
        .map((record) => record.key)
        .sort();
    const keys = [...content.works, ...content.authors].map((text) => JSON.parse(text).key).sort();
    assert.equal(keys, records);
    const [run] = await scene.rows("select * exclude (started_at, ended_at) from openlibrary.extract_runs");
    assert.equal(run, {
        run_id: runId,
        source: "api",
        base_url: scene.standIn.url,
        status: "complete",
        message: null,
        max_works: null,
        works_landed: "2500",
        authors_wanted: "1250",
        authors_landed: "1250",
        authors_reused: "0",
        pages_landed: "18",
        rows_quarantined: "0",
        requests: "18",
    });
    assert.equal(await scene.rows("from openlibrary.extract_subjects"), [
        {
            run_id: runId,
            subject: "science_fiction",
            status: "complete",
            message: null,
            num_found: "2500",
            works_landed: "2500",
        },
    ]);
    const pages = "select page_number, docs, num_found from openlibrary.search_pages order by page_number";
    assert.equal(
        (await scene.rows(pages)).map(({ docs, num_found }) => [docs, num_found]),
        [
            [0, "2500"],
            [1000, "2500"],
            [1000, "1500"],
            [500, "500"],
            [0, "2500"],
        ],
    );
});

test("begins a new run when the last one is finished", async () => {
    const scene = await setScene(20);
    const first = await scene.extract();
    const second = await scene.extract();
    assert.is.not(first.runId, second.runId);
    assert.equal(await contentOf(scene, second.runId), await contentOf(scene, first.runId));
});

test("stops at max_works, with the authors of these works only", async () => {
    const scene = await setScene(2_500);
    const { status, isStopped, runId } = await scene.extract({ maxWorks: 1_100 });
    assert.is(status, "partial");
    assert.ok(isStopped);
    const [run] = await scene.rows(
        `select s.message, s.works_landed, authors_wanted, authors_landed
        from openlibrary.extract_runs inner join openlibrary.extract_subjects s using (run_id)`,
    );
    assert.equal(run, {
        message: "stopped at --max-works 1,100 of 2,500",
        works_landed: "1100",
        authors_wanted: "1100",
        authors_landed: "1100",
    });
    assert.is((await contentOf(scene, runId)).works.length, 1_100);
});

test("is complete when max_works is more than there are", async () => {
    const scene = await setScene(20);
    const { status, isStopped } = await scene.extract({ maxWorks: 20 });
    assert.equal([status, isStopped], ["complete", false]);
});

test("says which subject has no works, and lands the count that proves it", async () => {
    const scene = await setScene(20);
    await failsWith(
        scene.extract({ subjects: ["scifi"] }),
        /^extract scifi: there are no works of the subject "scifi"; .*\.$/,
    );
    const [run] = await scene.rows(`select r.status, num_found, pages_landed
        from openlibrary.extract_runs r inner join openlibrary.extract_subjects using (run_id)`);
    assert.equal(run, { status: "failed", num_found: "0", pages_landed: "1" });
});

test("goes on with a failed run under its name, without fetching anything again", async () => {
    let isDown = true;
    const scene = await setScene(2_500, (request) =>
        isDown && query(request, "q").includes("OL12000W") ? json({ status: 429 }, 429) : undefined,
    );
    const message = `extract science_fiction: 429 Too Many Requests after 5 tries: GET .../search.json?q=subject_key:"science_fiction" AND key:{"/works/OL12000W" TO *}&limit=1000. 2,000 of 2,500 works are landed; run again to go on.`;
    await failsWith(scene.extract(), message);
    const [failed] = await scene.rows("select run_id, status, works_landed, requests from openlibrary.extract_runs");
    assert.equal([failed?.status, failed?.works_landed, failed?.requests], ["failed", "2000", "8"]);
    isDown = false;
    const before = scene.standIn.requests.length;
    const { status, runId } = await scene.extract();
    assert.equal([status, runId], ["complete", failed?.run_id]);
    const again = scene.standIn.requests.slice(before).map(({ path }) => path);
    assert.is(again.filter((path) => path.includes("sort=key")).length, 1);
    const reference = await setScene(2_500);
    const whole = await reference.extract();
    assert.equal(await contentOf(scene, runId), await contentOf(reference, whole.runId));
    const [run] = await scene.rows("select status, works_landed, pages_landed, requests from openlibrary.extract_runs");
    assert.equal(run, { status: "complete", works_landed: "2500", pages_landed: "19", requests: "24" });
});

test("does not fetch the authors again that a failed run has landed", async () => {
    let batches = 0;
    let isDown = true;
    const scene = await setScene(1_000, (request) =>
        isDown && request.path === "/api/get_many" && ++batches > 3 ? json({ status: 429 }, 429) : undefined,
    );
    await failsWith(scene.extract(), /429 Too Many Requests after 5 tries: GET .*1,000 works are landed/);
    const [failed] = await scene.rows("select authors_landed from openlibrary.extract_runs");
    assert.equal(failed, { authors_landed: "300" });
    isDown = false;
    const before = scene.standIn.requests.length;
    const { status } = await scene.extract();
    assert.is(status, "complete");
    const again = scene.standIn.requests.slice(before).filter(({ path }) => path.startsWith("/api/"));
    assert.is(again.length, 2);
    const sql = "select count(*) as n, count(distinct page_number) as pages from openlibrary.author_pages";
    assert.equal(await scene.rows(sql), [{ n: "5", pages: "5" }]);
});

test("walks a second time for a work that came behind the walk's back", async () => {
    const late = { key: "/works/OL10000W", title: "Late", subject: ["Science fiction"] };
    const scene = await setScene(2_500, (request) => {
        if (query(request, "q").includes("OL12000W")) scene.standIn.replace(catalogueOf([late, ...shelf(2_500)]));
        return undefined;
    });
    const { status, runId } = await scene.extract();
    assert.is(status, "complete");
    assert.is((await contentOf(scene, runId)).works.length, 2_501);
});

test("is partial, with the difference, when the count stays higher than what can be found", async () => {
    const scene = await setScene(30, (request, answer) => {
        if (asksForWorks(request) || request.path !== "/search.json") return undefined;
        return json({ ...JSON.parse(answer().body), numFound: 32 });
    });
    const { status, summary } = await scene.extract();
    assert.is(status, "partial");
    assert.match(summary, /partial: 30 works of 32: 2 of the counted works were not found in two walks\n/);
    const [run] = await scene.rows("select status, num_found, works_landed from openlibrary.extract_subjects");
    assert.equal(run, { status: "partial", num_found: "32", works_landed: "30" });
});

test("is partial when works went that it has landed", async () => {
    const scene = await setScene(1_200, (request) => {
        if (asksForRange(request)) scene.standIn.replace(catalogueOf(shelf(1_200).slice(2)));
        return undefined;
    });
    const { status, summary } = await scene.extract();
    assert.is(status, "partial");
    assert.match(
        summary,
        /1,200 works of 1,198: 2 of the landed works are not counted any more; the service has no longer \/works\/OL10001W, \/works\/OL10002W\n/,
    );
});

const shelves = (...works: [number, ...string[]][]) =>
    catalogueOf([
        ...works.map(([n, ...subject]) => ({ key: `/works/OL${n}W`, title: `${n}`, subject, author_key: [`OL${n}A`] })),
        ...works.map(([n]) => ({ key: `/authors/OL${n}A`, type: { key: "/type/author" as const }, name: `${n}` })),
    ]);
const standings = "select subject, status, num_found, works_landed from openlibrary.extract_subjects order by subject";

test("lands several subjects in one run, and a work of two of them once", async () => {
    const scene = await setScene(
        shelves([1, "Tides"], [2, "Tides", "Moons!"], [3, "Moons!"], [4, "TIDES?", "Stars"], [5, "Stars"], [6, "Suns"]),
    );
    const { status, summary } = await scene.extract({ subjects: ["tides", "moons!", "stars"] });
    assert.is(status, "complete");
    assert.match(
        summary,
        /^extract tides: complete: 3 works of 3\nextract moons!: complete: 2 works of 2\nextract stars: complete: 2 works of 2\nextract: complete: 5 works and 5 author documents in 10 requests, .*-tides$/,
    );
    assert.equal(await scene.rows(standings), [
        { subject: "moons!", status: "complete", num_found: "2", works_landed: "2" },
        { subject: "stars", status: "complete", num_found: "2", works_landed: "2" },
        { subject: "tides", status: "complete", num_found: "3", works_landed: "3" },
    ]);
    const pages = "select subject, docs from openlibrary.search_pages where docs > 0 order by page_number";
    assert.equal(await scene.rows(pages), [
        { subject: "tides", docs: 3 },
        { subject: "moons!", docs: 1 },
        { subject: "stars", docs: 1 },
    ]);
});

test("lands a work twice rather than not at all when the service can't leave subjects out", async () => {
    const scene = await setScene(shelves([1, "Tides"], [2, "Tides", "Moons"], [3, "Moons"]), (request) => {
        request.query.set("q", query(request, "q").replace(/ AND NOT .*/, ""));
        return undefined;
    });
    const { status } = await scene.extract({ subjects: ["tides", "moons"] });
    assert.is(status, "complete");
    assert.equal(
        (await scene.rows(standings)).map(({ works_landed }) => works_landed),
        ["2", "2"],
    );
});

test("asks for all works of a subject when the one before it has not landed whole", async () => {
    const scene = await setScene(shelves([1, "Tides"], [2, "Tides", "Moons"], [3, "Tides", "Moons"], [4, "Moons"]));
    const { status, isStopped } = await scene.extract({ subjects: ["tides", "moons"], maxWorks: 2 });
    assert.equal([status, isStopped], ["partial", true]);
    assert.not(scene.standIn.requests.some(({ path }) => path.includes("NOT")));
    assert.equal(
        (await scene.rows(standings)).map(({ works_landed }) => works_landed),
        ["2", "3"],
    );
});

test("walks a subject of which as many works as it has came with another, one of them gone since", async () => {
    const both = ["Tides", "Moons"];
    const works = [both, both, ["Moons"]].map((subject, n) => ({ key: `/works/OL${n + 1}W`, title: `${n}`, subject }));
    const scene: Scene = await setScene(catalogueOf(works), (request) => {
        if (query(request, "q").includes('{"/works/OL1W"')) scene.standIn.replace(catalogueOf(works.slice(1)));
        return undefined;
    });
    await scene.extract({ subjects: ["tides", "moons"], pageSize: 1 });
    assert.equal(
        await scene.rows("select subject, message, num_found, works_landed from openlibrary.extract_subjects"),
        [
            ...["tides", "moons"].map((subject) => ({
                subject,
                message: "1 of the landed works are not counted any more; the service has no longer /works/OL1W",
                num_found: subject === "tides" ? "1" : "2",
                works_landed: subject === "tides" ? "2" : "3",
            })),
        ],
    );
});

test("lands the other subjects of a run when one fails, and goes on with that one", async () => {
    let isBad = true;
    const scene = await setScene(shelves([1, "Tides"], [2, "Moons"]), (request) =>
        isBad && asksForWorks(request) && query(request, "q").includes("tides") ? html(500) : undefined,
    );
    const run = scene.extract({ subjects: ["tides", "moons"] });
    await failsWith(
        run,
        /^extract tides: 500 Internal Server Error after 5 tries: .*0 of 1 works are landed; run again to go on\.$/,
    );
    const error: unknown = await run.catch((thrown) => thrown);
    assert.ok(error instanceof FailedExtraction);
    assert.is(error.summary, "extract moons: complete: 1 works of 1");
    assert.equal(
        (await scene.rows(standings)).map(({ status }) => status),
        ["complete", "failed"],
    );
    isBad = false;
    assert.is((await scene.extract({ subjects: ["moons", "tides"] })).status, "complete");
    assert.equal(await scene.rows("select count(*) as runs from openlibrary.extract_runs"), [{ runs: "1" }]);
});

test("is interrupted with what it has landed, and goes on from there", async () => {
    const interruption = new AbortController();
    const scene = await setScene(2_500, (request) => {
        if (query(request, "q").includes("OL12000W")) interruption.abort(new Error("stop"));
        return undefined;
    });
    await failsWith(scene.extract({ signal: interruption.signal }), /^stop$/);
    const [run] = await scene.rows("select status, works_landed from openlibrary.extract_runs");
    assert.equal(run, { status: "failed", works_landed: "2000" });
    assert.is((await scene.extract()).status, "complete");
    assert.equal(await scene.rows("select count(*) as runs from openlibrary.extract_runs"), [{ runs: "1" }]);
});

test("leaves what it fetched in the spool when the landing file stays locked, and loads it the next time", async () => {
    const scene = await setScene(20);
    await scene.extract();
    const holder = await holdOpen(scene.landing);
    await failsWith(
        scene.extract({ patience: 0 }),
        new RegExp(
            `process ${holder.pid} .* still holds .*\\. What was fetched waits beside it; run again to load it\\.$`,
        ),
    );
    await holder.release();
    await scene.extract();
    const sql =
        "select status, count(*) as runs, sum(works_landed) as works from openlibrary.extract_runs group by status";
    assert.equal(await scene.rows(sql), [{ status: "complete", runs: "3", works: "60" }]);
});

test("comments on each table and column", async () => {
    const scene = await setScene(1);
    await scene.extract();
    const bare = `select table_name from duckdb_tables() where schema_name = 'openlibrary' and comment is null
        union all select table_name || '.' || column_name from duckdb_columns()
        where schema_name = 'openlibrary' and comment is null`;
    assert.equal(await scene.rows(bare), []);
});

test.run();
