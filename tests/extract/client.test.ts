import { createServer } from "node:http";
import { connect } from "node:net";
import * as assert from "uvu/assert";
import { catalogueOf } from "../../demo/catalogue-file.ts";
import { type StandInOptions, startStandIn } from "../../demo/server.ts";
import { BadAnswer, Client, type ClientOptions, RequestError } from "../../extract/client.ts";
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
    const { intercept, rateLimit, ...clientOptions } = settings;
    const standIn = await startStandIn(catalogueOf(shelf(3)), {
        ...(intercept && { intercept }),
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
