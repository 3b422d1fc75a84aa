import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { type Catalogue, catalogueOf } from "./catalogue-file.ts";
import { entityDocument, manyDocuments } from "./documents.ts";
import { type FaultRule, injector } from "./faults.ts";
import { type Answer, fastApi, nginxPage, type Outcome, type StandInRequest, tooManyRequests } from "./http.ts";
import { leakyBucket } from "./rate-limit.ts";
import { search } from "./search.ts";
import { subjects } from "./subjects.ts";

export type { Answer, Outcome, StandInRequest } from "./http.ts";

export interface StandInOptions {
    /** TCP port on 127.0.0.1. Default: 0, any free one. */
    readonly port?: number;
    /** Whether requests are limited as nginx does before Open Library: 3 a second. Default: false. */
    readonly rateLimit?: boolean;
    /** What goes wrong, as a plan of faults says; demo/README.md describes it. Default: nothing. */
    readonly faults?: readonly FaultRule[];
    /**
     * Called with every request before anything else; what it returns is answered instead. `answer()` gives the
     * answer that the stand-in itself would have given, for an interceptor that wants to spoil it.
     */
    readonly intercept?: (
        request: StandInRequest,
        answer: () => Answer,
    ) => Outcome | undefined | Promise<Outcome | undefined>;
}

/** One request as it was answered. */
export interface LoggedRequest {
    /** When it came, in milliseconds since 1970. */
    readonly at: number;
    readonly method: string;
    /** Path and query, as they came. */
    readonly path: string;
    /** 0 as long as there is no answer, and when the connection was dropped instead. */
    readonly status: number;
    readonly userAgent: string | undefined;
}

export interface StandIn {
    /** Without a slash at the end. */
    readonly url: string;
    /** Every request so far, the oldest first. */
    readonly requests: readonly LoggedRequest[];
    /** Answers from another catalogue from now on. */
    replace(catalogue: Catalogue): void;
    /** Has this go wrong from now on, and nothing that was planned before. @throws PipelineError as `planOf` does. */
    plan(faults: readonly FaultRule[]): void;
    /** Ends every connection, also those that wait for an answer. */
    close(): Promise<void>;
}

/** Starts a stand-in for Open Library's HTTP interface on this machine. demo/README.md says what it is faithful to. */
export async function startStandIn(catalogue: Catalogue, options: StandInOptions = {}): Promise<StandIn> {
    const requests: (LoggedRequest & { status: number })[] = [];
    const started = Date.now();
    const bucket = options.rateLimit === true ? leakyBucket() : undefined;
    let current = catalogue;
    let replaced = 0;
    let searches = 0;
    let inject = injector(options.faults ?? []);

    const replace = (next: Catalogue): void => {
        current = next;
        replaced++;
    };

    const handle = (request: StandInRequest): Answer => {
        // Two Solr servers answer in turn, and what they hold is committed once a minute at most.
        const epoch = Math.floor((Date.now() - started) / 60_000) + replaced;
        const shuffle = `${searches++ % 2}:${epoch}:`;
        return route(current, request, shuffle);
    };

    const answerTo = async (request: StandInRequest): Promise<Outcome> => {
        const instead = await options.intercept?.(request, () => handle(request));
        if (instead !== undefined) return instead;
        const refusal = refuse(request);
        if (refusal !== undefined) return refusal;
        const delay = isLimited(request.path) ? (bucket?.(Date.now()) ?? 0) : 0;
        if (delay === "refused") return tooManyRequests;
        // A delayed answer does not keep a process alive whose stand-in is closed.
        if (delay > 0) await wait(delay, undefined, { ref: false });
        const answer = (other = request): Answer => handle(other);
        const change = (records: Parameters<typeof catalogueOf>[0]): void => replace(catalogueOf(records));
        return (await inject({ request, answer, catalogue: () => current, change })) ?? answer();
    };

    const serve = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
        const request = requestOf(incoming);
        const logged = {
            at: Date.now(),
            method: request.method,
            path: request.url,
            status: 0,
            userAgent: incoming.headers["user-agent"],
        };
        requests.push(logged);
        const answer = await answerTo(request);
        if ("drop" in answer) {
            incoming.socket.resetAndDestroy();
            return;
        }
        logged.status = answer.status;
        if ("pieces" in answer) {
            outgoing.writeHead(answer.status, answer.headers);
            await pipeline(Readable.from(answer.pieces), outgoing);
            return;
        }
        const length = { "Content-Length": Buffer.byteLength(answer.body) };
        outgoing.writeHead(answer.status, { ...length, ...answer.headers });
        outgoing.end(request.method === "HEAD" ? undefined : answer.body);
    };

    // Node refuses a long URL before it reaches nginx's limit of 8 KB unless it is told to read on.
    const server = createServer({ maxHeaderSize: 256 * 1024 }, (incoming, outgoing) => {
        serve(incoming, outgoing).catch((error) => outgoing.destroy(error));
    });
    await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(options.port ?? 0, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the server has no TCP address");
    return {
        url: `http://127.0.0.1:${address.port}`,
        requests,
        replace,
        plan: (faults) => {
            inject = injector(faults);
        },
        close: () =>
            new Promise<void>((resolve, reject) => {
                server.close((error) => (error === undefined ? resolve() : reject(error)));
                server.closeAllConnections();
            }),
    };
}

/** nginx's largest request line, which holds method, URL and version. */
const longestRequestLine = 8192;

/** What nginx refuses before Open Library sees it: a URL that is too long, a client that does not say who it is. */
function refuse(request: StandInRequest): Answer | undefined {
    const line = `${request.method} ${request.url} HTTP/1.1\r\n`;
    if (line.length > longestRequestLine) return nginxPage(414, "Request-URI Too Large");
    const agent = request.headers["user-agent"] ?? "";
    const banned = /bytespider|meta-externalagent|VibXchange/i.test(agent);
    const known = /bot|spider|crawl|google|http|@/i.test(agent) || /^(?:curl|wget|mozilla)\//i.test(agent);
    return banned || !known ? nginxPage(403, "Forbidden") : undefined;
}

function isLimited(path: string): boolean {
    return path.startsWith("/api/") || path.endsWith(".json");
}

function route(catalogue: Catalogue, request: StandInRequest, shuffle: string): Answer {
    const { path } = request;
    const subject = /^\/subjects\/(.*)\.json$/s.exec(path)?.[1];
    const entity = /^(\/(?:authors|works)\/OL\d+[AWM])\.json$/.exec(path)?.[1];
    const isKnown = subject ?? entity ?? (path === "/search.json" || path === "/api/get_many");
    if (isKnown === false) return fastApi({ detail: "Not Found" }, 404);
    if (request.method !== "GET") return fastApi({ detail: "Method Not Allowed" }, 405, { Allow: "GET" });
    if (subject !== undefined) return subjects(catalogue, subject, request, shuffle);
    if (entity !== undefined) return entityDocument(catalogue, entity);
    return path === "/search.json" ? search(catalogue, request, shuffle) : manyDocuments(catalogue, request);
}

function requestOf(incoming: IncomingMessage): StandInRequest {
    const url = incoming.url ?? "/";
    const [path = "/", ...query] = url.split("?");
    return {
        method: incoming.method ?? "GET",
        url,
        path: decoded(path),
        query: new URLSearchParams(query.join("?")),
        headers: incoming.headers,
    };
}

/** As Python unquotes a path: what is not UTF-8 does not fail. */
function decoded(path: string): string {
    try {
        return decodeURIComponent(path);
    } catch {
        return path;
    }
}
