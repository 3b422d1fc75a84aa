import * as v from "valibot";
import { BadAnswer } from "./client.ts";

/** An element of an answer that does not fit; `position` counts from 0. */
export interface Misfit {
    readonly position: number;
    readonly reason: string;
    /** The element as JSON. */
    readonly body: string;
}

/** What the extractor itself needs to know of a page of works. */
export interface WorksPage {
    readonly numFound: number;
    /** How many elements `docs` has, misfits included. */
    readonly docs: number;
    /** In the order of the answer. */
    readonly works: readonly FoundWork[];
    /** Authors as their documents call them, "/authors/OL1A", with the different names that the works give them. */
    readonly authors: ReadonlyMap<string, readonly string[]>;
    readonly misfits: readonly Misfit[];
}

export interface FoundWork {
    /** An edition without a work is indexed as a work of its own: "/works/OL1M". */
    readonly key: string;
    /** The work's subjects as people have typed them. */
    readonly labels: readonly string[];
}

/** What the extractor itself needs to know of an answer with author documents. */
export interface AuthorsPage {
    readonly documents: readonly AuthorDocument[];
    readonly misfits: readonly Misfit[];
}

/** What 404 means. */
export const noAuthors: AuthorsPage = { documents: [], misfits: [] };

export interface AuthorDocument {
    readonly key: string;
    /** Of an author who is neither merged nor deleted; blank when the document has none. */
    readonly name?: string;
    /** Where a merged author went. */
    readonly location?: string;
}

const searchEnvelope = v.object({
    numFound: v.pipe(v.number(), v.integer(), v.minValue(0)),
    // false makes numFound a lower bound, against which nothing can be proved complete.
    numFoundExact: v.optional(v.literal(true)),
    docs: v.array(v.unknown()),
});
const keyed = v.object({ key: v.pipe(v.string(), v.regex(/^\/works\/OL\d+[WM]$/)) });
const list = v.optional(v.array(v.unknown()));
const work = v.object({
    ...keyed.entries,
    title: v.optional(v.string()),
    author_key: v.optional(v.array(v.pipe(v.string(), v.regex(/^OL\d+A$/))), []),
    author_name: list,
    publish_year: list,
    language: list,
    subject: list,
    isbn: list,
    publisher: list,
});

/** Reads the JSON of /search.json. @throws BadAnswer when its envelope is not that of a search. */
export function readWorks(json: unknown): WorksPage {
    const envelope = v.safeParse(searchEnvelope, json);
    if (!envelope.success) throw new BadAnswer(`answered 200, but ${fault(envelope.issues)}`);
    const works: FoundWork[] = [];
    const authors = new Map<string, readonly string[]>();
    const misfits: Misfit[] = [];
    for (const [position, doc] of envelope.output.docs.entries()) {
        if (v.is(keyed, doc)) works.push({ key: doc.key, labels: labelsOf(doc) });
        const read = v.safeParse(work, doc);
        const reason = read.success ? illFormed(doc) : fault(read.issues);
        if (reason !== undefined) misfits.push({ position, reason, body: JSON.stringify(doc) });
        if (!read.success) continue;
        for (const [place, key] of read.output.author_key.entries()) {
            addNames(authors, `/authors/${key}`, namesOf(read.output.author_name?.[place]));
        }
    }
    return {
        numFound: envelope.output.numFound,
        docs: envelope.output.docs.length,
        works,
        authors,
        misfits,
    };
}

/** Adds those of an author's names that are new. */
export function addNames(authors: Map<string, readonly string[]>, key: string, names: readonly string[]): void {
    const known = authors.get(key) ?? [];
    const added = names.filter((name) => !known.includes(name));
    if (added.length > 0 || known.length === 0) authors.set(key, added.length > 0 ? [...known, ...added] : known);
}

function namesOf(value: unknown): string[] {
    return typeof value === "string" && value.trim() !== "" ? [value.trim()] : [];
}

function labelsOf(doc: object): string[] {
    const labels: unknown = "subject" in doc ? doc.subject : undefined;
    return Array.isArray(labels) ? labels.filter((label) => typeof label === "string") : [];
}

const batchEnvelope = v.object({ status: v.literal("ok"), result: v.record(v.string(), v.unknown()) });
const authorKey = v.pipe(v.string(), v.regex(/^\/authors\/OL\d+A$/));
const typed = v.object({ key: authorKey, type: v.object({ key: v.string() }) });
// Of other documents, location may be the place where somebody lives.
const redirect = v.object({ ...typed.entries, location: authorKey });

/** Reads the JSON of /api/get_many. @throws BadAnswer when its envelope is another, as that of a failure is. */
export function readAuthors(json: unknown): AuthorsPage {
    const envelope = v.safeParse(batchEnvelope, json);
    if (!envelope.success) throw new BadAnswer(`answered 200, but ${fault(envelope.issues)}`);
    return sortOut(Object.values(envelope.output.result));
}

/** Reads the JSON of /authors/OL1A.json. @throws BadAnswer when it is no object. */
export function readAuthor(json: unknown): AuthorsPage {
    if (!v.is(v.record(v.string(), v.unknown()), json)) throw new BadAnswer("answered 200, but not with a document");
    return sortOut([json]);
}

function sortOut(candidates: readonly unknown[]): AuthorsPage {
    const documents: AuthorDocument[] = [];
    const misfits: Misfit[] = [];
    for (const [position, candidate] of candidates.entries()) {
        const isRedirect = v.is(typed, candidate) && candidate.type.key === "/type/redirect";
        const read = v.safeParse(isRedirect ? redirect : typed, candidate);
        const reason = read.success ? illFormed(candidate) : fault(read.issues);
        if (reason !== undefined) misfits.push({ position, reason, body: JSON.stringify(candidate) });
        if (!read.success) continue;
        const { key } = read.output;
        if (isRedirect && v.is(redirect, candidate)) documents.push({ key, location: candidate.location });
        else if (read.output.type.key === "/type/author") documents.push({ key, name: nameOf(candidate) });
        else documents.push({ key });
    }
    return { documents, misfits };
}

function nameOf(document: unknown): string {
    return v.is(v.object({ name: v.string() }), document) ? document.name.trim() : "";
}

function fault(issues: readonly v.BaseIssue<unknown>[]): string {
    const [issue] = issues;
    if (issue === undefined) return "it does not fit";
    const path = v.getDotPath(issue) ?? "it";
    return issue.received === "undefined"
        ? `${path} is missing`
        : `${path} is ${issue.received}, not ${issue.expected}`;
}

/** A lone surrogate can be written in JSON, but DuckDB's JSON functions stop at one. */
function illFormed(value: unknown): string | undefined {
    return hasLoneSurrogate(value) ? "it holds a lone surrogate, which is not text" : undefined;
}

function hasLoneSurrogate(value: unknown): boolean {
    if (typeof value === "string") return !value.isWellFormed();
    if (Array.isArray(value)) return value.some(hasLoneSurrogate);
    if (typeof value === "object" && value !== null)
        return Object.entries(value).some((entry) => hasLoneSurrogate(entry));
    return false;
}
