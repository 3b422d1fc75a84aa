// What the extractor makes of each fault: the data of faults.test.ts and of the table in docs/extract.md.
import type { FaultRule } from "../../demo/faults.ts";
import { shelf } from "./scene.ts";

export interface FaultCase {
    /** What goes wrong, for people. */
    readonly what: string;
    readonly plan: readonly FaultRule[];
    readonly outcome: "complete" | "partial" | "failed";
    readonly exit: 0 | 1 | 3;
    /** Tries included. */
    readonly requests: number;
    readonly works: number;
    /** How many requests the next extraction makes to bring a failed run to its end, when the fault is gone. */
    readonly next?: number;
    /** What the message tells of it; without it, there is no message. */
    readonly says?: string;
    /** Milliseconds of one try. Default: the client's */
    readonly timeout?: number;
}

/** Two pages of works, and two batches of authors, who are half as many. */
export const works = 240;
export const pageSize = 120;

const late = { key: "/works/OL10000W", title: "Late", subject: ["Science fiction"] };
const [first, ...others] = shelf(works).flatMap((record) => ("title" in record ? [record] : []));
if (first === undefined) throw new Error("the shelf is empty");
const title = "Another title";

/** Of the search requests the first is the count, the second and the third are for pages, the fourth is the last count. */
const secondPage = { route: "search", from: 3 } as const;
const always = { times: "always" } as const;

