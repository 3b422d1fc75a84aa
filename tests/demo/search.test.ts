import * as assert from "uvu/assert";
import { type CatalogueRecord, catalogueOf } from "../../demo/catalogue-file.ts";
import { type StandIn, startStandIn } from "../../demo/server.ts";
import { suite } from "../suite.ts";

const test = suite("demo/search");

const works: CatalogueRecord[] = Array.from({ length: 40 }, (_, i) => ({
    key: `/works/OL${990000001 + i * 7}W`,
    title: `Work ${i}`,
    edition_count: i < 3 ? 10 - i : 1,
    subject: i % 2 === 0 ? ["Science fiction", "Fiction, general"] : ["Science-fiction"],
    ...(i === 5 ? {} : { first_publish_year: 1950 + i }),
    author_key: ["OL990000001A"],
    author_name: ["Somebody"],
    ...(i === 4 ? { availability: null, subtitle: "A tale" } : {}),
}));

let standIn: StandIn;
test.before(async () => {
    standIn = await startStandIn(catalogueOf(works));
});
test.after(() => standIn.close());

const headers = { "User-Agent": "shelfmark-tests/1.0 (tests@example.org)" };

async function ask(query: string): Promise<{ status: number; text: string; json: () => Record<string, unknown> }> {
    const response = await fetch(`${standIn.url}/search.json?${query}`, { headers });
    const text = await response.text();
    return { status: response.status, text, json: () => JSON.parse(text) };
}

async function keysOf(parameters: Record<string, string>): Promise<string[]> {
    const answer = (await ask(new URLSearchParams({ fields: "key", ...parameters }).toString())).json();
    const docs = answer.docs as { key: string }[];
    assert.is(Object.keys(docs[0] ?? { key: "" }).join(), "key");
    return docs.map((doc) => doc.key);
}

test("answers with the envelope's keys in their order, compact", async () => {
    const { status, text } = await ask("q=subject_key:science_fiction&sort=key&limit=1&fields=key,title");
    assert.is(status, 200);
    assert.is(
        text,
        '{"numFound":20,"start":0,"numFoundExact":true,"num_found":20,' +
            '"documentation_url":"https://openlibrary.org/dev/docs/api/search","q":"subject_key:science_fiction",' +
            '"offset":null,"docs":[{"key":"/works/OL990000001W","title":"Work 0"}]}',
    );
});

test("matches a subject key exactly, quoted or not", async () => {
    assert.is((await keysOf({ q: 'subject_key:"science_fiction"' })).length, 20);
    assert.is((await keysOf({ q: "subject_key:science-fiction" })).length, 20);
    assert.is((await keysOf({ q: "subject_key:fiction_general" })).length, 20);
    assert.is((await keysOf({ q: "subject_key:fiction" })).length, 0);
    assert.is((await keysOf({ q: "subject_key:Science_fiction" })).length, 0);
});

test("pages by key range, with open and closed ends", async () => {
    const all = await keysOf({ q: "subject_key:science_fiction", sort: "key" });
    assert.equal(all, [...all].sort());
    const [, second = "", third = ""] = all;
    const base = "subject_key:science_fiction AND key:";
    assert.equal(await keysOf({ q: `${base}{"${second}" TO *}`, sort: "key" }), all.slice(2));
    assert.equal(await keysOf({ q: `${base}["${second}" TO *]`, sort: "key" }), all.slice(1));
    assert.equal(await keysOf({ q: `${base}["${second}" TO "${third}"}`, sort: "key" }), [second]);
    assert.equal(await keysOf({ q: `${base}{"${second}" TO "${third}"]`, sort: "key" }), [third]);
    assert.equal(await keysOf({ q: `key:{* TO ${second}} AND subject_key:science_fiction`, sort: "key" }), [all[0]]);
});

test("selects by year, by author and by absence of a year", async () => {
    assert.is((await keysOf({ q: "first_publish_year:[1950 TO 1952]" })).length, 3);
    assert.is((await keysOf({ q: "first_publish_year:{1950 TO 1952}" })).length, 1);
    assert.is((await keysOf({ q: "author_key:OL990000001A" })).length, 40);
    assert.equal(await keysOf({ q: "subject_key:science-fiction -first_publish_year:*" }), ["/works/OL990000036W"]);
});

test("takes bare words after a field with that field", async () => {
    assert.is((await keysOf({ q: "subject:science general" })).length, 20);
    assert.is((await keysOf({ q: "subject:science AND general" })).length, 0);
});

