import { createHash } from "node:crypto";
import { STATUS_CODES } from "node:http";
import ky, { HTTPError, type KyInstance } from "ky";
import pThrottle from "p-throttle";
import * as v from "valibot";
import { messageOf, PipelineError, systemCode } from "../common/errors.ts";

/** An answer that can't be right, although it came with a good status: it is asked for again. */
export class BadAnswer extends Error {
    readonly status: number;

    constructor(message: string, status = 200) {
        super(message);
        this.status = status;
    }
}

/** The service fails whoever asks for whatever: after this, nothing is asked any more. */
export class ServiceDown extends PipelineError {}

class NoAnswer extends Error {}

/** A request that failed for good. `status` is undefined when there was no answer, and 200 when it was a bad one. */
export class RequestError extends PipelineError {
    readonly status: number | undefined;

    constructor(message: string, status: number | undefined, cause: unknown) {
        super(message, { cause });
        this.status = status;
    }
}

/** Did the service refuse this very request, so that asking in another way may help? 403 and 429 are about who asks. */
export function isRefusal(error: unknown): error is RequestError & { readonly status: number } {
    return error instanceof RequestError && error.status !== undefined && ![403, 429].includes(error.status);
}

/** What came, as it came, and what was read in it. */
export interface Answer<T> {
    readonly url: string;
    /** The query, as the text of a JSON object. */
    readonly parameters: string;
    readonly status: number;
    /** ISO 8601 in UTC. */
    readonly fetchedAt: string;
    readonly body: string;
    readonly sha256: string;
    readonly value: T;
}

export interface ClientOptions {
    /** Without a slash at its end. */
    readonly baseUrl: string;
    readonly userAgent: string;
    /** Requests a second, evenly spaced, tries included. Default: unlimited. */
    readonly pace?: number | undefined;
    /** Milliseconds before the second try, doubled for each one after it, give or take half. Default: 1000 */
    readonly backoff?: number;
    /** Milliseconds that one try may take from its turn on, body included. Default: 60000 */
    readonly timeout?: number;
    /** Milliseconds that a request may take with all its tries and waits. Default: 300000 */
    readonly deadline?: number;
    /** How many tries may fail in a row, of all requests together, before the service counts as down. Default: 20 */
    readonly failuresInRow?: number;
    /** Bytes that a body may have. Default: 32000000 */
    readonly bodyLimit?: number;
    /** Ends all requests, those that wait for their turn or their next try included. */
    readonly signal?: AbortSignal;
    /** Told of each try after the first. Default: nobody */
    readonly say?: (line: string) => void;
}

const tries = 5;
const passingStatuses = [429, 500, 502, 503, 504];
/** More than the pace asks for, so that what the network delays does not make ten seconds hold a request too many. */
const reserve = 1.02;
const notFound = v.object({ error: v.literal("notfound") });

/** Speaks to the service: no faster than its pace, and again where trying again may help. */
export class Client {
    /** Requests made so far, tries included. */
    requests = 0;
    readonly #options: ClientOptions;
    readonly #ky: KyInstance;
    readonly #pass: () => Promise<void>;
    /** Ends when the last of those that wait for their turn has had it. */
    #line: Promise<unknown> = Promise.resolve();
    #failures = 0;
    /** Aborts with the caller's signal, or when the service is down. */
    readonly #end = new AbortController();

