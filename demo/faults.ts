import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import * as v from "valibot";
import { messageOf, PipelineError } from "../common/errors.ts";
import { didYouMean } from "../common/nearest.ts";
import { type Catalogue, type CatalogueRecord, recordOf } from "./catalogue-file.ts";
import { type Random, randomFrom } from "./generator/random.ts";
import {
    type Answer,
    internalServerError,
    nginxPage,
    type Outcome,
    type StandInRequest,
    serviceUnavailable,
    tooManyRequests,
} from "./http.ts";

/** The requests that a rule is about. Open Library is two services behind one host: fast_api and web_py. */
const routes = {
    any: /^/,
    search: /^\/search\.json$/,
    subjects: /^\/subjects\/.*\.json$/s,
    authors: /^\/authors\/OL\d+A\.json$/,
    get_many: /^\/api\/get_many$/,
    fast_api: /^\/(?:search|subjects\/.*)\.json$/s,
    web_py: /^\/(?:(?:authors|works)\/OL\d+[AWM]\.json|api\/get_many)$/,
};
type Route = keyof typeof routes;
const pageRoutes: readonly Route[] = ["search", "subjects", "fast_api"];

/** A request that a fault befalls. */
interface Occasion {
    readonly request: StandInRequest;
    /** What the stand-in answers, to this request or to another one. */
    readonly answer: (request?: StandInRequest) => Answer;
    readonly catalogue: () => Catalogue;
    /** Answers from these records from now on. */
    readonly change: (records: Iterable<CatalogueRecord>) => void;
    /** Of the rule: what it draws follows from its seed. */
    readonly random: Random;
}

type Spoil = (occasion: Occasion) => Outcome | undefined | Promise<Outcome | undefined>;

interface Fault {
    /** One line of demo/README.md. */
    readonly about: string;
    readonly routes: readonly Route[];
    readonly settings: v.ObjectEntries;
    /** What it does with the settings of a rule, which fit the schema. */
    readonly with: (settings: unknown) => Spoil;
}

const wholeNumber = v.pipe(v.number(), v.integer("a whole number"));
const count = v.pipe(wholeNumber, v.minValue(1, "a whole number above 0"));
const milliseconds = v.pipe(wholeNumber, v.minValue(0, "a number of milliseconds"));

const records = v.pipe(
    v.array(v.unknown()),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
        try {
            return dataset.value.map((record, index) => recordOf(record, `record ${index + 1}`));
        } catch (error) {
            addIssue({ message: messageOf(error) });
            return NEVER;
        }
    }),
);

