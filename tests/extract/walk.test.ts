import { setTimeout as wait } from "node:timers/promises";
import * as assert from "uvu/assert";
import { catalogueOf } from "../../demo/catalogue-file.ts";
import type { Answer, StandInRequest } from "../../demo/server.ts";
import { suite } from "../suite.ts";
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

const test = suite("walk");
test.after(cleanUp);

test("asks for pages by the key after which they begin", async () => {
    const scene = await setScene(1_500);
    await scene.extract();
    const [first, second] = asked(scene).filter((url) => url.searchParams.has("sort"));
    assert.is(first?.searchParams.get("q"), 'subject_key:"science_fiction"');
    assert.is(second?.searchParams.get("q"), 'subject_key:"science_fiction" AND key:{"/works/OL11000W" TO *}');
    assert.equal([first?.searchParams.get("sort"), first?.searchParams.get("limit")], ["key", "1000"]);
});

for (const [how, spoil] of [
    ["ignores a range of keys", (request: StandInRequest) => withoutRange(request)],
    ["refuses a range of keys with 400", () => json({ error: "no" }, 400)],
    ["fails on a range of keys with 500", () => html(500)],
    ["finds nothing in a range of keys", () => json({ numFound: 0, numFoundExact: true, docs: [] })],
] as const) {
    test(`goes on by offset when the service ${how}`, async () => {
        const scene: Scene = await setScene(2_500, async (request) => {
            if (!asksForRange(request)) return undefined;
            const instead = spoil(request);
            return typeof instead === "string" ? copyOf(`${scene.standIn.url}${instead}`) : instead;
        });
        const { status, runId } = await scene.extract();
        assert.is(status, "complete");
        assert.is((await contentOf(scene, runId)).works.length, 2_500);
        const offsets = asked(scene).map((url) => url.searchParams.get("offset"));
        assert.equal(
            offsets.filter((offset) => offset !== null),
            ["1000", "2000"],
        );
        const [run] = await scene.rows("select message from openlibrary.extract_subjects");
        assert.match(String(run?.message), /range of keys.*; the rest was asked for by offset$/);
        assert.match(scene.said(), /the rest was asked for by offset/);
    });
}

test("asks again for a page that is cut short", async () => {
    let cuts = 0;
    const scene = await setScene(1_200, (request, answer) => {
        if (!asksForRange(request) || ++cuts > 2) return undefined;
        const whole = JSON.parse(answer().body);
        return json({ ...whole, docs: whole.docs.slice(0, 50) });
    });
    const { status, runId } = await scene.extract();
    assert.is(status, "complete");
    assert.is((await contentOf(scene, runId)).works.length, 1_200);
    assert.match(scene.said(), /answered 200 with 50 works where 200 were due; try 2 of 5/);
});

test("fails when a page stays cut short", async () => {
    const scene = await setScene(30, (request, answer) => {
        if (!asksForWorks(request)) return undefined;
        const whole = JSON.parse(answer().body);
        return json({ ...whole, docs: whole.docs.slice(1) });
    });
    await failsWith(
        scene.extract(),
        /answered 200 with 29 works where 30 were due after 5 tries: .*0 of 30 works are landed; run again to go on\.$/,
    );
});

test("asks again for a page that is out of order", async () => {
    let pages = 0;
    const scene = await setScene(30, (request, answer) => {
        if (!asksForWorks(request) || ++pages > 1) return undefined;
        const whole = JSON.parse(answer().body);
        return json({ ...whole, docs: whole.docs.toReversed() });
    });
    assert.is((await scene.extract()).status, "complete");
    assert.match(scene.said(), /works that are not in the order of their keys; try 2 of 5/);
});

test("asks again for a count that does not fit, and does not end early because of it", async () => {
    let counts = 0;
    const scene = await setScene(2_500, (request, answer) => {
        if (!asksForRange(request) || ++counts > 1) return undefined;
        const whole = JSON.parse(answer().body);
        return json({ ...whole, numFound: 400, docs: whole.docs.slice(0, 400) });
    });
    assert.is((await scene.extract()).status, "complete");
    // Two counts, three pages, and one page a second time: no second walk.
    assert.is(asked(scene).filter((url) => url.pathname === "/search.json").length, 6);
});

test("takes a count of which the service is not sure for a bad answer", async () => {
    const scene = await setScene(30, (request, answer) =>
        request.path === "/search.json" ? json({ ...JSON.parse(answer().body), numFoundExact: false }) : undefined,
    );
    await failsWith(scene.extract(), /answered 200, but numFoundExact is false, not true after 5 tries/);
});

