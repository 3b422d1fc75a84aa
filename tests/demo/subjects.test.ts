import * as assert from "uvu/assert";
import { type CatalogueRecord, catalogueOf } from "../../demo/catalogue-file.ts";
import { type StandIn, startStandIn } from "../../demo/server.ts";
import { suite } from "../suite.ts";

const test = suite("demo/subjects");

const bare: CatalogueRecord = { key: "/works/OL990000100W", title: "__None__", edition_count: 0, subject: ["Tea"] };
const rich: CatalogueRecord = {
    key: "/works/OL990000101M",
    title: "Tea",
    edition_count: 3,
    subject: ["Tea", "Fiction, general"],
    place: ["London (England)"],
    person: ["Ada"],
    time: ["20th century"],
    author_key: ["OL990000001A", "OL990000002A"],
    author_name: ["Ada", ""],
    first_publish_year: 0,
    publish_year: [0, 1999, 2001],
    ia: ["tea", "tea2"],
    ia_collection: ["printdisabled"],
    ebook_access: "borrowable",
    has_fulltext: true,
    public_scan_b: false,
    cover_i: 5,
    cover_edition_key: "OL990000005M",
    publisher: ["Ace Books"],
    language: ["eng"],
    availability: null,
};
const filler: CatalogueRecord[] = Array.from({ length: 30 }, (_, i) => ({
    key: `/works/OL${990000001 + i}W`,
    title: `Work ${i}`,
    edition_count: 1,
    subject: ["Coffee", ...(i < 20 ? ["Drinks"] : [])],
    first_publish_year: 1980 + i,
    publish_year: [1980 + i],
}));

let standIn: StandIn;
test.before(async () => {
    standIn = await startStandIn(catalogueOf([bare, rich, ...filler]));
});
test.after(() => standIn.close());

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(standIn.url + path, { ...init, headers: { "User-Agent": "tests (a@example.org)" } });
}

interface Answer {
    readonly [name: string]: unknown;
    readonly works: Record<string, unknown>[];
}

async function answerOf(path: string): Promise<Answer> {
    const response = await ask(path);
    assert.is(response.status, 200);
    return (await response.json()) as Answer;
}

const keys = async (path: string): Promise<unknown[]> => (await answerOf(path)).works.map((work) => work.key);

test("answers every field of a work, with null, empty text or an empty list for what is unknown", async () => {
    const response = await ask("/subjects/tea.json");
    assert.is(response.headers.get("x-served-by"), "FastAPI");
    assert.is(
        await response.text(),
        '{"key":"/subjects/tea","name":"tea","subject_type":"subject","solr_query":"subject_key:\\"tea\\"",' +
            '"work_count":2,"works":[{"key":"/works/OL990000101M","title":"Tea","edition_count":3,"cover_id":5,' +
            '"cover_edition_key":"OL990000005M","subject":["Tea","Fiction, general"],' +
            '"ia_collection":["printdisabled"],"printdisabled":true,"lending_edition":"","lending_identifier":"",' +
            '"authors":[{"key":"/authors/OL990000001A","name":"Ada"},{"key":"/authors/OL990000002A","name":""}],' +
            '"first_publish_year":0,"ia":"tea","public_scan":false,"has_fulltext":true,"availability":null},' +
            '{"key":"/works/OL990000100W","title":"__None__","edition_count":0,"cover_id":null,' +
            '"cover_edition_key":null,"subject":["Tea"],"ia_collection":[],"printdisabled":false,' +
            '"lending_edition":"","lending_identifier":"","authors":[],"first_publish_year":null,"ia":null,' +
            '"public_scan":false,"has_fulltext":false}]}',
    );
});

test("pages by limit and offset, and ignores page and ebooks", async () => {
    const all = await keys("/subjects/coffee.json?sort=key&limit=1000");
    assert.is(all.length, 30);
    assert.equal(await keys("/subjects/coffee.json?sort=key"), all.slice(0, 12));
    assert.equal(await keys("/subjects/coffee.json?sort=key&limit=5&offset=7"), all.slice(7, 12));
    assert.equal(await keys("/subjects/coffee.json?sort=key&limit=5&page=3"), all.slice(0, 5));
    assert.is((await keys("/subjects/coffee.json?ebooks=true")).length, 12);
    for (const past of ["limit=0", "offset=30", "offset=100000"]) {
        const { work_count, works } = await answerOf(`/subjects/coffee.json?${past}`);
        assert.equal([work_count, works], [30, []]);
    }
});

