import { createServer } from "node:http";
import { connect } from "node:net";
import * as assert from "uvu/assert";
import { catalogueOf } from "../../demo/catalogue-file.ts";
import { type StandInOptions, startStandIn } from "../../demo/server.ts";
import { BadAnswer, Client, type ClientOptions, isRefusal, RequestError, ServiceDown } from "../../extract/client.ts";
import { suite } from "../suite.ts";
import { failsWith, html, json, shelf } from "./scene.ts";

const test = suite("client");

const query = { q: 'subject_key:"science_fiction"', limit: "1", fields: "key" };
const options = { read: (body: unknown) => body };

async function withClient(
    check: (
        client: Client,
        requests: readonly { at: number; userAgent: string | undefined }[],
        said: string[],
    ) => Promise<void>,
    settings: Partial<ClientOptions> & StandInOptions = {},
): Promise<void> {
    const { intercept, rateLimit, faults, ...clientOptions } = settings;
    const standIn = await startStandIn(catalogueOf(shelf(3)), {
        ...(intercept && { intercept }),
        ...(faults && { faults }),
        ...(rateLimit !== undefined && { rateLimit }),
    });
    const said: string[] = [];
    const client = new Client({
        baseUrl: standIn.url,
        userAgent: "shelfmark/1.2.3 (+tests@example.org)",
        backoff: 1,
        say: (line) => said.push(line),
        ...clientOptions,
    });
    try {
        await check(client, standIn.requests, said);
    } finally {
        await standIn.close();
    }
}

