// UPDATE=1 writes the table of demo/README.md anew.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { catalogueOf } from "../../demo/catalogue-file.ts";
import { type FaultRule, faults, readPlan } from "../../demo/faults.ts";
import { generate } from "../../demo/generator.ts";
import { type StandIn, startStandIn } from "../../demo/server.ts";
import { suite } from "../suite.ts";

const test = suite("demo/faults");
const readmeFile = join(import.meta.dirname, "..", "..", "demo", "README.md");
const readme = readFileSync(readmeFile, "utf8");
const folder = mkdtempSync(join(tmpdir(), "shelfmark-faults-"));
test.after(() => rmSync(folder, { recursive: true }));

const catalogue = catalogueOf(generate({ works: 40, seed: 1 }));
const search = "/search.json?q=subject_key:science_fiction&sort=key&fields=key,title";

async function withPlan(plan: readonly FaultRule[], use: (standIn: StandIn) => Promise<void>): Promise<void> {
    const standIn = await startStandIn(catalogue, { faults: plan });
    try {
        await use(standIn);
    } finally {
        await standIn.close();
    }
}

const get = (standIn: StandIn, path = search): Promise<Response> =>
    fetch(standIn.url + path, { headers: { "User-Agent": "tests (a@example.org)" } });

/** The JSON of an answer. */
async function body(standIn: StandIn, path = search) {
    return JSON.parse(await (await get(standIn, path)).text());
}

/** The keys of a page of works; the status in place of a page. */
async function keys(standIn: StandIn, path = search): Promise<string[]> {
    const response = await get(standIn, path);
    if (response.status !== 200) return [String(response.status)];
    const { docs, works } = JSON.parse(await response.text());
    return (docs ?? works).map(({ key }: { key: string }) => key);
}

function writePlan(text: string): string {
    const file = join(folder, "plan.json");
    writeFileSync(file, text);
    return file;
}

for (const [fault, status, type, body] of [
    ["429", 429, "application/json", '{"status": 429, "message": "Too Many Requests. Consider using https://open'],
    ["403", 403, "text/html", "<html>\r\n<head><title>403 Forbidden</title>"],
    ["500", 500, "text/plain; charset=utf-8", "Internal Server Error"],
    ["502", 502, "text/html; charset=utf-8", "<!DOCTYPE html>"],
    ["503", 503, "text/html", "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this"],
    ["html", 200, "text/html; charset=utf-8", "<!DOCTYPE html>"],
] as const) {
    test(`answers as planned: ${fault}`, () =>
        withPlan([{ route: "any", fault }], async (standIn) => {
            const response = await get(standIn);
            assert.equal([response.status, response.headers.get("content-type")], [status, type]);
            assert.is(response.headers.get("retry-after"), null);
            assert.ok((await response.text()).startsWith(body));
            assert.is((await get(standIn)).status, 200);
        }));
}

test("answers 500 of the other half in HTML", () =>
    withPlan([{ route: "web_py", fault: "500" }], async (standIn) => {
        const response = await get(standIn, "/authors/OL990000001A.json");
        assert.match(response.headers.get("content-type") ?? "", "text/html");
    }));

test("spoils pages of works as it says", async () => {
    const whole = await new Promise<string[]>((resolve) => withPlan([], async (one) => resolve(await keys(one))));
    assert.is(whole.length, 40);
    const spoilt = async (rule: Omit<FaultRule, "route">, path = search): Promise<string[]> => {
        let found: string[] = [];
        const { fault, ...settings } = rule;
        await withPlan([{ route: "fast_api", fault: String(fault), ...settings }], async (standIn) => {
            found = await keys(standIn, path);
        });
        return found;
    };
    const subject = "/subjects/science_fiction.json?sort=key&limit=40";
    assert.equal(await spoilt({ fault: "cut_page", by: 3 }), whole.slice(0, -3));
    assert.equal(await spoilt({ fault: "cut_page", by: 3 }, subject), whole.slice(0, -3));
    assert.equal(await spoilt({ fault: "repeat_in_page" }), [...whole.slice(0, -1), ...whole.slice(0, 1)]);
    const across = { fault: "repeat_across_pages" };
    assert.equal(await spoilt(across, `${search}&offset=10&limit=5`), whole.slice(9, 14));
    assert.equal(await spoilt(across, `${subject}&offset=10`), whole.slice(9, 39));
    const range = search.replace("&sort", encodeURIComponent(` AND key:{"${whole[9]}" TO *}`).concat("&sort"));
    assert.equal(await spoilt(across, `${range}&limit=5`), whole.slice(9, 14));
    assert.equal(await spoilt(across, `${search}&limit=5`), whole.slice(0, 1).concat(whole.slice(0, 4)));
});

