import { inParallel } from "../common/parallel.ts";
import type { WorksPage } from "./answers.ts";
import { type Answer, type Client, isRefusal, RequestError } from "./client.ts";
import type { Run, Subject } from "./run.ts";
import { askForCount, askForPage, EmptyPage, isRange, type KeyRange } from "./search.ts";

/** The most that one request may ask for, and what is asked for when the service fails on that. */
const pageSizes = { whole: 1000, small: 100 };
/** A subject of more pages than this is walked in key ranges, some at once. */
const manyPages = 10;
const rangesAtOnce = 3;

/** Keys are "/works/OL", digits and a letter: by their first digit they fall into nine ranges. */
const firstDigits: readonly KeyRange[] = Array.from({ length: 9 }, (_, index) => ({
    after: index === 0 ? undefined : `/works/OL${index + 1}`,
    upTo: index === 8 ? undefined : `/works/OL${index + 2}`,
}));

export interface WalkOptions {
    /** Subjects of which every work has landed: their works are not asked for again. */
    readonly without?: readonly string[];
    /** Works of a page. Default: 1000, the most that the service gives */
    readonly pageSize?: number | undefined;
    /** Told when another way of asking is taken. */
    readonly note: (text: string) => void;
}

/** What a walk is about. */
interface Walk extends WalkOptions {
    readonly run: Run;
    readonly subject: Subject;
    readonly client: Client;
}

/** The service can't give the works of a key range, or not reliably. */
class NoRanges extends Error {}

/** Asks how many works the subject has, and lands the answer as a page without works. */
export async function countWorks(run: Run, subject: Subject, client: Client): Promise<void> {
    const answer = await askForCount(client, { subject: subject.key });
    run.landWorks(subject, answer, answer.value.numFound);
}

/**
 * Lands the subject's works page by page in the order of their keys, up to the run's max_works; after what has landed of
 * them before.
 *
 * A page is asked for by the key after which it begins, so that works which come and go meanwhile can't shift it. Nobody
 * has documented that the service can do this; where it can't, the rest is asked for by offset. A page whose count does
 * not fit the one before it is asked for again, and then believed: the catalogue changes while it is read, and the count
 * after the walk decides whether all is there.
 * @throws RequestError when a page can't be had whole and in order.
 */
export async function walkWorks(run: Run, subject: Subject, client: Client, options: WalkOptions): Promise<void> {
    const walk: Walk = { ...options, run, subject, client };
    const pages = (subject.numFound ?? 0) / (options.pageSize ?? pageSizes.whole);
    const inRanges = subject.wasSplit || (run.row.max_works === null && pages > manyPages);
    try {
        if (!inRanges) {
            await walkRange(walk, {});
            return;
        }
        await inParallel(firstDigits, rangesAtOnce, (range) => walkRange(walk, range));
        if (subject.walked.size === 0 && subject.works.size < (subject.numFound ?? 0)) throw foundNothing();
    } catch (error) {
        if (!(error instanceof NoRanges)) throw error;
        options.note(`${error.message}; the rest was asked for by offset`);
        await walkByOffset(walk, inRanges ? 0 : subject.walked.size);
    }
}

/**
 * Looks for works that the walk has missed, as works that came behind its back: ranges between landed keys are counted,
 * halved while their count differs from what has landed, and asked for again when they fit one page.
 * Returns the landed works that the service has no longer; nothing is found where it can't count ranges.
 */
export async function findMissing(
    run: Run,
    subject: Subject,
    client: Client,
    options: WalkOptions,
): Promise<readonly string[]> {
    const walk: Walk = { ...options, without: [], run, subject, client };
    const pageSize = options.pageSize ?? pageSizes.whole;
    const gone: string[] = [];
    const search = async (range: KeyRange, landed: readonly string[]): Promise<void> => {
        const counted = isRange(range) ? await countRange(walk, range) : (subject.numFound ?? 0);
        if (counted === landed.length) return;
        if (counted <= pageSize && landed.length <= pageSize) {
            const answer = await askInRange(walk, range, pageSize);
            run.landWorks(subject, answer);
            const found = new Set(answer.value.works.map(({ key }) => key));
            gone.push(...landed.filter((key) => !found.has(key)));
            return;
        }
        const middle = landed[Math.floor(landed.length / 2) - 1];
        // Where nothing has landed, there is nothing to halve.
        if (middle === undefined) return walkRange(walk, range);
        await search({ ...range, upTo: middle }, landed.slice(0, Math.floor(landed.length / 2)));
        await search({ ...range, after: middle }, landed.slice(Math.floor(landed.length / 2)));
    };
    try {
        await search({}, [...subject.works].sort());
        return gone;
    } catch (error) {
        if (!(error instanceof NoRanges)) throw error;
        return [];
    }
}