test("says who it is, and hands over what came as it came", () =>
    withClient(async (client, requests) => {
        const answer = await client.get("/search.json", query, options);
        assert.equal(
            requests.map(({ userAgent }) => userAgent),
            ["shelfmark/1.2.3 (+tests@example.org)"],
        );
        assert.is(answer.body, JSON.stringify(answer.value));
        assert.is(answer.parameters, JSON.stringify(query));
        assert.match(answer.url, /\/search\.json\?q=subject_key%3A%22science_fiction%22&limit=1&fields=key$/);
        assert.match(answer.sha256, /^[0-9a-f]{64}$/);
        assert.match(answer.fetchedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }));

for (const status of [429, 500, 502, 503, 504]) {
    test(`tries again after ${status}`, () => {
        let requests = 0;
        return withClient(
            async (client, _requests, said) => {
                await client.get("/search.json", query, options);
                assert.is(client.requests, 3);
                assert.match(said.join("\n"), new RegExp(`^${status} .*; try 2 of 5\n${status} .*; try 3 of 5$`));
            },
            { intercept: () => (++requests < 3 ? html(status) : undefined) },
        );
    });
}

for (const status of [400, 404, 414, 422]) {
    test(`does not try again after ${status}`, () =>
        withClient(
            async (client) => {
                await failsWith(
                    client.get("/search.json", query, options),
                    new RegExp(
                        `^${status} [A-Z].*: GET \\.\\.\\./search\\.json\\?q=subject_key:"science_fiction"&limit=1$`,
                    ),
                );
                assert.is(client.requests, 1);
            },
            { intercept: () => html(status) },
        ));
}

test("gives up after five tries", () =>
    withClient(
        async (client) => {
            await failsWith(client.get("/search.json", query, options), /^429 Too Many Requests after 5 tries: GET /);
            assert.is(client.requests, 5);
        },
        { intercept: () => html(429) },
    ));

test("takes 403 for a matter of the contact", () =>
    withClient(
        async (client) => {
            await failsWith(
                client.get("/search.json", query, options),
                /^403 Forbidden: .*most likely for the contact in its User-Agent "nobody": give an e-mail address or URL of yours$/,
            );
            assert.is(client.requests, 1);
        },
        { userAgent: "nobody" },
    ));

for (const [what, body, message] of [
    ["HTML", "<html>maintenance</html>", /^answered 200 with HTML where JSON was expected after 5 tries: /],
    [
        "a cut body",
        '{"numFound": 3, "docs": [',
        /^answered 200 with text that is cut or not JSON where JSON was expected/,
    ],
    ["nothing", "", /^answered 200 with nothing where JSON was expected/],
] as const) {
    test(`takes ${what} with status 200 for a bad answer`, () =>
        withClient(
            async (client) => {
                const error = await client.get("/search.json", query, options).catch((thrown: unknown) => thrown);
                if (!(error instanceof RequestError)) throw error;
                assert.is(error.status, 200);
                assert.match(error.message, message);
                assert.is(client.requests, 5);
            },
            { intercept: () => ({ ...json({}), body }) },
        ));
}

test("tries again when the reader is not content", () =>
    withClient(async (client, _requests, said) => {
        let reads = 0;
        const read = (): string => {
            if (++reads < 2) throw new BadAnswer("answered 200 with a riddle");
            return "fine";
        };
        assert.is((await client.get("/search.json", query, { read })).value, "fine");
        assert.equal(said, ["answered 200 with a riddle; try 2 of 5"]);
    }));

test("does not try again after a bug in the reader", () =>
    withClient(async (client) => {
        const read = (): never => {
            throw new TypeError("x is not a function");
        };
        await failsWith(client.get("/search.json", query, { read }), /^x is not a function$/);
        assert.is(client.requests, 1);
    }));

test("tries again when the connection breaks", () => {
    let requests = 0;
    return withClient(
        async (client) => {
            await client.get("/search.json", query, options);
            assert.is(client.requests, 2);
        },
        { intercept: () => (++requests < 2 ? { drop: true } : undefined) },
    );
});

test("tries again when the answer does not come in time, be it in the middle of the body", async () => {
    let requests = 0;
    const server = createServer((_request, response) => {
        requests++;
        response.writeHead(200, { "Content-Type": "application/json" });
        if (requests === 1) response.write('{"half":');
        else response.end('{"whole": true}');
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const said: string[] = [];
    const client = new Client({
        baseUrl: `http://127.0.0.1:${port}`,
        userAgent: "a@b",
        backoff: 1,
        timeout: 150,
        say: (line) => said.push(line),
    });
    assert.equal((await client.get("/x.json", {}, options)).value, { whole: true });
    assert.equal(said, ["no answer in time; try 2 of 5"]);
    server.closeAllConnections();
    server.close();
});

test("says that a host can't be reached", async () => {
    const port = await closedPort();
    const client = new Client({ baseUrl: `http://127.0.0.1:${port}`, userAgent: "a@b", backoff: 1 });
    await failsWith(
        client.get("/search.json", { limit: "0" }, options),
        `can't reach the service (connect ECONNREFUSED 127.0.0.1:${port}) after 5 tries: GET .../search.json?limit=0`,
    );
});

test("waits as long as Retry-After says", () => {
    let requests = 0;
    return withClient(
        async (client, log) => {
            await client.get("/search.json", query, options);
            const [first, second] = log.map(({ at }) => at);
            assert.ok((second ?? 0) - (first ?? 0) >= 990);
        },
        { intercept: () => (++requests < 2 ? { ...html(503), headers: { "Retry-After": "1" } } : undefined) },
    );
});

test("keeps its pace, tries included, as the service sees it", () => {
    let requests = 0;
    return withClient(
        async (client, log) => {
            await Promise.all(Array.from({ length: 8 }, () => client.get("/search.json", query, options)));
            const times = log.map(({ at }) => at);
            assert.is(times.length, 9);
            const third = times.map((at, index) => (times[index + 3] ?? Number.POSITIVE_INFINITY) - at);
            assert.ok(Math.min(...third) >= 900, `four requests within ${Math.min(...third)} ms`);
        },
        { pace: 3, intercept: () => (++requests === 1 ? html(500) : undefined) },
    );
});

test("ends what waits for its turn when it is told to", () => {
    const interruption = new AbortController();
    return withClient(
        async (client) => {
            const work = Array.from({ length: 3 }, () => client.get("/search.json", query, options));
            setTimeout(() => interruption.abort(new Error("enough")), 50);
            const ends = await Promise.allSettled(work);
            assert.equal(
                ends.map((end) => (end.status === "rejected" ? end.reason.message : "done")),
                ["done", "enough", "enough"],
            );
        },
        { pace: 1, signal: interruption.signal },
    );
});

test("sends no request sooner than the interval after the one before, also when it was held up meanwhile", () =>
    withClient(
        async (client) => {
            const sent: number[] = [];
            const { fetch } = globalThis;
            globalThis.fetch = (...given) => {
                sent.push(Date.now());
                return fetch(...given);
            };
            setTimeout(() => {
                for (const until = Date.now() + 150; Date.now() < until; );
            }, 30);
            try {
                await Promise.all(Array.from({ length: 9 }, () => client.get("/search.json", query, options)));
            } finally {
                globalThis.fetch = fetch;
            }
            const gaps = sent.slice(1).map((at, index) => at - (sent[index] ?? 0));
            assert.is(gaps.length, 12);
            // Of 50 ms: a timer may be early by a bit, and sending takes its time.
            assert.ok(Math.min(...gaps) >= 40, `gaps of ${gaps.join(", ")} ms`);
        },
        { pace: 20, faults: [{ route: "search", from: 3, times: 4, fault: "503" }] },
    ));

test("gives up at its deadline, whatever it is that takes so long", async () => {
    for (const [fault, message] of [
        ["hang", /^no good answer within 0.2 s: GET \.\.\.\/search\.json\?/],
        ["503", /^no good answer within 0.2 s, the last try: 503 Service Unavailable: GET \.\.\.\/search\.json\?/],
    ] as const) {
        await withClient(
            async (client) => {
                const error = await client.get("/search.json", query, options).catch((thrown: unknown) => thrown);
                if (!(error instanceof RequestError)) throw error;
                assert.match(error.message, message);
                assert.not.ok(isRefusal(error));
            },
            { deadline: 200, backoff: 5000, faults: [{ route: "any", times: "always", fault }] },
        );
    }
});

test("ends every request once so many tries in a row have failed, and asks no more", () =>
    withClient(
        async (client, log) => {
            const waiting = client.get("/authors/OL10001A.json", {}, options).catch((error: unknown) => error);
            const ends = await Promise.all(
                Array.from({ length: 3 }, () =>
                    client.get("/search.json", query, options).catch((error: unknown) => error),
                ),
            );
            for (const error of [...ends, await waiting]) {
                if (!(error instanceof ServiceDown)) throw error;
                assert.match(
                    error.message,
                    /^the service is down: 12 tries in a row have failed, the last with "503 Service Unavailable": GET /,
                );
            }
            const asked = log.length;
            await failsWith(client.get("/search.json", query, options), /^the service is down: /);
            assert.is(log.length, asked);
            assert.ok(asked <= 12 + 3, `${asked} requests`);
        },
        {
            failuresInRow: 12,
            faults: [
                { route: "search", times: "always", fault: "503" },
                { route: "authors", fault: "hang" },
            ],
        },
    ));

test("does not take a service for down that answers in between", () =>
    withClient(
        async (client) => {
            for (let i = 0; i < 5; i++) {
                await client.get("/authors/OL10001A.json", {}, options);
                await failsWith(client.get("/search.json", query, options), /^503 .* after 5 tries/);
            }
        },
        { failuresInRow: 6, faults: [{ route: "search", times: "always", fault: "503" }] },
    ));

test("fetches no more of a body than it may have", async () => {
    let sent = 0;
    const server = createServer(async (_request, response) => {
        response.writeHead(200, { "Content-Type": "application/json" });
        for (let i = 0; i < 50 && !response.closed; i++) {
            if (!response.write(" ".repeat(1_000_000))) {
                await new Promise((resolve) => response.once("drain", resolve).once("close", resolve));
            }
            sent++;
        }
        response.end("{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no address");
    const client = new Client({
        ...{ baseUrl: `http://127.0.0.1:${address.port}`, userAgent: "a@b", backoff: 1, bodyLimit: 2_000_000 },
    });
    try {
        const message = "answered 200 with more than 2 MB after 5 tries: GET .../x.json";
        await failsWith(client.get("/x.json", {}, options), message);
        assert.ok(sent < 5 * 20, `${sent} MB were sent`);
    } finally {
        server.closeAllConnections();
        server.close();
    }
});

test("takes no error page for a missing document, and no other document for one", () =>
    withClient(async (client) => {
        const missing = await client.get("/authors/OL7A.json", {}, { ...options, missing: "none" });
        assert.equal([missing.status, missing.value], [404, "none"]);
        assert.equal(JSON.parse(missing.body), { error: "notfound", key: "/authors/OL7A" });
        for (const [answer, message] of [
            [html(404), /^answered 404 with HTML where JSON was expected after 5 tries: /],
            [json({ detail: "Not Found" }, 404), /^answered 404 for another reason after 5 tries: /],
            [html(410), /^410 Gone: /],
            [{ ...json({}), headers: { "Content-Type": "text/plain" } }, /^answered 200 with text\/plain where JSON /],
        ] as const) {
            await withClient(
                async (other) => {
                    const asked = other.get("/authors/OL7A.json", {}, { ...options, missing: "none" });
                    await failsWith(asked, message);
                },
                { intercept: () => answer },
            );
        }
    }));

test("follows no redirect, which would be a request without a pace", () =>
    withClient(
        async (client) => {
            await failsWith(
                client.get("/search.json", query, options),
                /^301 Moved Permanently to https:\/\/elsewhere\.example\/: GET /,
            );
            assert.is(client.requests, 1);
        },
        { intercept: () => ({ ...html(301), headers: { Location: "https://elsewhere.example/" } }) },
    ));

for (const fault of ["hang", "drip", "503"]) {
    test(`ends what is under way when it is told to: ${fault}`, () => {
        const interruption = new AbortController();
        return withClient(
            async (client, log) => {
                const work = client.get("/search.json", query, options);
                const soon = setInterval(() => log.length > 0 && interruption.abort(new Error("enough")), 20);
                await failsWith(work, "enough");
                clearInterval(soon);
                await failsWith(client.get("/search.json", query, options), "enough");
                assert.is(log.length, 1);
            },
            {
                signal: interruption.signal,
                backoff: 600_000,
                faults: [{ route: "any", times: "always", fault, ...(fault === "drip" && { pause: 60_000 }) }],
            },
        );
    });
}

/** A port on which nobody listens: one that was just given out and given back. */
async function closedPort(): Promise<number> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    await new Promise((resolve) => server.close(resolve));
    await new Promise((resolve) => connect(port, "127.0.0.1").on("error", resolve));
    return port;
}

test.run();
