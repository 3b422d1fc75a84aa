import * as assert from "uvu/assert";
import { catalogueOf } from "../../demo/catalogue-file.ts";
import { suite } from "../suite.ts";
import { cleanUp, contentOf, failsWith, html, json, query, setScene } from "./scene.ts";

const test = suite("authors");
test.after(cleanUp);

const person = (id: string) => ({ key: `/authors/${id}`, type: { key: "/type/author" as const }, name: id });
const merged = (id: string, into: string) => ({
    key: `/authors/${id}`,
    type: { key: "/type/redirect" as const },
    location: `/authors/${into}`,
});
const work = (n: number, ...author_key: string[]) => ({
    key: `/works/OL${n}W`,
    title: `Work ${n}`,
    subject: ["Science fiction"],
    author_key,
});

test("asks for a hundred documents at a time, in URLs that the service takes", async () => {
    const scene = await setScene(1_000);
    await scene.extract();
    const batches = scene.standIn.requests.filter(({ path }) => path.startsWith("/api/get_many"));
    assert.is(batches.length, 5);
    assert.ok(batches.every(({ path, status }) => path.length < 8_000 && status === 200));
    const pages =
        "select route, documents, json_extract_string(parameters, '$.keys') as keys from openlibrary.author_pages";
    for (const { route, documents, keys } of await scene.rows(pages)) {
        assert.equal([route, documents, JSON.parse(String(keys)).length], ["get_many", 100, 100]);
    }
});

for (const [how, spoil] of [
    ["fails with status 200", json({ status: "fail", message: "no" })],
    ["answers HTML", html(200)],
    ["is gone", html(404)],
    ["finds the URL too long", html(414)],
] as const) {
    test(`asks for documents one by one when get_many ${how}`, async () => {
        const scene = await setScene(8, ({ path }) => (path === "/api/get_many" ? spoil : undefined));
        const { status, runId } = await scene.extract();
        assert.is(status, "complete");
        const { authors } = await contentOf(scene, runId);
        assert.is(authors.length, 4);
        const pages = await scene.rows(
            "select distinct route, parameters, documents from openlibrary.author_pages order by 2",
        );
        assert.is(pages.length, 4);
        assert.equal(pages[0], { route: "author", parameters: '{"key":"/authors/OL10001A"}', documents: 1 });
    });
}

test("only falls back for the batch that fails", async () => {
    const scene = await setScene(400, (request) =>
        query(request, "keys").includes("OL10001A") ? json({ status: "fail" }) : undefined,
    );
    await scene.extract();
    const sql = "select route, count(*) as pages from openlibrary.author_pages group by route order by route";
    assert.equal(await scene.rows(sql), [
        { route: "author", pages: "100" },
        { route: "get_many", pages: "1" },
    ]);
});

test("follows merged authors to the end of the chain, and no further than a loop", async () => {
    const scene = await setScene(
        catalogueOf([
            ...[work(1, "OL1A", "OL5A"), work(2, "OL9A", "OL7A")],
            ...[merged("OL1A", "OL2A"), merged("OL2A", "OL3A"), person("OL3A")],
            ...[merged("OL5A", "OL6A"), merged("OL6A", "OL5A")],
            ...[merged("OL9A", "OL7A"), person("OL7A")],
        ]),
    );
    const { status, runId } = await scene.extract();
    assert.is(status, "complete");
    const { authors } = await contentOf(scene, runId);
    assert.equal(
        authors.map((text) => JSON.parse(text).key),
        ["OL1A", "OL2A", "OL3A", "OL5A", "OL6A", "OL7A", "OL9A"].map((id) => `/authors/${id}`),
    );
    const [run] = await scene.rows("select authors_wanted, authors_landed from openlibrary.extract_runs");
    assert.equal(run, { authors_wanted: "4", authors_landed: "4" });
});

test("lands deleted authors as they are, and counts those without a document", async () => {
    const records = [
        work(1, "OL1A", "OL2A", "OL3A"),
        person("OL1A"),
        { key: "/authors/OL2A", type: { key: "/type/delete" as const } },
    ];
    const batched = await setScene(catalogueOf(records));
    const single = await setScene(catalogueOf(records), ({ path }) =>
        path === "/api/get_many" ? html(404) : undefined,
    );
    for (const scene of [batched, single]) {
        const { status, runId } = await scene.extract();
        assert.is(status, "complete");
        const { authors } = await contentOf(scene, runId);
        assert.equal(authors.map((text) => JSON.parse(text).type.key).sort(), ["/type/author", "/type/delete"]);
        const [run] = await scene.rows("select authors_wanted, authors_landed from openlibrary.extract_runs");
        assert.equal(run, { authors_wanted: "3", authors_landed: "2" });
    }
    const missing = "select body, documents from openlibrary.author_pages where http_status = 404";
    const [page, ...others] = await single.rows(missing);
    assert.equal(JSON.parse(String(page?.body)), { error: "notfound", key: "/authors/OL3A" });
    assert.equal([page?.documents, others.length], [0, 0]);
});

test("quarantines a document that is none, and a redirect that leads out of the service", async () => {
    const result = {
        "/authors/OL10001A": person("OL10001A"),
        "/authors/OL10002A": { key: "/authors/OL10002A" },
        "/authors/OL10003A": { ...merged("OL10003A", ""), location: "@example.org" },
    };
    const scene = await setScene(6, ({ path }) =>
        path === "/api/get_many" ? json({ status: "ok", result }) : undefined,
    );
    await scene.extract();
    const sql = "select source, page_number, position, reason from openlibrary.quarantine order by position";
    const page = { source: "author_pages", page_number: 1 };
    assert.equal(await scene.rows(sql), [
        { ...page, position: 1, reason: "type is missing" },
        { ...page, position: 2, reason: 'location is "@example.org", not /^\\/authors\\/OL\\d+A$/' },
    ]);
    assert.is(scene.standIn.requests.filter(({ path }) => path !== "/api/get_many").length, 4);
});

test("fails, and stops asking, when the service refuses us meanwhile", async () => {
    let batches = 0;
    const scene = await setScene(2_000, ({ path }) =>
        path === "/api/get_many" && ++batches === 3 ? html(403) : undefined,
    );
    await failsWith(scene.extract(), /^extract: 403 Forbidden: .*2,000 works are landed/);
    assert.ok(batches <= 5, `${batches} batches`);
});

test.run();
