import { readWorks, type WorksPage } from "./answers.ts";
import { type Answer, BadAnswer, type Client } from "./client.ts";

// What the models read, and cover_edition_key to show a cover. Fields that a work lacks are absent from the answer.
const fields = [
    ["key", "title", "subtitle", "author_key", "author_name", "first_publish_year", "publish_year", "edition_count"],
    ["language", "subject", "isbn", "publisher", "number_of_pages_median", "format"],
    ["ratings_average", "ratings_count", "ratings_count_1", "ratings_count_2", "ratings_count_3", "ratings_count_4"],
    ["ratings_count_5", "ratings_sortable", "readinglog_count", "want_to_read_count", "currently_reading_count"],
    ["already_read_count", "ebook_access", "has_fulltext", "public_scan_b", "cover_i", "cover_edition_key", "ia"],
    ["series_key", "series_name", "series_position", "osp_count", "trending_z_score", "ddc", "lcc"],
]
    .flat()
    .join(",");

/** A page without any of the works that its count promises. */
export class EmptyPage extends BadAnswer {}

/** Works whose keys lie between two texts, in the service's order of keys. */
export interface KeyRange {
    /** Exclusive. Default: from the first key on */
    readonly after?: string | undefined;
    /** Inclusive. Default: to the last key */
    readonly upTo?: string | undefined;
}

/** Which works are asked for. */
export interface Question extends KeyRange {
    /** A subject's key. */
    readonly subject: string;
    /** Subjects whose works are left out. */
    readonly without?: readonly string[];
}

export function isRange({ after, upTo }: KeyRange): boolean {
    return after !== undefined || upTo !== undefined;
}

/** Asks how many works there are. */
export function askForCount(client: Client, question: Question): Promise<Answer<WorksPage>> {
    return client.get("/search.json", { q: queryOf(question), fields: "key", limit: "0" }, { read: readWorks });
}

/** Asks for works in the order of their keys; a page that is cut short or out of order is a bad answer. */
export function askForPage(
    client: Client,
    question: Question,
    { limit, offset = 0 }: { limit: number; offset?: number },
): Promise<Answer<WorksPage>> {
    const query = {
        q: queryOf(question),
        sort: "key",
        fields,
        limit: String(limit),
        ...(offset > 0 && { offset: String(offset) }),
    };
    const read = (json: unknown): WorksPage => {
        const page = readWorks(json);
        const due = Math.min(limit, Math.max(0, page.numFound - offset));
        if (page.docs === 0 && due > 0) throw new EmptyPage(`answered 200 with no works where ${due} were due`);
        if (page.docs !== due) throw new BadAnswer(`answered 200 with ${page.docs} works where ${due} were due`);
        if (page.works.some(({ key }, index) => index > 0 && key <= (page.works[index - 1]?.key ?? ""))) {
            throw new BadAnswer("answered 200 with works that are not in the order of their keys");
        }
        return page;
    };
    return client.get("/search.json", query, { read });
}

/** Whether landed parameters asked for a range of keys with an upper end: a range stands last in its query. */
export function hasUpperEnd(parameters: string): boolean {
    return parameters.includes(']"');
}

function queryOf({ subject, without = [], after, upTo }: Question): string {
    const clauses = [`subject_key:"${subject}"`, ...without.map((other) => `NOT subject_key:"${other}"`)];
    if (isRange({ after, upTo })) {
        const from = after === undefined ? "*" : `"${after}"`;
        clauses.push(`key:{${from} TO ${upTo === undefined ? "*}" : `"${upTo}"]`}`);
    }
    return clauses.join(" AND ");
}