test("moves the counts", () =>
    withPlan([{ route: "fast_api", times: 2, fault: "num_found", by: -7 }], async (standIn) => {
        const { numFound, num_found } = await body(standIn);
        assert.equal([numFound, num_found], [33, 33]);
        const { work_count, works } = await body(standIn, "/subjects/science_fiction.json");
        assert.equal([work_count, works.length], [33, 12]);
    }));

test("answers /subjects as when the search engine fails", () =>
    withPlan([{ route: "subjects", fault: "null_count" }], async (standIn) => {
        const path = "/subjects/science_fiction.json?details=true&has_fulltext=true";
        assert.equal(await body(standIn, path), {
            key: "/subjects/science_fiction",
            name: "science fiction",
            subject_type: "subject",
            solr_query: 'subject_key:"science_fiction"',
            work_count: null,
            works: [],
            ebook_count: null,
        });
    }));

test("changes the catalogue for that request and all after it", () => {
    const added = { key: "/works/OL1W", title: "New", subject: ["Science fiction"] };
    const plan = [
        { route: "search", from: 2, fault: "put", records: [added] },
        { route: "search", from: 3, fault: "put", records: [{ ...added, title: "Newer" }] },
        { route: "search", from: 4, fault: "delete", keys: [added.key] },
        { route: "search", from: 4, fault: "503" },
    ] as const;
    return withPlan(plan, async (standIn) => {
        const newest = async (): Promise<unknown> => (await body(standIn, `${search}&limit=1`)).docs[0];
        assert.is.not(((await newest()) as { key: string }).key, added.key);
        assert.equal(await newest(), { key: added.key, title: "New" });
        assert.equal(await newest(), { key: added.key, title: "Newer" });
        assert.is((await get(standIn)).status, 503);
        assert.not.ok((await keys(standIn)).includes(added.key));
    });
});

test("spoils bodies on their way", async () => {
    const plan = ["cut_json", "not_utf8", "huge", "drip", "reset_midway", "reset"].map((fault, index) => ({
        ...({ route: "any", from: index + 1, fault } as const),
        ...(fault === "huge" && { megabytes: 3 }),
        ...(fault === "drip" && { pause: 5 }),
    }));
    await withPlan(plan, async (standIn) => {
        const cut = await (await get(standIn)).text();
        assert.throws(() => JSON.parse(cut));
        const bytes = await (await get(standIn)).arrayBuffer();
        assert.throws(() => new TextDecoder("utf-8", { fatal: true }).decode(bytes));
        const huge = await (await get(standIn)).text();
        assert.ok(huge.length > 3_000_000);
        assert.is(JSON.parse(huge).numFound, 40);
        assert.is((await body(standIn)).numFound, 40);
        const midway = await get(standIn);
        assert.is(midway.status, 200);
        assert.is(await midway.text().catch(() => "broken"), "broken");
        assert.is(await get(standIn).catch(() => "reset"), "reset");
        assert.equal(
            standIn.requests.map(({ status }) => status),
            [200, 200, 200, 200, 200, 0],
        );
    });
});

test("never answers a request that hangs, and waits with a slow one", async () => {
    const slow = { route: "any", from: 2, fault: "slow", least: 60, most: 60 } as const;
    const standIn = await startStandIn(catalogue, { faults: [{ route: "any", fault: "hang" }, slow] });
    const hanging = get(standIn).catch(() => "closed");
    try {
        const first = await Promise.race([hanging, new Promise((resolve) => setTimeout(resolve, 50, "it waits"))]);
        assert.is(first, "it waits");
        const since = Date.now();
        assert.is((await get(standIn)).status, 200);
        assert.ok(Date.now() - since >= 55);
    } finally {
        await standIn.close();
    }
    assert.is(await hanging, "closed");
});