export const table: readonly FaultCase[] = [
    {
        what: "nothing",
        plan: [],
        ...{ outcome: "complete", exit: 0, requests: 6, works: 240 },
    },
    {
        what: "429, twice",
        plan: [{ ...secondPage, times: 2, fault: "429" }],
        ...{ outcome: "complete", exit: 0, requests: 8, works: 240 },
    },
    {
        what: "429, always",
        plan: [{ ...secondPage, ...always, fault: "429" }],
        ...{ outcome: "failed", exit: 1, requests: 7, works: 120, next: 5 },
        says: "429 Too Many Requests after 5 tries",
    },
    {
        what: "403",
        plan: [{ ...secondPage, fault: "403" }],
        ...{ outcome: "failed", exit: 1, requests: 3, works: 120, next: 5 },
        says: "403 Forbidden",
    },
    {
        what: "500, four times",
        plan: [{ ...secondPage, times: 4, fault: "500" }],
        ...{ outcome: "complete", exit: 0, requests: 10, works: 240 },
    },
    {
        what: "500 for a large page, so that smaller ones are asked for",
        plan: [{ ...secondPage, times: 5, fault: "500" }],
        ...{ outcome: "complete", exit: 0, requests: 12, works: 240 },
    },
    {
        what: "502, once",
        plan: [{ ...secondPage, fault: "502" }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "503 for the first count, always",
        plan: [{ route: "search", ...always, fault: "503" }],
        ...{ outcome: "failed", exit: 1, requests: 5, works: 0, next: 6 },
        says: "503 Service Unavailable after 5 tries",
    },
    {
        what: "503 for pages, always",
        plan: [{ ...secondPage, ...always, fault: "503" }],
        ...{ outcome: "failed", exit: 1, requests: 12, works: 120, next: 5 },
        says: "503 Service Unavailable after 5 tries",
    },
    {
        what: "one request in four fails with 503",
        plan: [{ route: "any", ...always, share: 0.25, seed: 3, fault: "503" }],
        ...{ outcome: "complete", exit: 0, requests: 9, works: 240 },
    },
    {
        what: "HTML with status 200, once",
        plan: [{ ...secondPage, fault: "html" }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "HTML with status 200, always",
        plan: [{ ...secondPage, ...always, fault: "html" }],
        ...{ outcome: "failed", exit: 1, requests: 22, works: 120, next: 5 },
        says: "answered 200 with HTML where JSON was expected",
    },
    {
        what: "/subjects fails as its search engine does (the extractor does not ask there)",
        plan: [{ route: "subjects", ...always, fault: "null_count" }],
        ...{ outcome: "complete", exit: 0, requests: 6, works: 240 },
    },
    {
        what: "a page is cut short by three works, once",
        plan: [{ ...secondPage, fault: "cut_page", by: 3 }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "pages are cut short by a work, always",
        plan: [{ ...secondPage, ...always, fault: "cut_page" }],
        ...{ outcome: "failed", exit: 1, requests: 22, works: 120, next: 5 },
        says: "answered 200 with 99 works where 100 were due",
    },
    {
        what: "a count is 2 too high, once",
        plan: [{ ...secondPage, fault: "num_found", by: 2 }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "the counts after the walk are 2 too high",
        plan: [{ route: "search", from: 4, ...always, fault: "num_found", by: 2 }],
        ...{ outcome: "partial", exit: 3, requests: 32, works: 240 },
        says: "2 of the counted works were not found in two walks",
    },
    {
        what: "the counts after the walk are 2 too low",
        plan: [{ route: "search", from: 4, ...always, fault: "num_found", by: -2 }],
        ...{ outcome: "partial", exit: 3, requests: 21, works: 240 },
        says: "2 of the landed works are not counted any more",
    },
    {
        what: "a work comes where the walk has been",
        plan: [{ ...secondPage, fault: "put", records: [late] }],
        ...{ outcome: "complete", exit: 0, requests: 12, works: 241 },
    },
    {
        what: "a work goes that has landed",
        plan: [{ ...secondPage, fault: "delete", keys: [first.key] }],
        ...{ outcome: "partial", exit: 3, requests: 10, works: 240 },
        says: "1 of the landed works are not counted any more; the service has no longer /works/OL10001W",
    },
    {
        what: "a work goes before it has landed",
        plan: [{ ...secondPage, fault: "delete", keys: [others.at(-1)?.key ?? ""] }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 239 },
    },
    {
        what: "a work changes its title between two pages",
        plan: [{ ...secondPage, fault: "put", records: [{ ...first, title }] }],
        ...{ outcome: "complete", exit: 0, requests: 6, works: 240 },
    },
    {
        what: "a work is twice on a page, once",
        plan: [{ ...secondPage, fault: "repeat_in_page" }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "a page begins with the last work of the page before",
        plan: [{ ...secondPage, fault: "repeat_across_pages" }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
        says: "the service ignores a range of keys; the rest was asked for by offset",
    },
    {
        what: "cut JSON, once",
        plan: [{ ...secondPage, fault: "cut_json" }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "cut JSON, always",
        plan: [{ ...secondPage, ...always, fault: "cut_json" }],
        ...{ outcome: "failed", exit: 1, requests: 22, works: 120, next: 5 },
        says: "answered 200 with text that is cut or not JSON where JSON was expected",
    },
    {
        what: "bytes that are not UTF-8, once",
        plan: [{ ...secondPage, fault: "not_utf8" }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "a body of 50 MB, once",
        plan: [{ ...secondPage, fault: "huge" }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "the connection is reset, once",
        plan: [{ ...secondPage, fault: "reset" }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "the connection is reset, always",
        plan: [{ ...secondPage, ...always, fault: "reset" }],
        ...{ outcome: "failed", exit: 1, requests: 7, works: 120, next: 5 },
        says: "can't reach the service (read ECONNRESET) after 5 tries",
    },
    {
        what: "the connection breaks in the middle of the body, once",
        plan: [{ ...secondPage, fault: "reset_midway" }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "no answer, once",
        plan: [{ ...secondPage, fault: "hang" }],
        timeout: 1000,
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "no answer, always",
        plan: [{ ...secondPage, ...always, fault: "hang" }],
        timeout: 1000,
        ...{ outcome: "failed", exit: 1, requests: 7, works: 120, next: 5 },
        says: "no answer in time after 5 tries",
    },
    {
        what: "an answer that comes late, but in time",
        plan: [{ route: "any", ...always, fault: "slow", least: 20, most: 40 }],
        ...{ outcome: "complete", exit: 0, requests: 6, works: 240 },
    },
    {
        what: "a body that drips in for longer than a try may take, once",
        plan: [{ ...secondPage, fault: "drip", pause: 200 }],
        timeout: 1000,
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "get_many: 503, once",
        plan: [{ route: "get_many", fault: "503" }],
        ...{ outcome: "complete", exit: 0, requests: 7, works: 240 },
    },
    {
        what: "get_many: HTML with status 200, always",
        plan: [{ route: "get_many", ...always, fault: "html" }],
        ...{ outcome: "complete", exit: 0, requests: 134, works: 240 },
    },
    {
        what: "get_many: 429, always",
        plan: [{ route: "get_many", ...always, fault: "429" }],
        ...{ outcome: "failed", exit: 1, requests: 14, works: 240, next: 3 },
        says: "429 Too Many Requests after 5 tries",
    },
    {
        what: "get_many: 403",
        plan: [{ route: "get_many", fault: "403" }],
        ...{ outcome: "failed", exit: 1, requests: 6, works: 240, next: 2 },
        says: "403 Forbidden",
    },
    {
        what: "get_many: 500, always, so that authors are asked for one by one; HTML for one of these, once",
        plan: [
            { route: "get_many", ...always, fault: "500" },
            { route: "authors", fault: "html" },
        ],
        ...{ outcome: "complete", exit: 0, requests: 135, works: 240 },
    },
    {
        what: "the half that has the documents is down",
        plan: [{ route: "web_py", ...always, fault: "503" }],
        ...{ outcome: "failed", exit: 1, requests: 24, works: 240, next: 3 },
        says: "503 Service Unavailable",
    },
    {
        what: "the half that has the search is down",
        plan: [{ route: "fast_api", ...always, fault: "503" }],
        ...{ outcome: "failed", exit: 1, requests: 5, works: 0, next: 6 },
        says: "503 Service Unavailable after 5 tries",
    },
];
