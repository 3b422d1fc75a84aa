import type { Work } from "./catalogue-file.ts";

type Comparison = (a: Work, b: Work) => number;

/** Solr's rule for numbers: without one a work counts as lowest. */
function byNumber(field: string, direction: "asc" | "desc", missing = Number.NEGATIVE_INFINITY): Comparison {
    const sign = direction === "asc" ? 1 : -1;
    const numberOf = (work: Work): number => {
        const content = work[field];
        return typeof content === "number" ? content : missing;
    };
    return (a, b) => {
        const [left, right] = [numberOf(a), numberOf(b)];
        return left === right ? 0 : left < right ? -sign : sign;
    };
}

function byText(textOf: (work: Work) => string, direction: "asc" | "desc"): Comparison {
    const sign = direction === "asc" ? 1 : -1;
    return (a, b) => {
        const [left, right] = [textOf(a), textOf(b)];
        return left === right ? 0 : left < right ? -sign : sign;
    };
}

const key = (work: Work): string => work.key;
const classification = (field: "lcc" | "ddc") => (work: Work) => {
    const list = work[field];
    return Array.isArray(list) ? String(list[0]) : "";
};
const access = ["no_ebook", "unclassified", "printdisabled", "borrowable", "public"];
/** How much of a work can be read on line, from 0 (nothing) to 4 (everything). */
export const accessOf = (work: Work): number => Math.max(0, access.indexOf(work.ebook_access ?? "no_ebook"));
const byAccess: Comparison = (a, b) => accessOf(a) - accessOf(b);

/** Every sort that Open Library's WorkSearchScheme allows, `random*` apart. Only `key` puts works in one order only. */
const sorts: Readonly<Record<string, Comparison>> = {
    editions: byNumber("edition_count", "desc"),
    old: byNumber("first_publish_year", "asc", 9999),
    new: byNumber("first_publish_year", "desc"),
    rating: byNumber("ratings_sortable", "desc"),
    "rating asc": byNumber("ratings_sortable", "asc"),
    "rating desc": byNumber("ratings_sortable", "desc"),
    readinglog: byNumber("readinglog_count", "desc"),
    want_to_read: byNumber("want_to_read_count", "desc"),
    currently_reading: byNumber("currently_reading_count", "desc"),
    already_read: byNumber("already_read_count", "desc"),
    title: byText((work) => work.title.toLowerCase(), "asc"),
    scans: byNumber("ia_count", "desc"),
    trending: byNumber("trending_score_hourly_sum", "desc"),
    lcc_sort: byText(classification("lcc"), "asc"),
    "lcc_sort asc": byText(classification("lcc"), "asc"),
    "lcc_sort desc": byText(classification("lcc"), "desc"),
    ddc_sort: byText(classification("ddc"), "asc"),
    "ddc_sort asc": byText(classification("ddc"), "asc"),
    "ddc_sort desc": byText(classification("ddc"), "desc"),
    ebook_access: (a, b) => byAccess(b, a),
    "ebook_access asc": byAccess,
    "ebook_access desc": (a, b) => byAccess(b, a),
    key: byText(key, "asc"),
    "key asc": byText(key, "asc"),
    "key desc": byText(key, "desc"),
};

/**
 * Works, given ascending by key, in the order of a `sort` parameter; undefined when Open Library knows no such sort.
 * Works that a sort leaves equal come in an order that `shuffle` decides, as Solr leaves them to the document numbers
 * of the server that happens to answer. An empty sort is relevance, for which the number of editions stands in.
 */
export function ordered(works: readonly Work[], sort: string, shuffle: string): readonly Work[] | undefined {
    const names = sort === "" ? ["editions"] : sort.split(",").map((name) => name.trim());
    if (names[0] === "key" || names[0] === "key asc") return names.every(isSort) ? works : undefined;
    const comparisons: Comparison[] = [];
    let random = "";
    for (const name of names) {
        if (!isSort(name)) return undefined;
        const comparison = sorts[name];
        if (comparison === undefined) {
            random = name;
            break;
        }
        comparisons.push(comparison);
    }
    const salt = random === "" ? shuffle : randomSalt(random);
    return works
        .map((work) => ({ work, draw: hash(salt + work.key) }))
        .sort((a, b) => {
            for (const comparison of comparisons) {
                const difference = comparison(a.work, b.work);
                if (difference !== 0) return difference;
            }
            return a.draw - b.draw;
        })
        .map(({ work }) => work);
}

function isSort(name: string): boolean {
    return Object.hasOwn(sorts, name) || /^random(?:[._]\w+)?(?: asc| desc)?$/.test(name);
}

/** `random.hourly` and `random.daily` are seeded by the clock, the other random sorts by their own name. */
function randomSalt(name: string): string {
    const now = new Date().toISOString();
    if (name === "random.hourly") return now.slice(0, 13);
    return name === "random.daily" ? now.slice(0, 10) : name;
}

/** FNV-1a with a final mix, so that neighbouring keys draw unrelated numbers. */
function hash(text: string): number {
    let state = 0x811c9dc5;
    for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
    state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    return (state ^ (state >>> 16)) >>> 0;
}
