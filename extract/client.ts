import { createHash } from "node:crypto";
import { STATUS_CODES } from "node:http";
import ky, { HTTPError, type KyInstance, TimeoutError } from "ky";
import pThrottle from "p-throttle";
import { messageOf, PipelineError, systemCode } from "../common/errors.ts";

/** An answer that can't be right, although it came with a good status: it is asked for again. */
export class BadAnswer extends Error {}

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
    /** Milliseconds that one try may take, body included. Default: 60000 */
    readonly timeout?: number;
    /** Ends all requests, those that wait for their turn or their next try included. */
    readonly signal?: AbortSignal;
    /** Told of each try after the first. Default: nobody */
    readonly say?: (line: string) => void;
}

const tries = 5;
const passingStatuses = [429, 500, 502, 503, 504];

/** Speaks to the service: no faster than its pace, and again where trying again may help. */
export class Client {
    /** Requests made so far, tries included. */
    requests = 0;
    readonly #options: ClientOptions;
    readonly #ky: KyInstance;
    readonly #throttle: ReturnType<typeof pThrottle>;

    constructor(options: ClientOptions) {
        this.#options = options;
        const { pace, backoff = 1000, timeout = 60_000, signal, say } = options;
        this.#throttle = pThrottle({
            limit: 1,
            interval: pace === undefined ? 0 : Math.ceil(1000 / pace),
            ...(signal && { signal }),
        });
        this.#ky = ky.create({
            headers: { "user-agent": options.userAgent, accept: "application/json" },
            timeout,
            ...(signal && { signal }),
            retry: {
                limit: tries - 1,
                methods: ["get"],
                statusCodes: passingStatuses,
                afterStatusCodes: passingStatuses,
                maxRetryAfter: 300_000,
                retryOnTimeout: true,
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
     * @param options.missing what 404 means; without it, 404 is an error.
     * @throws RequestError, in one sentence; the signal's reason when that ended it.
     */
    async get<T>(
        path: string,
        query: Readonly<Record<string, string>>,
        options: { read: (json: unknown) => T; missing?: T },
    ): Promise<Answer<T>> {
        const url = new URL(this.#options.baseUrl + path);
        url.search = new URLSearchParams(query).toString();
        let answer: Answer<T> | undefined;
        // The body is read and judged within the try, so that the time limit and the next try cover both.
        const attempt = async (request: Request): Promise<Response> => {
            this.requests++;
            const response = await fetch(request);
            const bytes = Buffer.from(await response.arrayBuffer());
            if (response.ok || (response.status === 404 && options.missing !== undefined)) {
                const body = decode(bytes);
                answer = {
                    url: url.href,
                    parameters: JSON.stringify(query),
                    status: response.status,
                    fetchedAt: new Date().toISOString(),
                    body,
                    sha256: createHash("sha256").update(bytes).digest("hex"),
                    value:
                        response.status === 404 && options.missing !== undefined
                            ? options.missing
                            : options.read(parse(body)),
                };
            }
            return new Response(null, response);
        };
        const paced = this.#throttle(attempt);
        try {
            await this.#ky(url, {
                fetch: (input) => paced(input instanceof Request ? input : new Request(input)),
                throwHttpErrors: (status) => status !== 404 || options.missing === undefined,
            });
        } catch (error) {
            this.#options.signal?.throwIfAborted();
            throw this.#explain(error, url);
        }
        if (answer === undefined) throw new Error(`no answer was kept of ${url.href}`);
        return answer;
    }

    #explain(error: unknown, url: URL): unknown {
        if (!(error instanceof HTTPError) && !isPassing(error)) return error;
        const badStatus = error instanceof BadAnswer ? 200 : undefined;
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
    return error instanceof BadAnswer || error instanceof TimeoutError || isConnectionError(error);
}

/** fetch throws a TypeError with a cause for each failing connection, and one without for a bug. */
function isConnectionError(error: unknown): boolean {
    return error instanceof TypeError && error.cause !== undefined;
}

function reasonOf(error: unknown): string {
    if (error instanceof HTTPError) {
        const { status } = error.response;
        return `${status} ${STATUS_CODES[status] ?? ""}`.trim();
    }
    if (error instanceof TimeoutError) return "no answer in time";
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

function decode(bytes: Uint8Array): string {
    try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
        throw new BadAnswer("answered 200 with text that is not UTF-8");
    }
}

function parse(body: string): unknown {
    try {
        return JSON.parse(body);
    } catch {
        const what = /^\s*</.test(body) ? "HTML" : body.trim() === "" ? "nothing" : "text that is cut or not JSON";
        throw new BadAnswer(`answered 200 with ${what} where JSON was expected`);
    }
}