test("counts the requests of its route, and draws from its seed", () =>
    withPlan(
        [
            { route: "search", from: 2, times: 2, fault: "500" },
            { route: "get_many", times: "always", share: 0.5, seed: 4, fault: "502" },
        ],
        async (standIn) => {
            const statuses: number[] = [];
            for (let i = 0; i < 4; i++) {
                statuses.push((await get(standIn)).status);
                await get(standIn, "/authors/OL990000001A.json");
            }
            assert.equal(statuses, [200, 500, 500, 200]);
            const draws = async (): Promise<string> => {
                let drawn = "";
                for (let i = 0; i < 20; i++) drawn += (await get(standIn, "/api/get_many?keys=[]")).status;
                return drawn;
            };
            const first = await draws();
            assert.match(first, /200/);
            assert.match(first, /502/);
            standIn.plan([{ route: "get_many", times: "always", share: 0.5, seed: 4, fault: "502" }]);
            assert.is(await draws(), first);
        },
    ));

test("takes down one half while the other works", () =>
    withPlan([{ route: "web_py", times: "always", fault: "503" }], async (standIn) => {
        const paths = [search, "/subjects/tea.json", "/api/get_many?keys=[]", "/authors/OL1A.json", "/works/OL1W.json"];
        const statuses = await Promise.all(paths.map(async (path) => (await get(standIn, path)).status));
        assert.equal(statuses, [200, 200, 503, 503, 503]);
    }));

test("says all that is wrong with a plan, and where", () => {
    const plan = `[
        { "route": "any", "fault": 503 },
        { "route": "any", "fault": "5O3" },
        { "route": "serch", "fault": "503" },
        { "route": "any", "fault": "503", "tims": 3, "from": 0 },
        { "route": "any", "fault": "503", "times": "ever", "share": 2 },
        { "route": "get_many", "fault": "cut_page" },
        { "route": "search", "fault": "put", "records": [{ "key": "/works/OL1W" }] },
        { "route": "search", "fault": "delete" },
        "503"
    ]`;
    const file = writePlan(plan);
    let message = "";
    try {
        readPlan(file);
    } catch (error) {
        message = error instanceof Error ? error.message : "";
    }
    assert.equal(message.replaceAll(file, "plan.json").split("\n"), [
        'plan.json rule 2  unknown fault "5O3". Did you mean "503"?',
        'plan.json rule 3  unknown route "serch". Did you mean "search"?',
        'plan.json rule 4  "from" is 0; expected a whole number above 0',
        'plan.json rule 4  unknown key "tims". Did you mean "times"?',
        'plan.json rule 5  "times" is "ever"; expected (number | "always")',
        'plan.json rule 5  "share" is 2; expected 0 to 1',
        'plan.json rule 6  "cut_page" is for the route search, subjects, fast_api, not for "get_many"',
        'plan.json rule 7  "records": record 1  "title" is missing',
        'plan.json rule 8  "keys" is missing',
        'plan.json rule 9  is "503"; expected an object with "route" and "fault"',
    ]);
    assert.throws(() => readPlan(writePlan("[")), /plan\.json {2}can't be read as JSON: /);
    assert.throws(() => readPlan(writePlan("{}")), /plan\.json {2}expected a list of rules/);
});

test("does what the example of demo/README.md is said to do", () => {
    const [, example = ""] = /```json\n(.*?)```/s.exec(readme) ?? [];
    return withPlan(readPlan(writePlan(example)), async (standIn) => {
        const pages: number[] = [];
        for (let i = 0; i < 5; i++) pages.push((await keys(standIn)).length);
        assert.equal(pages, [40, 40, 30, 39, 39]);
        const statuses = new Set<number>();
        for (let i = 0; i < 40; i++) statuses.add((await get(standIn, "/api/get_many?keys=[]")).status);
        assert.equal([...statuses].sort(), [200, 503]);
    });
});

test("is described in demo/README.md, fault by fault", () => {
    const rows = Object.entries(faults).map(([name, { about, settings, routes }]) => {
        const keysOfIt = Object.keys(settings).map((key) => `\`${key}\``);
        const only = routes.length < 7 ? ` Only of ${routes.map((route) => `\`${route}\``).join(", ")}.` : "";
        const brackets = keysOfIt.length === 0 ? "" : ` [${keysOfIt.join(", ")}]`;
        return `| \`${name}\`${brackets} | ${about}.${only} |`;
    });
    const table = rows.join("\n");
    if (process.env.UPDATE === "1") {
        writeFileSync(readmeFile, readme.replace(/(\| fault \| \|\n\|---\|---\|\n).*?\n\n/s, `$1${table}\n\n`));
    }
    assert.ok(readFileSync(readmeFile, "utf8").includes(`\n${table}\n\n`), "run with UPDATE=1 to write it anew");
});

test.run();
