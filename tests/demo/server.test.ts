import * as assert from "uvu/assert";
import { catalogueOf } from "../../demo/catalogue-file.ts";
import { leakyBucket } from "../../demo/rate-limit.ts";
import { type StandIn, type StandInOptions, startStandIn } from "../../demo/server.ts";
import { suite } from "../suite.ts";

const test = suite("demo/server");

const catalogue = catalogueOf([
    { key: "/works/OL990000001W", title: "A book", subject: ["Tea"], author_key: ["OL990000001A"] },
    { key: "/authors/OL990000001A", type: { key: "/type/author" }, name: "Zoë" },
]);
const agent = "shelfmark-tests/1.0 (tests@example.org)";
const url = "/search.json?q=subject_key:tea&fields=key";

async function withStandIn(options: StandInOptions, use: (standIn: StandIn) => Promise<void>): Promise<void> {
    const standIn = await startStandIn(catalogue, options);
    try {
        await use(standIn);
    } finally {
        await standIn.close();
    }
}

const get = (address: string, userAgent = agent): Promise<Response> =>
    fetch(address, { headers: { "User-Agent": userAgent } });

test("logs every request with its status and User-Agent", () =>
    withStandIn({}, async (standIn) => {
        const response = await get(standIn.url + url);
        assert.is(response.headers.get("x-served-by"), "FastAPI");
        assert.is(response.headers.get("content-type"), "application/json");
        const before = Date.now();
        await get(`${standIn.url}/nothing`);
        assert.equal(
            standIn.requests.map(({ at, ...request }) => request),
            [
                { method: "GET", path: url, status: 200, userAgent: agent },
                { method: "GET", path: "/nothing", status: 404, userAgent: agent },
            ],
        );
        assert.ok(Math.abs((standIn.requests[1]?.at ?? 0) - before) < 5000);
    }));

test("refuses a User-Agent without a contact with nginx's page", () =>
    withStandIn({}, async (standIn) => {
        const refused = ["python-requests/2.32.3", "Livrarr/0.1.0-alpha4", "node", "Bytespider (http://x.example)"];
        for (const userAgent of refused) assert.is((await get(standIn.url + url, userAgent)).status, 403, userAgent);
        for (const userAgent of [
            "curl/8.5.0",
            "Wget/1.21",
            "Mozilla/5.0 (X11)",
            "x/1 (+https://x.example)",
            "x (a@b)",
        ]) {
            assert.is((await get(standIn.url + url, userAgent)).status, 200, userAgent);
        }
        const response = await get(standIn.url + url, "node");
        assert.is(response.headers.get("content-type"), "text/html");
        assert.is(
            await response.text(),
            "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>" +
                "\r\n<hr><center>nginx/1.30.1</center>\r\n</body>\r\n</html>",
        );
    }));

test("refuses a URL of more than 8 KB", () =>
    withStandIn({}, async (standIn) => {
        assert.is((await get(`${standIn.url}${url}&x=${"a".repeat(8000)}`)).status, 200);
        assert.is((await get(`${standIn.url}${url}&x=${"a".repeat(8192)}`)).status, 414);
        assert.is((await get(`${standIn.url}${url}&x=${"a".repeat(100_000)}`)).status, 414);
    }));

test("answers what an interceptor gives, spoilt or dropped", () =>
    withStandIn(
        {
            intercept: (request, answer) => {
                if (request.path === "/drop") return { drop: true };
                if (request.query.has("cut")) {
                    const whole = answer();
                    return { ...whole, body: whole.body.slice(0, 20) };
                }
                return request.path === "/html"
                    ? { status: 200, headers: { "Content-Type": "text/html" }, body: "<p>later" }
                    : undefined;
            },
        },
        async (standIn) => {
            assert.is(await (await get(`${standIn.url}/html`, "node")).text(), "<p>later");
            assert.is(await (await get(`${standIn.url}${url}&cut=1`)).text(), '{"numFound":1,"start');
            assert.is((await get(standIn.url + url)).status, 200);
            const failed = await get(`${standIn.url}/drop`).then(
                () => false,
                () => true,
            );
            assert.ok(failed);
            assert.is(standIn.requests.at(-1)?.status, 0);
        },
    ));

test("answers from the catalogue that replaces the first", () =>
    withStandIn({}, async (standIn) => {
        standIn.replace(catalogueOf([]));
        assert.match(await (await get(standIn.url + url)).text(), /^\{"numFound":0,/);
    }));

test("closes although a connection still waits for its answer", async () => {
    const standIn = await startStandIn(catalogue, { intercept: () => new Promise(() => {}) });
    const waiting = get(standIn.url + url).catch(() => "closed");
    await new Promise((resolve) => setTimeout(resolve, 50));
    await standIn.close();
    assert.is(await waiting, "closed");
});

test("lets 11 of 40 requests at once pass, delays 15 and refuses the rest, as nginx counts", () => {
    const admit = leakyBucket();
    const answers = Array.from({ length: 40 }, () => admit(1000));
    assert.is(answers.filter((answer) => answer === 0).length, 11);
    assert.is(answers.filter((answer) => answer === "refused").length, 14);
    assert.equal([answers[11], answers[25]].map(Number).map(Math.round), [333, 5000]);
    assert.is(Math.round(Number(admit(1400))), 4933);
    assert.is(admit(1400), "refused");
    assert.is(admit(60_000), 0);
});

test("answers 429 without Retry-After when the limit is on, and limits JSON only", () =>
    withStandIn({ rateLimit: true }, async (standIn) => {
        const pending = Array.from({ length: 30 }, () => get(standIn.url + url));
        const refused = await Promise.any(
            pending.map(async (response) => {
                const answer = await response;
                if (answer.status !== 429) throw new Error("passed");
                return answer;
            }),
        );
        assert.is(refused.headers.get("retry-after"), null);
        assert.is(
            await refused.text(),
            '{"status": 429, "message": "Too Many Requests. Consider using https://openlibrary.org/developers/dumps."}',
        );
        assert.is((await get(`${standIn.url}/`)).status, 404);
        for (const response of pending) response.catch(() => "those that were delayed end with the server");
    }));

test.run();
