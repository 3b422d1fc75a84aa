import * as assert from "uvu/assert";
import { type CatalogueRecord, catalogueOf } from "../../demo/catalogue-file.ts";
import { suite } from "../suite.ts";
import { cleanUp, failsWith, json, query, type Scene, setScene } from "./scene.ts";

const test = suite("reuse");
test.after(cleanUp);

const week = { authorsMaxAge: 7 };
const person = (id: string, name = id) => ({ key: `/authors/${id}`, type: { key: "/type/author" as const }, name });
const merged = (id: string, into: string) => ({
    key: `/authors/${id}`,
    type: { key: "/type/redirect" as const },
    location: `/authors/${into}`,
});
const work = (n: number, names: Readonly<Record<string, string>>): CatalogueRecord => ({
    key: `/works/OL${n}W`,
    title: `Work ${n}`,
    subject: ["Science fiction"],
    author_key: Object.keys(names),
    author_name: Object.values(names),
});

/** The keys of the author documents that were asked for since so many requests. */
function asked(scene: Scene, since: number): string[] {
    return scene.standIn.requests
        .slice(since)
        .filter(({ path }) => path.startsWith("/api/get_many"))
        .flatMap(({ path }) => JSON.parse(new URL(path, scene.standIn.url).searchParams.get("keys") ?? "[]"))
        .map((key: string) => key.replace("/authors/", ""))
        .sort();
}

async function totalsOf(scene: Scene, runId: string): Promise<unknown> {
    const sql = `select authors_wanted, authors_landed, authors_reused from openlibrary.extract_runs where run_id = '${runId}'`;
    return Object.values((await scene.rows(sql))[0] ?? {}).map(Number);
}

async function reusedBy(scene: Scene, runId: string): Promise<string[]> {
    const sql = `select author_key, page_run_id, page_number from openlibrary.reused_authors where run_id = '${runId}' order by all`;
    return (await scene.rows(sql)).map((row) => Object.values(row).join(" ").replace("/authors/", ""));
}

test("fetches a document again only when the works give another name, follows merged ones, and relies on the page itself", async () => {
    const first = [
        ...[work(1, { OL1A: "One", OL2A: "Two" }), work(2, { OL3A: "Late", OL5A: "Five", OL6A: "" })],
        ...[person("OL1A", "One "), person("OL2A", "Two"), merged("OL3A", "OL4A"), person("OL4A", "Four")],
        ...[{ key: "/authors/OL5A", type: { key: "/type/delete" as const } }, person("OL6A", "Six")],
    ];
    const scene = await setScene(catalogueOf(first));
    const a = await scene.extract(week);
    assert.equal(await totalsOf(scene, a.runId), [5, 5, 0]);
    // Two has another name now, on one work of two; Seven is new, and so is one without a document.
    const second = [
        ...first.filter(({ key }) => key !== "/authors/OL2A"),
        ...[work(3, { OL2A: "Deux", OL7A: "Seven", OL8A: "Nobody" }), person("OL2A", "Deux"), person("OL7A", "Seven")],
    ];
    scene.standIn.replace(catalogueOf(second));
    let since = scene.standIn.requests.length;
    const b = await scene.extract(week);
    assert.equal(asked(scene, since), ["OL2A", "OL7A", "OL8A"]);
    assert.match(b.summary, /6 author documents \(4 of earlier runs\) in/);
    assert.equal(await totalsOf(scene, b.runId), [7, 6, 4]);
    const page = (run: string) => (id: string) => `${id} ${run} 1`;
    assert.equal(await reusedBy(scene, b.runId), [
        ...["OL1A", "OL3A"].map(page(a.runId)),
        `OL4A ${a.runId} 2`,
        ...["OL5A", "OL6A"].map(page(a.runId)),
    ]);
    // The third relies on the first and the second, never on what the second reused. Work 1 still says "Two".
    scene.standIn.replace(
        catalogueOf(second.map((record) => (record.key === "/works/OL1W" ? work(1, { OL1A: "One" }) : record))),
    );
    since = scene.standIn.requests.length;
    const c = await scene.extract(week);
    assert.equal(asked(scene, since), ["OL8A"]);
    assert.equal(await reusedBy(scene, c.runId), [
        page(a.runId)("OL1A"),
        page(b.runId)("OL2A"),
        page(a.runId)("OL3A"),
        `OL4A ${a.runId} 2`,
        ...["OL5A", "OL6A"].map(page(a.runId)),
        page(b.runId)("OL7A"),
    ]);
});

test("fetches all again that is too old, of another service, or not to be reused", async () => {
    const scene = await setScene(20);
    await scene.extract();
    for (const options of [{ authorsMaxAge: 0 }, {}, { authorsMaxAge: 1 / 86_400_000 }]) {
        const since = scene.standIn.requests.length;
        const { runId } = await scene.extract(options);
        assert.equal([asked(scene, since).length, await reusedBy(scene, runId)], [10, []]);
    }
    const other = await scene.extract({ ...week, baseUrl: `${scene.standIn.url}/` });
    assert.equal(await reusedBy(scene, other.runId), []);
    const same = await scene.extract(week);
    assert.is((await reusedBy(scene, same.runId)).length, 10);
});

test("reuses what a fall-back fetched one by one, but not that there was nothing", async () => {
    const records = [work(1, { OL1A: "One", OL2A: "Two" }), person("OL1A", "One")];
    let isDown = true;
    const scene = await setScene(catalogueOf(records), ({ path }) =>
        isDown && path === "/api/get_many" ? json({ status: "fail" }) : undefined,
    );
    const { runId } = await scene.extract();
    isDown = false;
    const since = scene.standIn.requests.length;
    const second = await scene.extract(week);
    assert.equal(asked(scene, since), ["OL2A"]);
    assert.equal(await reusedBy(scene, second.runId), [`OL1A ${runId} 1`]);
});

test("goes on with a failed run that had reused documents", async () => {
    const scene = await setScene(600, (request) =>
        isDown && request.path === "/api/get_many" && query(request, "keys").includes("OL10299A")
            ? json({ status: 429 }, 429)
            : undefined,
    );
    let isDown = false;
    await scene.extract({ maxWorks: 200 });
    isDown = true;
    await failsWith(scene.extract(week), /429 Too Many Requests/);
    const sql =
        "select run_id, authors_landed, authors_reused, count(author_key) as rows from openlibrary.extract_runs left join openlibrary.reused_authors using (run_id) where status = 'failed' group by all";
    const [failed] = await scene.rows(sql);
    assert.equal([failed?.authors_reused, failed?.rows], ["200", "200"]);
    isDown = false;
    const since = scene.standIn.requests.length;
    const { runId } = await scene.extract(week);
    assert.is(runId, failed?.run_id);
    assert.equal(
        asked(scene, since).filter((key) => Number(key.slice(2, -1)) <= 10_200),
        [],
    );
    assert.equal(await totalsOf(scene, runId), [300, 300, 200]);
    assert.is((await reusedBy(scene, runId)).length, 200);
});

test.run();