/** All that can go wrong. What `spoil` returns is answered; undefined leaves the request to others. */
export const faults: Readonly<Record<string, Fault>> = {
    429: fault("too many requests: JSON, no Retry-After", { spoil: () => tooManyRequests }),
    403: fault("nginx's page in HTML, as for a User-Agent without a contact", {
        spoil: () => nginxPage(403, "Forbidden"),
    }),
    500: fault("plain text of the FastAPI half, HTML of the web.py half", {
        spoil: ({ request }) =>
            routes.fast_api.test(request.path) ? internalServerError : page(500, "Internal Server Error"),
    }),
    502: fault("a page in HTML", { spoil: () => page(502, "Bad Gateway") }),
    503: fault("haproxy's page in HTML, as when all servers of a half are down", { spoil: () => serviceUnavailable }),
    html: fault("a page in HTML with status 200", { spoil: () => page(200, "Open Library is down for maintenance") }),
    null_count: fault('200 with "work_count": null and no works, as when the search engine fails', {
        routes: ["subjects"],
        spoil: ({ request, answer }) =>
            edited(answer(withoutDetails(request)), ({ key, name, subject_type, solr_query }) => ({
                ...{ key, name, subject_type, solr_query, work_count: null, works: [] },
                ...(request.query.get("has_fulltext") === "true" && { ebook_count: null }),
            })),
    }),
    cut_page: fault("the last works of a page are missing, as when the search engine's time is up", {
        routes: pageRoutes,
        settings: { by: v.optional(count, 1) },
        spoil: ({ answer }, { by }) => withWorks(answer(), (works) => works.slice(0, -by)),
    }),
    num_found: fault("the count of works is this much too high, or too low when `by` is negative", {
        routes: pageRoutes,
        settings: { by: v.optional(wholeNumber, 1) },
        spoil: ({ answer }, { by }) =>
            edited(answer(), (body) => {
                const counts = ["numFound", "num_found", "work_count"].filter((name) => name in body);
                return { ...body, ...Object.fromEntries(counts.map((name) => [name, Number(body[name]) + by])) };
            }),
    }),
    repeat_in_page: fault("the first work of a page stands in place of its last one as well", {
        routes: pageRoutes,
        spoil: ({ answer }) => withWorks(answer(), (works) => [...works.slice(0, -1), ...works.slice(0, 1)]),
    }),
    repeat_across_pages: fault("a page begins with the last work of the page before, and lacks its own last one", {
        routes: pageRoutes,
        spoil: ({ request, answer }) => {
            const [last] = worksOf(answer(oneEarlier(request)));
            return withWorks(answer(), (works) => (last === undefined ? works : [last, ...works.slice(0, -1)]));
        },
    }),
    put: fault("works or author documents (`records`) come into the catalogue, in place of those of the same key", {
        settings: { records },
        spoil: ({ catalogue, change }, { records }) => {
            change([...without(catalogue(), new Set(records.map(({ key }) => key))), ...records]);
            return undefined;
        },
    }),
    delete: fault("works or author documents (`keys`) go from the catalogue", {
        settings: { keys: v.array(v.string()) },
        spoil: ({ catalogue, change }, { keys }) => {
            change(without(catalogue(), new Set(keys)));
            return undefined;
        },
    }),
    cut_json: fault("the body ends in its middle, as if it were whole", {
        spoil: ({ answer }) => {
            const whole = answer();
            return { ...whole, body: whole.body.slice(0, Math.floor(whole.body.length / 2)) };
        },
    }),
    not_utf8: fault("a byte that UTF-8 does not know stands in a text of the body", {
        spoil: ({ answer }) => {
            const { status, headers, body } = answer();
            const bytes = Buffer.from(body);
            bytes[bytes.lastIndexOf('"') - 1] = 0xff;
            return { status, headers, pieces: [bytes] };
        },
    }),
    huge: fault("a body of so many megabytes: the answer, and blanks after it", {
        settings: { megabytes: v.optional(count, 50) },
        spoil: ({ answer }, { megabytes }) => {
            const { status, headers, body } = answer();
            const blanks = Array.from({ length: megabytes }, () => Buffer.alloc(1_000_000, " "));
            return { status, headers, pieces: [body, ...blanks] };
        },
    }),
    slow: fault("the answer comes after a time between `least` and `most` milliseconds", {
        settings: { least: v.optional(milliseconds, 200), most: v.optional(milliseconds, 800) },
        spoil: async ({ answer, random }, { least, most }) => {
            await wait(random.integer(least, most), undefined, { ref: false });
            return answer();
        },
    }),
    drip: fault("the body comes in ten pieces, with a `pause` of so many milliseconds before each", {
        settings: { pause: v.optional(milliseconds, 1000) },
        spoil: ({ answer }, { pause }) => {
            const { status, headers, body } = answer();
            return { status, headers, pieces: drip(Buffer.from(body), pause) };
        },
    }),
    hang: fault("the connection stays open, and nothing comes", { spoil: () => new Promise(() => {}) }),
    reset: fault("the connection is reset without an answer", { spoil: () => ({ drop: true }) }),
    reset_midway: fault("the connection breaks in the middle of the body", {
        spoil: ({ answer }) => {
            const { status, headers, body } = answer();
            return { status, headers, pieces: broken(body) };
        },
    }),
};

