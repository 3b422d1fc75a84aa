import type { IncomingHttpHeaders } from "node:http";

/** What a handler is told of a request. `path` is decoded and has no query. */
export interface StandInRequest {
    readonly method: string;
    /** As it came: path and query, still encoded. */
    readonly url: string;
    readonly path: string;
    readonly query: URLSearchParams;
    readonly headers: IncomingHttpHeaders;
}

export interface Answer {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
}

/** Resets the connection without an answer. */
export interface Drop {
    readonly drop: true;
}

/** An answer whose bytes come piece by piece, their number not announced. When the pieces throw, the connection breaks. */
export interface Pieces {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly pieces: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;
}

/** What comes of a request. */
export type Outcome = Answer | Drop | Pieces;

/** JSON as Open Library's FastAPI half writes it: compact, raw UTF-8, signed in a header. */
export function fastApi(value: unknown, status = 200, headers: Record<string, string> = {}): Answer {
    return {
        status,
        headers: { "Content-Type": "application/json", "X-Served-By": "FastAPI", ...headers },
        body: JSON.stringify(value),
    };
}

/** What FastAPI answers to an exception, also to a sort that it does not know. */
export const internalServerError: Answer = {
    status: 500,
    headers: { "Content-Type": "text/plain; charset=utf-8", "X-Served-By": "FastAPI" },
    body: "Internal Server Error",
};

/** What nginx answers to more than 3 requests a second. */
export const tooManyRequests: Answer = {
    status: 429,
    headers: { "Content-Type": "application/json" },
    body: '{"status": 429, "message": "Too Many Requests. Consider using https://openlibrary.org/developers/dumps."}',
};

/** What haproxy answers when no server of a half is there. */
export const serviceUnavailable: Answer = {
    status: 503,
    headers: { "Content-Type": "text/html" },
    body: "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>",
};

/** JSON as Open Library's web.py half writes it: Python's `json.dumps` with its separators and `\uXXXX`. */
export function webPy(value: unknown, status = 200): Answer {
    return { status, headers: { "Content-Type": "application/json" }, body: pythonJson(value) };
}

function pythonJson(value: unknown): string {
    if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
    if (typeof value === "object" && value !== null) {
        const members = Object.entries(value).map(([name, member]) => `${pythonJson(name)}: ${pythonJson(member)}`);
        return `{${members.join(", ")}}`;
    }
    return JSON.stringify(value).replace(
        /[\u007f-\uffff]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}

/** An error page of nginx, such as the one that a User-Agent without a contact gets. */
export function nginxPage(status: number, reason: string): Answer {
    const title = `${status} ${reason}`;
    return {
        status,
        headers: { "Content-Type": "text/html" },
        body:
            `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n` +
            `<hr><center>nginx/1.30.1</center>\r\n</body>\r\n</html>`,
    };
}
