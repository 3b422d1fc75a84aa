import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import type { CatalogueRecord, Work } from "../demo/catalogue-file.ts";

/** The folder of real answers of Open Library, which lie beside the repository and never in it; undefined without it. */
export function recordedData(): string | undefined {
    const folder = join(import.meta.dirname, "..", "..", "shared", "data");
    return existsSync(join(folder, "subjects")) ? folder : undefined;
}

const text = v.exactOptional(v.string());
const subjectAnswer = v.looseObject({
    works: v.array(
        v.looseObject({
            key: v.string(),
            title: v.string(),
            edition_count: v.number(),
            cover_id: v.nullable(v.number()),
            cover_edition_key: v.nullable(v.string()),
            subject: v.array(v.string()),
            ia_collection: v.array(v.string()),
            lending_edition: text,
            lending_identifier: text,
            authors: v.array(v.object({ key: v.string(), name: v.string() })),
            first_publish_year: v.nullable(v.number()),
            ia: v.nullable(v.string()),
            public_scan: v.boolean(),
            has_fulltext: v.boolean(),
            availability: v.exactOptional(v.nullable(v.looseObject({}))),
        }),
    ),
});
export type SubjectAnswer = v.InferInput<typeof subjectAnswer>;

/** A recorded answer of /subjects, as it was recorded. */
export function readSubjectAnswer(file: string): SubjectAnswer {
    const answer: unknown = JSON.parse(readFileSync(file, "utf8"));
    v.assert(subjectAnswer, answer);
    return answer;
}

/** The catalogue that answers /subjects with these works, and an author document for each of their authors. */
export function subjectAnswerRecords(answer: SubjectAnswer): CatalogueRecord[] {
    return withAuthors(
        answer.works.map((item) => ({
            ...present({
                cover_i: item.cover_id,
                cover_edition_key: item.cover_edition_key,
                first_publish_year: item.first_publish_year,
                lending_edition_s: item.lending_edition,
                lending_identifier_s: item.lending_identifier,
            }),
            key: item.key,
            title: item.title,
            edition_count: item.edition_count,
            subject: item.subject,
            ...listed("ia_collection", item.ia_collection),
            ...credits(item.authors),
            ...listed("ia", [item.ia ?? ""]),
            public_scan_b: item.public_scan,
            has_fulltext: item.has_fulltext,
            ...(item.availability === undefined ? {} : { availability: item.availability }),
        })),
    );
}

const searchAnswer = v.looseObject({
    docs: v.array(
        v.looseObject({
            key: v.string(),
            title: v.string(),
            author_key: v.exactOptional(v.array(v.string())),
            author_name: v.exactOptional(v.array(v.string())),
        }),
    ),
});
export type SearchAnswer = v.InferInput<typeof searchAnswer>;

/** A recorded answer of /search.json, as it was recorded. */
export function readSearchAnswer(file: string): SearchAnswer {
    const answer: unknown = JSON.parse(readFileSync(file, "utf8"));
    v.assert(searchAnswer, answer);
    return answer;
}

/** The catalogue that answers /search.json with these documents, and an author document for each of their authors. */
export function searchAnswerRecords(answer: SearchAnswer): CatalogueRecord[] {
    return withAuthors(answer.docs);
}

/** The recorded subject physics, 100 works, from the three CSV files of `folder`/physics. Each has the label "Physics". */
export function physicsRecords(folder: string): CatalogueRecord[] {
    const table = (name: string): Record<string, string>[] => readCsv(join(folder, "physics", name));
    const names = new Map(table("author_data.csv").map((row) => [row.author_key ?? "", row.author_name ?? ""]));
    const authors = new Map<string, { key: string; name: string }[]>();
    for (const { book_key = "", author_key = "" } of table("book_author_data.csv")) {
        const list = authors.get(book_key) ?? [];
        authors.set(book_key, [...list, { key: `/authors/${author_key}`, name: names.get(author_key) ?? "" }]);
    }
    return withAuthors(
        table("book_data.csv").map((row) => ({
            ...present({
                cover_i: numberOf(row.cover_id),
                cover_edition_key: row.cover_edition_key,
                first_publish_year: numberOf(row.first_publish_year),
                lending_edition_s: row.lending_edition,
                lending_identifier_s: row.lending_identifier,
            }),
            key: `/works/${row.book_key}`,
            title: row.title ?? "",
            edition_count: Number(row.edition_count),
            subject: ["Physics"],
            ...listed("ia_collection", row.printdisabled === "True" ? ["printdisabled"] : []),
            ...credits(authors.get(row.book_key ?? "") ?? []),
            ...(row.status === undefined || row.status === "" ? {} : { availability: { status: row.status } }),
        })),
    );
}

function numberOf(cell: string | undefined): number | undefined {
    return cell === undefined || cell === "" ? undefined : Number(cell);
}

/** Without the members that say that something is unknown: null, undefined and "". */
function present(fields: Record<string, unknown>): Record<string, unknown> {
    return Object.fromEntries(
        Object.entries(fields).filter(([, value]) => value !== null && value !== undefined && value !== ""),
    );
}

/** A list that has anything to say: /subjects answered [""] for an empty one until January 2026. */
function listed(name: string, values: readonly string[]): Record<string, string[]> {
    const filled = values.filter((value) => value !== "");
    return filled.length === 0 ? {} : { [name]: filled };
}

function credits(authors: readonly { key: string; name: string }[]): Pick<Work, "author_key" | "author_name"> {
    if (authors.length === 0) return {};
    return {
        author_key: authors.map(({ key }) => key.replace("/authors/", "")),
        author_name: authors.map(({ name }) => name),
    };
}

function withAuthors(works: readonly Work[]): CatalogueRecord[] {
    const documents = new Map<string, CatalogueRecord>();
    for (const { author_key = [], author_name = [] } of works) {
        author_key.forEach((olid, i) => {
            const key = `/authors/${olid}`;
            documents.set(key, { key, type: { key: "/type/author" }, name: author_name[i] ?? "" });
        });
    }
    return [...works, ...documents.values()];
}

/** The rows of a CSV file by the names of its first line. */
function readCsv(file: string): Record<string, string>[] {
    const rows = [...readFileSync(file, "utf8").matchAll(/(?:^|(?<=\n))(?=.)((?:"(?:[^"]|"")*"|[^"\n])*)/g)].map(
        ([line]) => [...line.trimEnd().matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(cellOf),
    );
    const [header = [], ...body] = rows;
    return body.map((row) => Object.fromEntries(header.map((name, i) => [name, row[i] ?? ""])));
}

function cellOf([, quoted, plain]: RegExpExecArray): string {
    return quoted?.replaceAll('""', '"') ?? plain ?? "";
}
