import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { messageOf, PipelineError, systemCode } from "../common/errors.ts";

const integer = v.pipe(v.number(), v.integer());
const optionalInteger = v.exactOptional(integer);
const optionalText = v.exactOptional(v.string());
const optionalTexts = v.exactOptional(v.array(v.string()));
const optionalFlag = v.exactOptional(v.boolean());

const workSchema = v.looseObject({
    key: v.pipe(v.string(), v.regex(/^\/works\/OL\d+[WM]$/)),
    title: v.string(),
    author_key: optionalTexts,
    author_name: optionalTexts,
    first_publish_year: optionalInteger,
    publish_year: v.exactOptional(v.array(integer)),
    edition_count: optionalInteger,
    language: optionalTexts,
    subject: optionalTexts,
    person: optionalTexts,
    place: optionalTexts,
    time: optionalTexts,
    publisher: optionalTexts,
    ebook_access: optionalText,
    has_fulltext: optionalFlag,
    public_scan_b: optionalFlag,
    cover_i: optionalInteger,
    cover_edition_key: optionalText,
    ia: optionalTexts,
    ia_collection: optionalTexts,
    lending_edition_s: optionalText,
    lending_identifier_s: optionalText,
    availability: v.exactOptional(v.nullable(v.looseObject({}))),
});

const documentSchema = v.looseObject({
    key: v.pipe(v.string(), v.regex(/^\/authors\/OL\d+A$/)),
    type: v.looseObject({ key: v.picklist(["/type/author", "/type/redirect", "/type/delete"]) }),
    location: optionalText,
});

/** A work as /search.json answers it with every field it has. What is unknown is absent. Other fields are kept. */
export type Work = Readonly<v.InferOutput<typeof workSchema>>;

/** An author document exactly as Open Library stores it. A redirect has its `location`. */
export type AuthorDocument = Readonly<v.InferOutput<typeof documentSchema>>;

export type CatalogueRecord = Work | AuthorDocument;

/** The four kinds of subject, named as the fields of a work that hold their labels. */
export const subjectFields = ["subject", "person", "place", "time"] as const;
export type SubjectField = (typeof subjectFields)[number];

export interface Catalogue {
    /** Ascending by key, character by character, which is Solr's `key asc`. */
    readonly works: readonly Work[];
    readonly workOf: ReadonlyMap<string, Work>;
    readonly documents: ReadonlyMap<string, AuthorDocument>;
    /** Works by normalised subject key, each list in the order of `works`. */
    readonly bySubject: Readonly<Record<SubjectField, ReadonlyMap<string, readonly Work[]>>>;
}

/**
 * The key that Open Library gives a subject label: trimmed, lower case, some punctuation dropped, spaces underlined.
 * Source: openlibrary/utils/__init__.py, normalize_subject_name.
 */
export function subjectKey(label: string): string {
    return label
        .trim()
        .toLowerCase()
        .replace(/[;/?:@&=+$,<>#%"{}|\\^[\]`\n\r]/g, "")
        .replaceAll(" ", "_");
}

/**
 * Reads catalogue files, and every *.ndjson of a folder, in the form that demo/README.md describes.
 * @throws PipelineError `file.ndjson:12  ...` at the first line that is not a record, or repeats a key.
 */
export function readCatalogue(paths: readonly string[]): Catalogue {
    const files = paths.flatMap(filesAt);
    return indexCatalogue(
        (function* () {
            for (const file of files) {
                let number = 0;
                for (const line of readFileSync(file, "utf8").split("\n")) {
                    number++;
                    if (line.trim() === "" || line.startsWith("//")) continue;
                    yield [parseLine(line, `${file}:${number}`), `${file}:${number}`] as const;
                }
            }
        })(),
    );
}

/** The catalogue of records that were made in this process. @throws PipelineError when two have the same key. */
export function catalogueOf(records: Iterable<CatalogueRecord>): Catalogue {
    return indexCatalogue(
        (function* () {
            for (const record of records) yield [record, "catalogue"] as const;
        })(),
    );
}

function isWork(record: CatalogueRecord): record is Work {
    return record.key.startsWith("/works/");
}

function indexCatalogue(records: Iterable<readonly [CatalogueRecord, position: string]>): Catalogue {
    const workOf = new Map<string, Work>();
    const documents = new Map<string, AuthorDocument>();
    for (const [record, position] of records) {
        if (workOf.has(record.key) || documents.has(record.key)) {
            throw new PipelineError(`${position}  "${record.key}" is in the catalogue twice`);
        }
        if (isWork(record)) workOf.set(record.key, record);
        else documents.set(record.key, record);
    }
    const works = [...workOf.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    const bySubject = {
        subject: worksBySubject(works, "subject"),
        person: worksBySubject(works, "person"),
        place: worksBySubject(works, "place"),
        time: worksBySubject(works, "time"),
    };
    return { works, workOf, documents, bySubject };
}

function worksBySubject(works: readonly Work[], field: SubjectField): Map<string, Work[]> {
    const index = new Map<string, Work[]>();
    for (const work of works) {
        for (const key of new Set(work[field]?.map(subjectKey))) {
            const list = index.get(key);
            if (list === undefined) index.set(key, [work]);
            else list.push(work);
        }
    }
    return index;
}

function filesAt(path: string): string[] {
    try {
        if (!statSync(path).isDirectory()) return [path];
    } catch (error) {
        if (systemCode(error) === "ENOENT") throw new PipelineError(`${path}  no such catalogue file or folder`);
        throw error;
    }
    const files = readdirSync(path).filter((name) => name.endsWith(".ndjson"));
    if (files.length === 0) throw new PipelineError(`${path}  holds no .ndjson file`);
    return files.sort().map((name) => join(path, name));
}

function parseLine(line: string, position: string): CatalogueRecord {
    let value: unknown;
    try {
        value = JSON.parse(line);
    } catch (error) {
        throw new PipelineError(`${position}  not JSON: ${messageOf(error)}`);
    }
    return recordOf(value, position);
}

/** Takes a value for a record of a catalogue. @throws PipelineError `position  ...` when it is none. */
export function recordOf(value: unknown, position: string): CatalogueRecord {
    if (typeof value !== "object" || value === null || !("key" in value)) {
        throw new PipelineError(`${position}  expected an object with a "key"`);
    }
    const about = String(value.key).startsWith("/authors/") ? documentSchema : workSchema;
    const result = v.safeParse(about, value);
    if (!result.success) throw new PipelineError(`${position}  ${explain(result.issues[0])}`);
    for (const [field, content] of Object.entries(value)) {
        if (content === null && field !== "availability") {
            throw new PipelineError(`${position}  "${field}" is null; leave out what is unknown`);
        }
    }
    // The value as it was read: valibot's copy has its members in another order.
    const record = value as CatalogueRecord;
    if (!isWork(record) && record.type.key === "/type/redirect" && record.location === undefined) {
        throw new PipelineError(`${position}  the redirect "${record.key}" has no "location"`);
    }
    return record;
}

function explain(issue: v.BaseIssue<unknown>): string {
    const field = v.getDotPath(issue) ?? "record";
    if (issue.received === "undefined") return `"${field}" is missing`;
    if (issue.received === "null") return `"${field}" is null; leave out what is unknown`;
    return `"${field}" is ${issue.received}; expected ${issue.expected}`;
}