test("lands a page with a work that does not fit, and the work in quarantine as well", async () => {
    const scene = await setScene(30, (request, answer) => {
        if (!asksForWorks(request)) return undefined;
        const whole = JSON.parse(answer().body);
        whole.docs[3].title = null;
        whole.docs[5].author_key = "OL1A";
        whole.docs[7] = "not a work";
        const text = JSON.stringify(whole).replace('"Title „9“ 星"', '"Title \\ud83d"');
        return { ...json({}), body: text };
    });
    const { status } = await scene.extract();
    // The work without a key can't be counted as landed.
    assert.is(status, "partial");
    const sql = `select position, reason, body from openlibrary.quarantine
        where source = 'search_pages' and page_number = 2 order by position`;
    const rows = await scene.rows(sql);
    assert.equal(
        rows.map(({ position, reason }) => [position, reason]),
        [
            [3, "title is null, not string"],
            [5, 'author_key is "OL1A", not Array'],
            [7, 'it is "not a work", not Object'],
            [9, "it holds a lone surrogate, which is not text"],
        ],
    );
    assert.is(JSON.parse(String(rows[0]?.body)).key, "/works/OL10004W");
    const [run] = await scene.rows("select rows_quarantined, works_landed from openlibrary.extract_runs");
    assert.equal(run, { rows_quarantined: "12", works_landed: "29" });
});

test("walks a subject of many pages in nine key ranges, three at once", async () => {
    const keys = Array.from({ length: 300 }, (_, n) => `/works/OL${(n * 7919) % 100_000}W`);
    const works = keys.map((key) => ({ key, title: key, subject: ["Science fiction"] }));
    let atOnce = 0;
    let most = 0;
    const scene = await setScene(catalogueOf(works), async (request) => {
        if (!asksForWorks(request)) return undefined;
        most = Math.max(most, ++atOnce);
        await wait(10);
        atOnce--;
        return undefined;
    });
    const { status, runId } = await scene.extract({ pageSize: 20 });
    assert.is(status, "complete");
    assert.is((await contentOf(scene, runId)).works.length, 300);
    const ranges = asked(scene).map((url) => url.searchParams.get("q")?.replace(/.*?( AND |$)/, ""));
    assert.ok(ranges.includes('key:{* TO "/works/OL2"]') && ranges.includes('key:{"/works/OL9" TO *}'));
    assert.is(most, 3);
});

test("goes on with a subject that was walked in ranges where each of them stopped", async () => {
    let left = 12;
    const works = shelf(300);
    const scene = await setScene(catalogueOf(works), (request) =>
        asksForWorks(request) && left-- <= 0 ? html(403) : undefined,
    );
    await failsWith(scene.extract({ pageSize: 20 }), /403 Forbidden/);
    const before = Number((await scene.rows("select works_landed from openlibrary.extract_runs"))[0]?.works_landed);
    assert.ok(before >= 100 && before < 300, `${before} works`);
    left = 1000;
    const { status, runId } = await scene.extract({ pageSize: 20 });
    assert.is(status, "complete");
    assert.is((await contentOf(scene, runId)).works.length, 300);
    const pages = "select sum(docs) as docs from openlibrary.search_pages";
    assert.equal(await scene.rows(pages), [{ docs: "300" }]);
});

test("looks for works that came behind the walk's back by counting between landed keys", async () => {
    const late = [10_003.5, 11_700.5].map((n) => ({
        key: `/works/OL${String(n).replace(".", "")}W`,
        title: "Late",
        subject: ["Science fiction"],
    }));
    const scene = await setScene(2_500, (request) => {
        if (query(request, "q").includes("OL12000W")) scene.standIn.replace(catalogueOf([...late, ...shelf(2_500)]));
        return undefined;
    });
    const { status, runId } = await scene.extract();
    assert.is(status, "complete");
    assert.is((await contentOf(scene, runId)).works.length, 2_502);
    assert.not(asked(scene).some((url) => url.searchParams.has("offset")));
    const pages = asked(scene).filter((url) => url.searchParams.get("limit") === "1000");
    assert.ok(pages.length <= 5, `${pages.length} pages`);
});

test("asks for fewer works at once when the service fails on a whole page", async () => {
    const scene = await setScene(150, (request) => (Number(query(request, "limit")) > 100 ? html(504) : undefined));
    const { status } = await scene.extract();
    assert.is(status, "complete");
    const sql = "select docs from openlibrary.search_pages where docs > 0 order by page_number";
    assert.equal(await scene.rows(sql), [{ docs: 100 }, { docs: 50 }]);
});

function asked(scene: Scene): URL[] {
    return scene.standIn.requests.map(({ path }) => new URL(path, scene.standIn.url));
}

function withoutRange(request: StandInRequest): string {
    const search = new URLSearchParams(request.query);
    search.set("q", query(request, "q").replace(/ AND .*/, ""));
    return `${request.path}?${search}`;
}

async function copyOf(url: string): Promise<Answer> {
    const response = await fetch(url, { headers: { "user-agent": "test@example.org" } });
    return { status: response.status, headers: { "Content-Type": "application/json" }, body: await response.text() };
}

test.run();
