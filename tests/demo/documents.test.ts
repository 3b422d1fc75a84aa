import * as assert from "uvu/assert";
import { catalogueOf } from "../../demo/catalogue-file.ts";
import { type StandIn, startStandIn } from "../../demo/server.ts";
import { suite } from "../suite.ts";

const test = suite("demo/documents");

const redirect = {
    key: "/authors/OL990000002A",
    type: { key: "/type/redirect" as const },
    location: "/authors/OL990000001A",
};
const catalogue = catalogueOf([
    { key: "/authors/OL990000001A", type: { key: "/type/author" }, name: "Zoë \u{1d11e}", birth_date: "1950" },
    redirect,
    { key: "/authors/OL990000003A", type: { key: "/type/delete" } },
    {
        key: "/works/OL990000001W",
        title: "A book",
        author_key: ["OL990000001A"],
        subject: ["Tea"],
        cover_i: 5,
        ratings_count: 3,
    },
    { key: "/works/OL990000009M", title: "__None__", author_key: ["OL990000001A"] },
]);

let standIn: StandIn;
test.before(async () => {
    standIn = await startStandIn(catalogue);
});
test.after(() => standIn.close());

async function ask(path: string): Promise<{ status: number; text: string }> {
    const response = await fetch(standIn.url + path, { headers: { "User-Agent": "tests (a@example.org)" } });
    return { status: response.status, text: await response.text() };
}

const many = (keys: readonly string[]): string => `/api/get_many?keys=${encodeURIComponent(JSON.stringify(keys))}`;

test("answers a stored document as Python writes it", async () => {
    assert.equal(await ask("/authors/OL990000001A.json"), {
        status: 200,
        text:
            '{"key": "/authors/OL990000001A", "type": {"key": "/type/author"}, "name": "Zo\\u00eb \\ud834\\udd1e", ' +
            '"birth_date": "1950"}',
    });
});

test("answers redirects and deletions with 200, and a missing key with 404", async () => {
    const answer = await ask(`${redirect.key}.json`);
    assert.is(answer.status, 200);
    assert.equal(JSON.parse(answer.text), redirect);
    assert.is((await ask("/authors/OL990000003A.json")).status, 200);
    assert.equal(await ask("/authors/OL0A.json"), {
        status: 404,
        text: '{"error": "notfound", "key": "/authors/OL0A"}',
    });
    assert.equal(await ask("/works/OL0W.json"), { status: 404, text: '{"error": "notfound", "key": "/works/OL0W"}' });
    assert.equal(await ask("/authors.json"), { status: 404, text: '{"detail":"Not Found"}' });
});

test("makes work and edition documents from the catalogue", async () => {
    assert.equal(JSON.parse((await ask("/works/OL990000001W.json")).text), {
        key: "/works/OL990000001W",
        type: { key: "/type/work" },
        title: "A book",
        authors: [{ type: { key: "/type/author_role" }, author: { key: "/authors/OL990000001A" } }],
        subjects: ["Tea"],
        covers: [5],
    });
    assert.equal(JSON.parse((await ask("/works/OL990000009M.json")).text), {
        key: "/books/OL990000009M",
        type: { key: "/type/edition" },
        authors: [{ key: "/authors/OL990000001A" }],
    });
});

test("answers many documents, without those that are missing", async () => {
    const { status, text } = await ask(many(["/authors/OL990000002A", "/authors/OL0A"]));
    assert.is(status, 200);
    assert.is(
        text,
        '{"status": "ok", "result": {"/authors/OL990000002A": {"key": "/authors/OL990000002A", "type": ' +
            '{"key": "/type/redirect"}, "location": "/authors/OL990000001A"}}}',
    );
    assert.is((await ask(many([]))).text, '{"status": "ok", "result": {}}');
});

test("tells with 200 that it failed when keys can't be read", async () => {
    for (const path of ["/api/get_many", "/api/get_many?keys=OL1A", "/api/get_many?keys=[1]"]) {
        const { status, text } = await ask(path);
        assert.is(status, 200);
        assert.match(text, /^\{"status": "fail", "message": "[^"]+"\}$/);
    }
});

test.run();