/** Lands all the subject's works by offset from the first one on: another way than the walk's, to be sure. */
export function walkAgain(run: Run, subject: Subject, client: Client, options: WalkOptions): Promise<void> {
    return walkByOffset({ ...options, without: [], run, subject, client }, 0);
}

async function walkRange(walk: Walk, range: KeyRange): Promise<void> {
    const { run, subject } = walk;
    let { after, landed } = landedIn(subject, range);
    // Only the first page of a walk without ranges has a count that is known beforehand.
    let total = isRange(range) || isWithout(walk) ? undefined : (subject.numFound ?? undefined);
    for (;;) {
        const limit = limitOf(walk, landed);
        if (limit <= 0) return;
        const rest = { after: after ?? range.after, upTo: range.upTo };
        const ask = (): Promise<Answer<WorksPage>> => askInRange(walk, rest, limit);
        let answer = await ask();
        if (total !== undefined && answer.value.numFound + landed !== total) answer = await ask();
        const { docs, numFound, works } = answer.value;
        if (docs === 0 && total !== undefined && total > landed && isRange(rest)) throw foundNothing();
        total = numFound + landed;
        run.landWorks(subject, answer, isRange(range) || isWithout(walk) ? subject.numFound : total);
        landed += docs;
        after = works.at(-1)?.key ?? after;
        if (docs >= numFound) return;
    }
}

async function walkByOffset(walk: Walk, from: number): Promise<void> {
    const { run, subject, client, without = [] } = walk;
    let before = from;
    for (;;) {
        const limit = limitOf(walk, before);
        if (limit <= 0) return;
        let answer: Answer<WorksPage>;
        try {
            answer = await inSmallerPages(limit, (size) =>
                askForPage(client, { subject: subject.key, without }, { limit: size, offset: before }),
            );
        } catch (error) {
            if (!(error instanceof RequestError && error.cause instanceof EmptyPage)) throw error;
            walk.note(`the service has no works after the first ${before}, although it counts more`);
            return;
        }
        run.landWorks(subject, answer, isWithout(walk) ? subject.numFound : answer.value.numFound);
        before += answer.value.docs;
        if (before >= answer.value.numFound) return;
    }
}

/** @throws NoRanges when the service refuses the range or answers with works outside of it. */
async function askInRange(walk: Walk, range: KeyRange, limit: number): Promise<Answer<WorksPage>> {
    const question = { subject: walk.subject.key, without: walk.without ?? [], ...range };
    const answer = await withRange(range, () =>
        inSmallerPages(limit, (size) => askForPage(walk.client, question, { limit: size })),
    );
    const { after = "", upTo = "~" } = range;
    if (answer.value.works.some(({ key }) => key <= after || key > upTo)) {
        throw new NoRanges("the service ignores a range of keys");
    }
    return answer;
}

async function countRange({ run, subject, client }: Walk, range: KeyRange): Promise<number> {
    const answer = await withRange(range, () => askForCount(client, { subject: subject.key, ...range }));
    run.landWorks(subject, answer);
    return answer.value.numFound;
}

/** @throws NoRanges when the service refuses. */
async function withRange<T>(range: KeyRange, ask: () => Promise<T>): Promise<T> {
    try {
        return await ask();
    } catch (error) {
        // What is down is down for every question.
        if (!isRange(range) || !isRefusal(error) || [502, 503, 504].includes(error.status)) throw error;
        throw new NoRanges(`the service refuses a range of keys (${error.status})`);
    }
}

/** A page that the service fails on may be too much for it: its search engine has ten seconds for each. */
async function inSmallerPages<T>(limit: number, ask: (limit: number) => Promise<T>): Promise<T> {
    try {
        return await ask(limit);
    } catch (error) {
        const isTooMuch = error instanceof RequestError && [200, 500, 502, 503, 504].includes(error.status ?? 0);
        if (!isTooMuch || limit <= pageSizes.small) throw error;
        return ask(pageSizes.small);
    }
}

/** How many works the next page is for, with `landed` before it. */
function limitOf({ run, pageSize = pageSizes.whole }: Walk, landed: number): number {
    return Math.min(pageSize, (run.row.max_works ?? Number.POSITIVE_INFINITY) - landed);
}

/** A walk lands a range from its beginning on: what it has of it, and the last key of that. */
function landedIn(subject: Subject, { after = "", upTo = "~" }: KeyRange): { after?: string; landed: number } {
    let last: string | undefined;
    let landed = 0;
    for (const key of subject.walked) {
        if (key <= after || key > upTo) continue;
        landed++;
        if (last === undefined || key > last) last = key;
    }
    return last === undefined ? { landed } : { after: last, landed };
}

function isWithout({ without = [] }: Walk): boolean {
    return without.length > 0;
}

function foundNothing(): NoRanges {
    return new NoRanges("a range of keys found nothing although works were left");
}
