import { PipelineError } from "../common/errors.ts";
import { readWorks, type WorksPage } from "./answers.ts";
import { type Answer, BadAnswer, type Client, isRefusal } from "./client.ts";
import type { Run } from "./run.ts";

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

/** The most that one request may ask for. */
const pageSize = 1000;

/**
 * The key under which Open Library files a subject that a person has typed: "Fiction, general" is "fiction_general".
 * Source: openlibrary/utils/__init__.py, normalize_subject_name.
 * @throws PipelineError for what is not a plain subject.
 */
export function subjectKey(typed: string): string {
    if (/^(person|place|time):/i.test(typed.trim())) {
        throw new PipelineError(`"${typed}" is not a plain subject: people, places and times can't be extracted`);
    }
    const key = typed
        .trim()
        .toLowerCase()
        .replace(/[;/?:@&=+$,<>#%"{}|\\^[\]`\n\r]/g, "")
        .replaceAll(" ", "_");
    if (key === "") throw new PipelineError(`"${typed}" holds nothing that a subject's key is made of`);
    return key;
}

/** Asks how many works the subject has, and lands the answer as a page without works. */
export async function countWorks(run: Run, client: Client): Promise<void> {
    const query = { q: ofSubject(run), fields: "key", limit: "0" };
    const answer = await client.get("/search.json", query, { read: readWorks });
    run.landWorks(answer);
    run.numFound = answer.value.numFound;
}

export interface WalkOptions {
    /** The key after which to begin. Default: at the first work */
    readonly after?: string | undefined;
    /** How many works lie up to there. Default: 0 */
    readonly before?: number;
    /** Told when another way of asking is taken. */
    readonly note: (text: string) => void;
}

/**
 * Lands the subject's works page by page in the order of their keys, up to the run's max_works.
 *
 * A page is asked for by the key after which it begins, so that works which come and go meanwhile can't shift it. Nobody
 * has documented that the service can do this; where it can't, the rest is asked for by offset. A page whose count does
 * not fit the one before it is asked for again, and then believed: the catalogue changes while it is read, and the count
 * after the walk decides whether all is there.
 * @throws RequestError when a page can't be had whole and in order.
 */
export async function walkWorks(run: Run, client: Client, { after, before = 0, note }: WalkOptions): Promise<void> {
    let byOffset = false;
    for (;;) {
        const limit = Math.min(pageSize, (run.row.max_works ?? Number.POSITIVE_INFINITY) - before);
        if (limit <= 0) return;
        const range = byOffset ? undefined : after;
        const ask = (): Promise<Answer<WorksPage>> => askForPage(run, client, { after: range, before, limit });
        const total = ({ value }: Answer<WorksPage>): number => value.numFound + (range === undefined ? 0 : before);
        let answer: Answer<WorksPage>;
        try {
            answer = await ask();
            if (total(answer) !== run.numFound) answer = await ask();
        } catch (error) {
            if (range === undefined || !isRefusal(error)) throw error;
            note(`the service refuses a range of keys (${error.status}); the rest was asked for by offset`);
            byOffset = true;
            continue;
        }
        const page = answer.value;
        const fault = range === undefined ? undefined : rangeFault(page, range, (run.numFound ?? 0) - before);
        if (fault !== undefined) {
            note(`${fault}; the rest was asked for by offset`);
            byOffset = true;
            continue;
        }
        run.landWorks(answer);
        run.numFound = total(answer);
        before += page.docs;
        after = page.works.at(-1);
        if (before >= run.numFound) return;
    }
}

/** Asks for the works of a range of keys or, without one, from an offset. */
function askForPage(
    run: Run,
    client: Client,
    { after, before, limit }: { after: string | undefined; before: number; limit: number },
): Promise<Answer<WorksPage>> {
    const query = {
        q: after === undefined ? ofSubject(run) : `${ofSubject(run)} AND key:{"${after}" TO *}`,
        sort: "key",
        fields,
        limit: String(limit),
        ...(after === undefined && before > 0 && { offset: String(before) }),
    };
    const read = (json: unknown): WorksPage => {
        const page = readWorks(json);
        const due = Math.min(limit, Math.max(0, page.numFound - (after === undefined ? before : 0)));
        if (page.docs !== due) throw new BadAnswer(`answered 200 with ${page.docs} works where ${due} were due`);
        if (page.works.some((key, index) => index > 0 && key <= (page.works[index - 1] ?? ""))) {
            throw new BadAnswer("answered 200 with works that are not in the order of their keys");
        }
        return page;
    };
    return client.get("/search.json", query, { read });
}

function rangeFault(page: WorksPage, after: string, left: number): string | undefined {
    if (page.works.some((key) => key <= after)) return "the service ignores a range of keys";
    if (page.docs === 0 && left > 0) return "a range of keys found nothing although works were left";
    return undefined;
}

function ofSubject(run: Run): string {
    return `subject_key:"${run.row.subject}"`;
}