test("repeats and skips works when it pages in an order with ties, and never with sort=key", async () => {
    const paged = async (sort: Record<string, string>): Promise<Set<string>> => {
        const seen = new Set<string>();
        for (let offset = 0; offset < 20; offset += 5) {
            const q = "subject_key:science_fiction";
            for (const key of await keysOf({ q, ...sort, limit: "5", offset: String(offset) })) seen.add(key);
        }
        return seen;
    };
    assert.ok((await paged({})).size < 20);
    assert.ok((await paged({ sort: "editions" })).size < 20);
    assert.is((await paged({ sort: "key" })).size, 20);
    assert.is((await paged({ sort: "editions,key" })).size, 20);
    const [first, second] = await keysOf({ q: "subject_key:science_fiction", sort: "editions" });
    assert.equal([first, second], ["/works/OL990000001W", "/works/OL990000015W"]);
});

test("answers the default fields, those asked for, or all, and leaves out what is unknown", async () => {
    const q = "q=key:%22/works/OL990000029W%22";
    const fieldsOf = async (extra: string): Promise<string> => {
        const docs = (await ask(q + extra)).json().docs as Record<string, unknown>[];
        return Object.keys(docs[0] ?? {}).join();
    };
    assert.is(await fieldsOf(""), "author_key,author_name,edition_count,first_publish_year,key,subtitle,title");
    assert.is(await fieldsOf("&fields=title,ratings_count&fields=key,subject_key"), "key,title");
    assert.is(
        await fieldsOf("&fields=*"),
        "author_key,author_name,edition_count,first_publish_year,key,subject,subtitle,title",
    );
    assert.is(await fieldsOf("&fields=key,availability"), "availability,key");
});

test("counts pages from 1, lets offset win, and has no maximum limit", async () => {
    const sort = { q: "work", sort: "key" };
    const all = await keysOf({ ...sort, limit: "100000" });
    assert.is(all.length, 40);
    assert.equal(await keysOf({ ...sort, limit: "10", page: "2" }), all.slice(10, 20));
    assert.equal(await keysOf({ ...sort, limit: "10", page: "2", offset: "3" }), all.slice(3, 13));
    assert.equal(await keysOf({ ...sort, limit: "0" }), []);
    assert.equal(await keysOf({ ...sort, offset: "40" }), []);
});

test("answers no work without q, also when subject_key is a URL parameter", async () => {
    assert.match((await ask("")).text, /^\{"numFound":0,.*"q":"","offset":null,"docs":\[\]\}$/);
    assert.match((await ask("subject_key=science_fiction")).text, /^\{"numFound":0,/);
    assert.match((await ask("subject=science")).text, /^\{"numFound":40,.*"q":""/);
});

test("rejects parameters as FastAPI does", async () => {
    const short = await ask("q=ab");
    assert.is(short.status, 422);
    assert.is(
        short.text,
        '{"detail":[{"type":"value_error","loc":["query","q"],"msg":"Value error, Query too short, must be at least ' +
            '3 characters","input":"ab","ctx":{"error":{}}}]}',
    );
    assert.is((await ask("q=the")).status, 422);
    const limit = await ask("q=work&limit=-1&offset=x");
    assert.is(limit.status, 422);
    assert.is(
        limit.text,
        '{"detail":[{"type":"greater_than_equal","loc":["query","limit"],"msg":"Input should be greater than or equal ' +
            'to 0","input":"-1","ctx":{"ge":0}},{"type":"int_parsing","loc":["query","offset"],"msg":"Input should be ' +
            'a valid integer, unable to parse string as an integer","input":"x"}]}',
    );
    const solr = await ask("q=work&solr_rows=1");
    assert.is(solr.status, 403);
    assert.is(solr.text, '{"detail":"Solr internals parameters are not allowed in this environment."}');
});

test("fails with 500 in plain text on a sort that does not exist", async () => {
    for (const sort of ["popularity", "key,popularity", "toString"]) {
        const { status, text } = await ask(`q=work&sort=${sort}`);
        assert.is(status, 500);
        assert.is(text, "Internal Server Error");
    }
    for (const sort of ["", "old", "new", "title", "rating", "readinglog", "random", "random.daily", "key%20desc"]) {
        assert.is((await ask(`q=work&sort=${sort}`)).status, 200, sort);
    }
});

test("says that it can't read a query rather than answering something else", async () => {
    for (const q of ["dune OR emma", "(dune)", 'title:"dune']) {
        assert.is((await ask(new URLSearchParams({ q }).toString())).status, 501, q);
    }
});

test("allows GET only", async () => {
    for (const method of ["HEAD", "POST"]) {
        const response = await fetch(`${standIn.url}/search.json?q=work`, { method, headers });
        assert.is(response.status, 405);
        assert.is(response.headers.get("allow"), "GET");
    }
});

test.run();