    constructor(options: ClientOptions) {
        this.#options = options;
        const { pace, backoff = 1000, signal, say } = options;
        const end = (): void => this.#end.abort(signal?.reason);
        if (signal?.aborted) end();
        else signal?.addEventListener("abort", end, { once: true });
        this.#pass = pThrottle({
            limit: 1,
            interval: pace === undefined ? 0 : Math.ceil((1000 / pace) * reserve),
            // Reckons from when the one before really went, not from when it should have.
            strict: true,
            ...(!this.#end.signal.aborted && { signal: this.#end.signal }),
        })(async () => {});
        this.#ky = ky.create({
            headers: { "user-agent": options.userAgent, accept: "application/json" },
            timeout: false,
            // One that is followed is a request that knows no pace.
            redirect: "manual",
            retry: {
                limit: tries - 1,
                methods: ["get"],
                statusCodes: passingStatuses,
                afterStatusCodes: passingStatuses,
                maxRetryAfter: 300_000,
                delay: (attempt) => backoff * 2 ** (attempt - 1),
                jitter: (delay) => delay * (0.5 + Math.random()),
                // ky would try again after any error, a bug of ours too; true would make it forget Retry-After.
                shouldRetry: ({ error }) => (isPassing(error) ? undefined : false),
            },
            hooks: {
                beforeRetry: [
                    ({ error, retryCount }) => say?.(`${reasonOf(error)}; try ${retryCount + 1} of ${tries}`),
                ],
            },
        });
    }

    /**
     * Gets a path with its query and reads the JSON that comes.
     * @param options.read finds in the JSON what is wanted, and throws BadAnswer to have it asked for again.
     * @param options.missing what it means that the service knows no such document; without it, 404 is an error.
     * @throws RequestError, in one sentence; ServiceDown; the signal's reason when that ended it.
     */
    async get<T>(
        path: string,
        query: Readonly<Record<string, string>>,
        options: { read: (json: unknown) => T; missing?: T },
    ): Promise<Answer<T>> {
        const url = new URL(this.#options.baseUrl + path);
        url.search = new URLSearchParams(query).toString();
        const { timeout = 60_000, deadline = 300_000, bodyLimit = 32_000_000 } = this.#options;
        let answer: Answer<T> | undefined;
        let reason: string | undefined;
        // The body is read and judged within the try, so that the time limit and the next try cover both.
        const ask = async (request: Request, signal: AbortSignal): Promise<Response> => {
            const response = await fetch(request, { signal });
            const isMissing = response.status === 404 && options.missing !== undefined;
            if (response.ok || isMissing) {
                const bytes = await bytesOf(response, bodyLimit);
                const body = decode(bytes, response);
                const json = parse(body, response);
                if (isMissing && !v.is(notFound, json)) throw new BadAnswer("answered 404 for another reason", 404);
                answer = {
                    url: url.href,
                    parameters: JSON.stringify(query),
                    status: response.status,
                    fetchedAt: new Date().toISOString(),
                    body,
                    sha256: createHash("sha256").update(bytes).digest("hex"),
                    value: isMissing && options.missing !== undefined ? options.missing : options.read(json),
                };
            } else {
                await response.body?.cancel();
            }
            return new Response(null, response);
        };
        const attempt = async (request: Request, signal: AbortSignal): Promise<Response> => {
            await this.#turn(signal);
            this.requests++;
            try {
                const late = { milliseconds: timeout, error: () => new NoAnswer("no answer in time") };
                const response = await within(late, signal, (limited) => ask(request, limited));
                if (passingStatuses.includes(response.status)) reason = this.#failed(statusText(response), url);
                else this.#failures = 0;
                return response;
            } catch (error) {
                if (isPassing(error)) reason = this.#failed(reasonOf(error), url);
                throw error;
            }
        };
        const late = {
            milliseconds: deadline,
            error: () => {
                const last = reason === undefined ? "" : `, the last try: ${reason}`;
                const text = `no good answer within ${deadline / 1000} s${last}: GET ${brief(url.href)}`;
                return new RequestError(text, undefined, undefined);
            },
        };
        try {
            await within(late, this.#end.signal, (signal) =>
                this.#ky(url, {
                    signal,
                    fetch: (input) => attempt(input instanceof Request ? input : new Request(input), signal),
                    throwHttpErrors: (status) => status !== 404 || options.missing === undefined,
                }),
            );
        } catch (error) {
            this.#end.signal.throwIfAborted();
            throw this.#explain(error, url);
        }
        if (answer === undefined) throw new Error(`no answer was kept of ${url.href}`);
        return answer;
    }

    /** Waits in line: p-throttle knows when one really went only for those that ask after that. */
    async #turn(signal: AbortSignal): Promise<void> {
        const turn = this.#line.then(() => {
            signal.throwIfAborted();
            return this.#pass();
        });
        this.#line = turn.catch(() => "the next one's turn comes all the same");
        await turn;
        signal.throwIfAborted();
    }

    /** Counts a failed try, and returns why it failed. */
    #failed(reason: string, url: URL): string {
        const most = this.#options.failuresInRow ?? 20;
        if (++this.#failures === most) {
            const text = `the service is down: ${most} tries in a row have failed, the last with "${reason}"`;
            this.#end.abort(new ServiceDown(`${text}: GET ${brief(url.href)}`));
        }
        return reason;
    }

    #explain(error: unknown, url: URL): unknown {
        if (!(error instanceof HTTPError) && !isPassing(error)) return error;
        const badStatus = error instanceof BadAnswer ? error.status : undefined;
        const status = error instanceof HTTPError ? error.response.status : badStatus;
        const where = `GET ${brief(url.href)}`;
        if (status === 403) {
            const text =
                `403 Forbidden: ${where}. The service refuses this program, most likely for the contact in its ` +
                `User-Agent "${this.#options.userAgent}": give an e-mail address or URL of yours`;
            return new RequestError(text, status, error);
        }
        const after = isPassing(error) ? ` after ${tries} tries` : "";
        return new RequestError(`${reasonOf(error)}${after}: ${where}`, status, error);
    }
}

