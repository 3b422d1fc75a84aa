import type { Catalogue, SubjectField, Work } from "./catalogue-file.ts";

/** A query in a syntax that Open Library would read and this stand-in does not, such as OR. */
export class UnsupportedQuery extends Error {
    override readonly name = "UnsupportedQuery";
}

interface Bound {
    readonly value: string;
    readonly inclusive: boolean;
}
interface Range {
    readonly from?: Bound;
    readonly to?: Bound;
}
interface Clause {
    readonly negated: boolean;
    readonly field: string | undefined;
    readonly value: { readonly range: Range } | { readonly phrase: string } | { readonly word: string };
}

const subjectKeyFields: Readonly<Record<string, SubjectField>> = {
    subject_key: "subject",
    person_key: "person",
    place_key: "place",
    time_key: "time",
};
const textFields = new Set(["title", "subtitle", "author_name", "publisher", "subject", "person", "place", "time"]);
const exactFields = new Set([
    ..."key author_key language isbn ebook_access cover_edition_key ia ia_collection ddc lcc series_key".split(" "),
    ..."first_publish_year publish_year edition_count number_of_pages_median ratings_average ratings_count".split(" "),
    ..."readinglog_count want_to_read_count already_read_count currently_reading_count has_fulltext".split(" "),
]);

const phrase = String.raw`"(?:\\.|[^"\\])*"`;
const clausePattern = new RegExp(
    String.raw`\s*(?:(AND)\s+)?(-|NOT\s+)?(?:([A-Za-z_]\w*):\s*)?` +
        String.raw`(?:([[{])\s*(${phrase}|\S+)\s+TO\s+(${phrase}|[^\s\]}]+)\s*([\]}])|(${phrase})|((?:\\.|[^\s"()[\]{}\\])+))`,
    "y",
);

/**
 * The works of the catalogue that a Solr query of /search.json selects, ascending by key. Clauses are joined by AND.
 * A field name also takes the bare words that follow it, as Open Library's parser does; an unknown field is plain text.
 * @throws UnsupportedQuery for OR, parentheses and anything else that this stand-in can't answer as the original would.
 */
export function select(catalogue: Catalogue, q: string): readonly Work[] {
    let works: readonly Work[] | undefined;
    const tests: ((work: Work) => boolean)[] = [];
    const ranges: Range[] = [];
    for (const { negated, field, value } of parse(q)) {
        const subjectField = field === undefined ? undefined : subjectKeyFields[field];
        if (subjectField !== undefined && !("range" in value) && !isStar(value)) {
            const matched = catalogue.bySubject[subjectField].get("word" in value ? value.word : value.phrase) ?? [];
            if (works === undefined && !negated) {
                works = matched;
            } else {
                const keys = new Set(matched.map((work) => work.key));
                tests.push((work) => keys.has(work.key) !== negated);
            }
        } else if (field === "key" && "range" in value && !negated) {
            ranges.push(value.range);
        } else {
            const test = testOf(subjectField ?? field, value);
            tests.push(negated ? (work) => !test(work) : test);
        }
    }
    let selected = works ?? catalogue.works;
    for (const range of ranges) selected = keysWithin(selected, range);
    return tests.length === 0 ? selected : selected.filter((work) => tests.every((test) => test(work)));
}