/** A rule of a plan as a person writes it: on which requests, and what goes wrong, with the settings of that. */
export interface FaultRule {
    readonly route: Route;
    /** A name of `faults`. */
    readonly fault: string;
    /** The first of these requests that it befalls, counted from 1. Default: 1 */
    readonly from?: number;
    /** How many of them it befalls. Default: 1 */
    readonly times?: number | "always";
    /** Of these, the share that it befalls, drawn by chance. Default: 1 */
    readonly share?: number;
    /** What the draws follow from. Default: 1 */
    readonly seed?: number;
    readonly [setting: string]: unknown;
}

const ruleEntries = {
    route: v.string(),
    fault: v.pipe(v.union([v.string(), v.number()]), v.transform(String)),
    from: v.optional(count, 1),
    times: v.optional(v.union([count, v.literal("always")]), 1),
    share: v.optional(v.pipe(v.number(), v.minValue(0, "0 to 1"), v.maxValue(1, "0 to 1")), 1),
    seed: v.optional(wholeNumber, 1),
};
const named = v.looseObject({ route: ruleEntries.route, fault: ruleEntries.fault });

interface Rule {
    readonly path: RegExp;
    readonly from: number;
    readonly times: number;
    readonly share: number;
    readonly seed: number;
    readonly spoil: Spoil;
}

/** Reads a plan of faults from a JSON file. @throws PipelineError that lists all that is wrong with it. */
export function readPlan(file: string): readonly FaultRule[] {
    let plan: unknown;
    try {
        plan = JSON.parse(readFileSync(file, "utf8"));
    } catch (error) {
        throw new PipelineError(`${file}  can't be read as JSON: ${messageOf(error)}`, { cause: error });
    }
    planOf(plan, file);
    return plan as readonly FaultRule[];
}

/**
 * Does what the rules say: called with each request, it gives what comes instead of an answer, if anything does. Each
 * rule counts the requests of its route; when several are due the first that answers does, and all that change the
 * catalogue do.
 * @throws PipelineError that lists all that is wrong with the rules.
 */
export function injector(
    rules: readonly FaultRule[],
): (occasion: Omit<Occasion, "random">) => Promise<Outcome | undefined> {
    const states = planOf(rules, "faults").map((rule) => ({ rule, seen: 0, hits: 0, random: randomFrom(rule.seed) }));
    return async (occasion) => {
        const due = states.filter(({ rule }) => rule.path.test(occasion.request.path));
        const outcomes = due.map((state) => {
            const { rule, random } = state;
            state.seen++;
            if (state.seen < rule.from || state.hits >= rule.times || !random.chance(rule.share)) return undefined;
            state.hits++;
            return rule.spoil({ ...occasion, random });
        });
        return outcomes.find((outcome) => outcome !== undefined);
    };
}

function planOf(plan: unknown, name: string): Rule[] {
    if (!Array.isArray(plan)) throw new PipelineError(`${name}  expected a list of rules`);
    const problems: string[] = [];
    const rules = plan.flatMap((given: unknown, index) => {
        const found = ruleOf(given);
        if (!("problems" in found)) return [found];
        problems.push(...found.problems.map((problem) => `${name} rule ${index + 1}  ${problem}`));
        return [];
    });
    if (problems.length > 0) throw new PipelineError(problems.join("\n"));
    return rules;
}

function ruleOf(given: unknown): Rule | { readonly problems: readonly string[] } {
    const kind = v.safeParse(named, given);
    if (!kind.success) return { problems: kind.issues.map((issue) => explain(issue, [])) };
    const { route, fault: name } = kind.output;
    const found = Object.hasOwn(faults, name) ? faults[name] : undefined;
    if (found === undefined) return { problems: [`unknown fault "${name}".${didYouMean(name, Object.keys(faults))}`] };
    if (!isRoute(route)) return { problems: [`unknown route "${route}".${didYouMean(route, Object.keys(routes))}`] };
    if (!found.routes.includes(route)) {
        return { problems: [`"${name}" is for the route ${found.routes.join(", ")}, not for "${route}"`] };
    }
    const entries = { ...ruleEntries, ...found.settings };
    const checked = v.safeParse(v.strictObject(entries), given);
    if (!checked.success) return { problems: checked.issues.map((issue) => explain(issue, Object.keys(entries))) };
    const { from, times, share, seed } = v.parse(v.object(ruleEntries), given);
    return {
        path: routes[route],
        ...{ from, share, seed, times: times === "always" ? Number.POSITIVE_INFINITY : times },
        spoil: found.with(given),
    };
}