/** May it pass when asked again? */
function isPassing(error: unknown): boolean {
    if (error instanceof HTTPError) return passingStatuses.includes(error.response.status);
    return error instanceof BadAnswer || error instanceof NoAnswer || isConnectionError(error);
}

/** fetch throws a TypeError with a cause for each failing connection, and one without for a bug. */
function isConnectionError(error: unknown): boolean {
    return error instanceof TypeError && error.cause !== undefined;
}

function reasonOf(error: unknown): string {
    if (error instanceof HTTPError) return statusText(error.response);
    if (error instanceof TypeError && error.cause !== undefined) {
        return `can't reach the service (${messageOf(error.cause) || systemCode(error.cause)})`;
    }
    return messageOf(error);
}

/** The path with the telling part of the query, to be read by people. */
function brief(url: string): string {
    const { pathname, searchParams } = new URL(url);
    const query = [...searchParams]
        .filter(([name]) => name !== "fields" && name !== "sort")
        .map(([name, value]) => `${name}=${value.length > 120 ? `${value.slice(0, 120)}...` : value}`)
        .join("&");
    return `...${pathname}${query === "" ? "" : `?${query}`}`;
}

/** "503 Service Unavailable"; of a redirect, also where it leads. */
function statusText({ status, headers }: Response): string {
    const location = headers.get("location");
    return `${status} ${STATUS_CODES[status] ?? ""}`.trim() + (location === null ? "" : ` to ${location}`);
}

/** Does work with a signal that aborts with an error after so many milliseconds, or when `signal` does. */
async function within<T>(
    limit: { readonly milliseconds: number; readonly error: () => Error },
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(limit.error()), limit.milliseconds);
    try {
        return await work(AbortSignal.any([signal, late.signal]));
    } finally {
        clearTimeout(timer);
    }
}

/** The body as far as it is no longer than it may be: the rest of a longer one is not fetched. */
async function bytesOf(response: Response, limit: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of response.body ?? []) {
        length += part.length;
        if (length > limit)
            throw new BadAnswer(`answered ${response.status} with more than ${limit / 1e6} MB`, response.status);
        parts.push(part);
    }
    return Buffer.concat(parts);
}

function decode(bytes: Uint8Array, { status }: Response): string {
    try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
        throw new BadAnswer(`answered ${status} with text that is not UTF-8`, status);
    }
}

/** @throws BadAnswer also when the text is JSON and its content type says that it is none. */
function parse(body: string, { status, headers }: Response): unknown {
    const [type = ""] = (headers.get("content-type") ?? "").split(";");
    let what = /^\s*</.test(body) ? "HTML" : type;
    if (what === "" || what.includes("json")) {
        try {
            return JSON.parse(body);
        } catch {
            what = body.trim() === "" ? "nothing" : "text that is cut or not JSON";
        }
    }
    throw new BadAnswer(`answered ${status} with ${what} where JSON was expected`, status);
}