function parse(q: string): Clause[] {
    const clauses: Clause[] = [];
    const pattern = new RegExp(clausePattern);
    const text = q.trimEnd();
    let greedy: string | undefined;
    while (pattern.lastIndex < text.length) {
        const match = pattern.exec(text);
        if (match === null) throw new UnsupportedQuery(`the stand-in can't read this query: ${q}`);
        const [, and, minus, name, open, from, to, close, quoted, bare] = match;
        if (bare === "OR" || bare === "AND" || bare === "NOT") {
            throw new UnsupportedQuery(`the stand-in does not know "${bare}" here: ${q}`);
        }
        const field: string | undefined =
            name?.toLowerCase() ?? (and === undefined && bare !== undefined ? greedy : undefined);
        greedy = bare === undefined ? undefined : field;
        const known = field !== undefined && isField(field);
        if (name !== undefined && !known) clauses.push({ negated: false, field: undefined, value: { word: name } });
        const about = { negated: minus !== undefined, field: known ? field : undefined };
        if (open !== undefined && from !== undefined && to !== undefined) {
            clauses.push({ ...about, value: { range: rangeOf(open, from, to, close) } });
        } else if (quoted !== undefined) {
            clauses.push({ ...about, value: { phrase: literal(quoted) } });
        } else if (bare !== undefined) {
            clauses.push({ ...about, value: { word: literal(bare) } });
        }
    }
    return clauses;
}

function isField(name: string): boolean {
    return Object.hasOwn(subjectKeyFields, name) || textFields.has(name) || exactFields.has(name);
}

function rangeOf(open: string, from: string, to: string, close: string | undefined): Range {
    return {
        ...(from === "*" ? {} : { from: { value: literal(from), inclusive: open === "[" } }),
        ...(to === "*" ? {} : { to: { value: literal(to), inclusive: close === "]" } }),
    };
}

/** The text that a quoted or bare piece of a query stands for: without its quotes and backslashes. */
function literal(piece: string): string {
    return piece.replace(/^"(.*)"$/s, "$1").replace(/\\(.)/gs, "$1");
}

function isStar(value: Clause["value"]): boolean {
    return "word" in value && value.word === "*";
}

/** Works are ascending by key, so that a range is a slice found by bisection. */
function keysWithin(works: readonly Work[], { from, to }: Range): readonly Work[] {
    const start = from === undefined ? 0 : position(works, from.value, !from.inclusive);
    const end = to === undefined ? works.length : position(works, to.value, to.inclusive);
    return works.slice(start, Math.max(start, end));
}

/** How many works come before `key`, with the work of that key itself counted or not. */
function position(works: readonly Work[], key: string, countEqual: boolean): number {
    let low = 0;
    let high = works.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        const here = works[middle]?.key ?? "";
        if (here < key || (countEqual && here === key)) low = middle + 1;
        else high = middle;
    }
    return low;
}

function testOf(field: string | undefined, value: Clause["value"]): (work: Work) => boolean {
    if (field !== undefined && isStar(value)) return (work) => valuesOf(work, field).length > 0;
    if ("range" in value) {
        if (field === undefined) throw new UnsupportedQuery("the stand-in needs a known field before a range");
        return (work) => valuesOf(work, field).some((content) => isWithin(content, value.range));
    }
    const wanted = "word" in value ? value.word : value.phrase;
    if (field !== undefined && !textFields.has(field)) {
        return (work) => valuesOf(work, field).some((content) => String(content) === wanted);
    }
    // Not stemmed as Open Library's text fields are: a phrase, or a word, of the lower-cased text.
    const needle = ` ${words(wanted)} `;
    const searched = field === undefined ? ["title", "author_name"] : [field];
    return (work) =>
        searched.some((name) => valuesOf(work, name).some((text) => ` ${words(String(text))} `.includes(needle)));
}

function isWithin(content: unknown, { from, to }: Range): boolean {
    const compare = (bound: string): number => {
        if (typeof content === "number") return content - Number(bound);
        return String(content) < bound ? -1 : String(content) > bound ? 1 : 0;
    };
    if (from !== undefined && !(from.inclusive ? compare(from.value) >= 0 : compare(from.value) > 0)) return false;
    return to === undefined || (to.inclusive ? compare(to.value) <= 0 : compare(to.value) < 0);
}

function valuesOf(work: Work, field: string): readonly unknown[] {
    const content = work[field];
    if (content === undefined) return [];
    return Array.isArray(content) ? content : [content];
}

function words(text: string): string {
    return (text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? []).join(" ");
}
