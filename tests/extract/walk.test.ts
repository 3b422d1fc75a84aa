import * as assert from "uvu/assert";
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