function isRoute(name: string): name is Route {
    return Object.hasOwn(routes, name);
}

function explain(issue: v.BaseIssue<unknown>, keys: readonly string[]): string {
    const path = v.getDotPath(issue) ?? "";
    if (path === "") return `is ${issue.received}; expected an object with "route" and "fault"`;
    if (issue.expected === "never") return `unknown key "${path}".${didYouMean(path, keys)}`;
    if (issue.received === "undefined") return `"${path}" is missing`;
    if (issue.kind === "transformation") return `"${path}": ${issue.message}`;
    return `"${path}" is ${issue.received}; expected ${issue.kind === "validation" ? issue.message : issue.expected}`;
}

function fault<S extends v.ObjectEntries = Record<never, never>>(
    about: string,
    given: {
        /** Default: all */
        readonly routes?: readonly Route[];
        /** Keys that a rule has besides those of every rule. Default: none */
        readonly settings?: S;
        readonly spoil: (
            occasion: Occasion,
            settings: v.InferOutput<v.ObjectSchema<S, undefined>>,
        ) => ReturnType<Spoil>;
    },
): Fault {
    const { settings = {} as S, spoil } = given;
    return {
        about,
        routes: given.routes ?? Object.keys(routes).filter(isRoute),
        settings,
        with: (values) => {
            const parsed = v.parse(v.object(settings), values);
            return (occasion) => spoil(occasion, parsed);
        },
    };
}

/** A page of ours: what Open Library's own error pages hold is not known. */
function page(status: number, title: string): Answer {
    const body = `<!DOCTYPE html>\n<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>\n`;
    return { status, headers: { "Content-Type": "text/html; charset=utf-8" }, body };
}

function edited(answer: Answer, edit: (body: Record<string, unknown>) => Record<string, unknown>): Answer {
    return answer.status === 200 ? { ...answer, body: JSON.stringify(edit(JSON.parse(answer.body))) } : answer;
}

function withWorks(answer: Answer, edit: (works: readonly unknown[]) => readonly unknown[]): Answer {
    return edited(answer, (body) => {
        const name = "docs" in body ? "docs" : "works";
        return { ...body, [name]: edit(worksOf(answer)) };
    });
}

function worksOf(answer: Answer): readonly unknown[] {
    const { docs, works } = answer.status === 200 ? JSON.parse(answer.body) : { docs: [], works: [] };
    return docs ?? works;
}

function withoutDetails(request: StandInRequest): StandInRequest {
    const query = new URLSearchParams(request.query);
    query.delete("details");
    return { ...request, query };
}

/** The request for a page that begins one work earlier; the same one when the page is the first. */
function oneEarlier(request: StandInRequest): StandInRequest {
    const query = new URLSearchParams(request.query);
    const offset = Number(query.get("offset") ?? 0);
    if (offset > 0) query.set("offset", String(offset - 1));
    query.set("q", (query.get("q") ?? "").replace('key:{"', 'key:["'));
    return { ...request, query };
}

function* without(catalogue: Catalogue, keys: ReadonlySet<string>): Generator<CatalogueRecord, void, undefined> {
    for (const record of [...catalogue.works, ...catalogue.documents.values()]) {
        if (!keys.has(record.key)) yield record;
    }
}

async function* drip(body: Buffer, pause: number): AsyncGenerator<Uint8Array, void, undefined> {
    const size = Math.ceil(body.length / 10);
    for (let at = 0; at < body.length; at += size) {
        await wait(pause, undefined, { ref: false });
        yield body.subarray(at, at + size);
    }
}

async function* broken(body: string): AsyncGenerator<string, void, undefined> {
    yield body.slice(0, Math.floor(body.length / 2));
    // As long as it takes to send that.
    await wait(50, undefined, { ref: false });
    throw new Error("the connection breaks here, as planned");
}