test("refuses more than 1000 works, and other bad parameters, as FastAPI does", async () => {
    const response = await ask("/subjects/tea.json?limit=1001");
    assert.is(response.status, 422);
    assert.is(
        await response.text(),
        '{"detail":[{"type":"less_than_equal","loc":["query","limit"],"msg":"Input should be less than or equal to ' +
            '1000","input":"1001","ctx":{"le":1000}}]}',
    );
    for (const bad of ["limit=-1", "limit=ten", "offset=-1", "page=0", "details=maybe", "has_fulltext=2"]) {
        assert.is((await ask(`/subjects/tea.json?${bad}`)).status, 422, bad);
    }
    assert.is((await ask("/subjects/tea.json?sort=popularity")).status, 500);
    assert.is(await (await ask("/subjects/tea.json?sort=popularity")).text(), "Internal Server Error");
    assert.is((await ask("/subjects/tea.json?sort=")).status, 200);
    assert.is((await ask("/subjects/tea.json", { method: "HEAD" })).status, 405);
});

test("redirects to the lower-cased key with the query kept and nothing in the body", async () => {
    const places: Record<string, string> = {
        "/subjects/Tea.json?limit=3&x=%20": "/subjects/tea.json?limit=3&x=%20",
        "/subjects/PLACE:London.json": "/subjects/place:london.json",
        "/subjects/%D0%A7%D0%B0%D0%B9.json": "/subjects/%D1%87%D0%B0%D0%B9.json",
    };
    for (const [from, to] of Object.entries(places)) {
        const response = await ask(from, { redirect: "manual" });
        assert.is(response.status, 301);
        assert.is(response.headers.get("location"), standIn.url + to);
        assert.is(await response.text(), "");
    }
});

test("finds a subject by its normalised key and answers the key as it was asked", async () => {
    const spaced = await answerOf("/subjects/fiction,%20general.json");
    assert.equal([spaced.key, spaced.name, spaced.work_count], ["/subjects/fiction, general", "fiction, general", 1]);
    const place = await answerOf("/subjects/place:london_(england).json");
    assert.equal(
        [place.name, place.subject_type, place.solr_query, place.work_count],
        ["london (england)", "place", 'place_key:"london_(england)"', 1],
    );
    assert.is((await answerOf("/subjects/person:ada.json")).work_count, 1);
    assert.is((await answerOf("/subjects/time:20th_century.json")).work_count, 1);
    assert.equal((await answerOf("/subjects/a/b.json")).key, "/subjects/a/b");
});

test("answers 200 and no work for a subject that nobody has", async () => {
    const { work_count, works } = await answerOf("/subjects/nothing.json");
    assert.equal([work_count, works], [0, []]);
});

test("filters by any edition's year and by full text", async () => {
    assert.is((await answerOf("/subjects/tea.json?published_in=1999")).work_count, 1);
    assert.is((await answerOf("/subjects/coffee.json?published_in=1985-1989")).work_count, 5);
    for (const ignored of ["abc", "1500-", ""]) {
        assert.is((await answerOf(`/subjects/coffee.json?published_in=${ignored}`)).work_count, 30);
    }
    const full = await answerOf("/subjects/tea.json?has_fulltext=true");
    assert.equal([full.work_count, full.ebook_count], [1, 1]);
});

test("adds facets and the exact label when asked for details", async () => {
    const tea = await answerOf("/subjects/tea.json?details=true");
    assert.is(tea.name, "Tea");
    assert.equal(tea.subjects, [{ key: "/subjects/fiction_general", name: "Fiction, general", count: 1 }]);
    assert.equal(tea.places, [{ key: "/subjects/place:london_(england)", name: "London (England)", count: 1 }]);
    assert.equal(tea.authors, [
        { name: "Ada", key: "/authors/OL990000001A", count: 1 },
        { name: "", key: "/authors/OL990000002A", count: 1 },
    ]);
    assert.equal(tea.publishers, [{ name: "Ace Books", count: 1, key: "/publishers/Ace_Books" }]);
    assert.equal(tea.languages, [{ name: "eng", count: 1 }]);
    assert.equal(tea.publishing_history, [
        [1999, 1],
        [2001, 1],
    ]);
    assert.is(tea.ebook_count, 1);
    const coffee = await answerOf("/subjects/coffee.json?details=yes&limit=0");
    assert.equal(coffee.subjects, [{ key: "/subjects/drinks", name: "Drinks", count: 20 }]);
    assert.is((coffee.publishing_history as unknown[]).length, 30);
});

test("repeats and skips works when it pages by number of editions", async () => {
    const seen = new Set<unknown>();
    for (let offset = 0; offset < 30; offset += 10) {
        for (const key of await keys(`/subjects/coffee.json?limit=10&offset=${offset}`)) seen.add(key);
    }
    assert.ok(seen.size < 30);
});

test.run();
