import { messageOf, PipelineError } from "../common/errors.ts";
import { type Earlier, walkAuthors } from "./authors.ts";
import { type Client, isRefusal } from "./client.ts";
import { hasRun, type LandingOptions } from "./landing.ts";
import { loadSpools } from "./load-spools.ts";
import { count, duration, type Progress, type Standing } from "./progress.ts";
import { findDocuments, recallFailedRun } from "./recall.ts";
import { Run, type Subject, type Verdict } from "./run.ts";
import { type RunRow, Spool } from "./spool.ts";
import { countWorks, findMissing, type WalkOptions, walkAgain, walkWorks } from "./walk.ts";

export interface ExtractOptions {
    /** Path of the landing file. Whoever calls holds its extraction lock. */
    readonly landing: string;
    readonly baseUrl: string;
    /** How many works of each subject to stop at. Default: all */
    readonly maxWorks?: number | undefined;
    /** Works of a page. Default: 1000, the most that the service gives */
    readonly pageSize?: number;
    /** For how many days an author document that has landed is not fetched again. Default: 0, which fetches all */
    readonly authorsMaxAge?: number;
    readonly client: Client;
    readonly progress: Progress;
    /** Ends the run, which then is a failed one that the next extraction goes on with. */
    readonly signal?: AbortSignal;
    /** Milliseconds to wait for a landing file that another process holds. Default: 600000 */
    readonly patience?: number;
}

export interface Extraction {
    readonly runId: string;
    readonly status: "complete" | "partial";
    /** Partial only where max_works said so. */
    readonly isStopped: boolean;
    /** A line for each subject, and one for the run. */
    readonly summary: string;
}

/** A run that failed. What it landed is in the landing file, and the next extraction of these subjects goes on with it. */
export class FailedExtraction extends PipelineError {
    /** A line for each subject that has landed all the same. */
    readonly summary: string;

    constructor(problems: readonly string[], options: { summary: string; cause: unknown; exitCode: number }) {
        super(problems.join("\n"), options);
        this.summary = options.summary;
    }
}

/** How a run went: where each subject stands, and what failed, of a subject or of the whole run. */
interface Outcome {
    /** Absent when the run can't go on. */
    readonly verdicts?: ReadonlyMap<string, Verdict>;
    readonly failures: readonly Failure[];
}

interface Failure {
    /** Undefined when it was about the authors of all. */
    readonly subject: Subject | undefined;
    readonly error: unknown;
}

/** A subject's key that nothing is filed under. */
class NoWorks extends PipelineError {}

/**
 * Lands all works of the subjects and the documents of their authors, as a new run or as the rest of one that failed. A
 * work of two subjects lands once. Complete means that of each subject as many distinct works landed as the service
 * counted last.
 * @param subjects keys, each once.
 * @throws FailedExtraction, when a subject could not be landed; the others land all the same while the service answers.
 */
export async function extract(subjects: readonly string[], options: ExtractOptions): Promise<Extraction> {
    const { landing, client } = options;
    const since = performance.now();
    await loadSpools(landing, waitingOptions(options));
    const run = await openRun(subjects, options);
    run.open(new Spool(landing, run.row.run_id), client);
    const { verdicts = new Map<string, Verdict>(), failures } = await land(run, options);
    const status = statusOf(verdicts, failures);
    const message = failures.length === 0 ? null : failures.map(({ error }) => messageOf(error)).join("; ");
    run.close({ status, message, ended_at: new Date().toISOString() }, verdicts);
    const unloaded = await loadSpools(landing, waitingOptions(options)).then(
        () => undefined,
        (error: unknown) => error,
    );
    const lines = run.subjects.flatMap((subject) => lineOf(subject, verdicts.get(subject.key)) ?? []);
    if (status !== "failed") {
        if (unloaded !== undefined) throw unloaded;
        const isStopped =
            status === "partial" &&
            run.subjects.every((each) => verdicts.get(each.key)?.status === "complete" || isStoppedEarly(run, each));
        const summary = [...lines, `extract: ${status}: ${figures(run, since)}`].join("\n");
        return { runId: run.row.run_id, status, isStopped, summary };
    }
    const bug = failures.find(({ error }) => !(error instanceof PipelineError));
    if (bug !== undefined) throw bug.error;
    const problems = failures.map((failure) => problemOf(run, failure));
    if (unloaded !== undefined) problems.push(messageOf(unloaded));
    const exitCode = Math.max(...failures.map(({ error }) => (error instanceof PipelineError ? error.exitCode : 1)));
    throw new FailedExtraction(problems, { summary: lines.join("\n"), cause: failures[0]?.error, exitCode });
}

/** The failed run that this extraction goes on with, or a new one. */
async function openRun(subjects: readonly string[], options: ExtractOptions): Promise<Run> {
    const { landing, baseUrl, maxWorks, progress } = options;
    const same = { base_url: baseUrl, max_works: maxWorks ?? null };
    const begin = (row: RunRow, requests: number): Run => new Run(row, { subjects, requests });
    const before = await recallFailedRun(landing, same, { ...waitingOptions(options), subjects, begin });
    if (before !== undefined) {
        const { works_landed } = before.totals;
        progress.say(`going on with run ${before.row.run_id}, which has landed ${count(works_landed)} works`);
        return before;
    }
    const startedAt = new Date().toISOString();
    const name = `${startedAt.replace(/[-:]|\.\d+/g, "")}-${[...(subjects[0] ?? "")].slice(0, 60).join("")}`;
    let runId = name;
    for (let n = 2; await hasRun(landing, runId, waitingOptions(options)); n++) runId = `${name}-${n}`;
    return new Run({ run_id: runId, ...same, started_at: startedAt }, { subjects });
}

/** Lands what the service gives: the works of one subject after the other, then the authors of all of them. */
async function land(run: Run, options: ExtractOptions): Promise<Outcome> {
    const { client, progress, pageSize } = options;
    const messages = new Map<string, string[]>();
    const failures: Failure[] = [];
    const whole: Subject[] = [];
    const attempt = async (subject: Subject, work: (options: WalkOptions) => Promise<void>): Promise<boolean> => {
        const note = (text: string): void => {
            messages.set(subject.key, [...(messages.get(subject.key) ?? []), text]);
            progress.say(text);
        };
        // Works that have landed with a subject that is whole need not come again.
        const without = run.subjects.filter((other) => other !== subject && isWhole(other)).map(({ key }) => key);
        const unfollow = progress.follow(`extract ${subject.key}`, () => worksStanding(run, subject, client));
        try {
            await work({ without: fitting(without), pageSize, note });
            return true;
        } catch (error) {
            failures.push({ subject, error });
            return isRefusal(error) || error instanceof NoWorks;
        } finally {
            unfollow();
        }
    };
    for (const subject of run.subjects) {
        if (!(await attempt(subject, (options) => landWorks(run, subject, client, options)))) return { failures };
        if (isWhole(subject)) whole.push(subject);
    }
    // The pages of a later subject may have brought works of an earlier one that were not there when it was counted.
    for (const subject of whole.filter((each) => !isWhole(each))) {
        if (!(await attempt(subject, (options) => settle(run, subject, client, options)))) return { failures };
    }
    if (failures.length < run.subjects.length) {
        const unfollow = progress.follow("extract", () => authorsStanding(run, client));
        try {
            await walkAuthors(run, client, await earlierDocuments(options));
        } catch (error) {
            return { failures: [...failures, { subject: undefined, error }] };
        } finally {
            unfollow();
        }
    }
    const verdicts = run.subjects.map((subject): [string, Verdict] => {
        const failure = failures.find((each) => each.subject === subject);
        if (failure !== undefined) return [subject.key, { status: "failed", message: messageOf(failure.error) }];
        const reason = reasonOf(run, subject);
        const texts = [reason, ...(messages.get(subject.key) ?? [])].filter((text) => text !== undefined);
        const message = texts.length === 0 ? null : texts.join("; ");
        return [subject.key, { status: reason === undefined ? "complete" : "partial", message }];
    });
    return { verdicts: new Map(verdicts), failures };
}

function earlierDocuments(options: ExtractOptions): Promise<Earlier> {
    const { landing, baseUrl, authorsMaxAge = 0 } = options;
    const since = new Date(Date.now() - authorsMaxAge * 86_400_000);
    return findDocuments(landing, { base_url: baseUrl, since }, waitingOptions(options));
}

/** Lands the works of a subject. @throws NoWorks */
async function landWorks(run: Run, subject: Subject, client: Client, options: WalkOptions): Promise<void> {
    await countWorks(run, subject, client);
    if (subject.numFound === 0) {
        throw new NoWorks(
            `there are no works of the subject "${subject.key}"; a subject's key is the last part of its page's ` +
                `address, as in ${run.row.base_url}/subjects/science_fiction`,
        );
    }
    // So it is when a run goes on that has all works. Those that came with other subjects prove nothing: one of them may be
    // gone since, and stand for one that never came.
    if (subject.walked.size === subject.numFound) return;
    await walkWorks(run, subject, client, options);
    if (!isStoppedEarly(run, subject)) await settle(run, subject, client, options);
}

/** Compares what has landed with what the service counts now, and looks for what is missing. */
async function settle(run: Run, subject: Subject, client: Client, options: WalkOptions): Promise<void> {
    await countWorks(run, subject, client);
    if (isWhole(subject)) return;
    const gone = await findMissing(run, subject, client, options);
    if (gone.length > 0) options.note(`the service has no longer ${few(gone)}`);
    await countWorks(run, subject, client);
    if ((subject.numFound ?? 0) <= subject.works.size) return;
    await walkAgain(run, subject, client, options);
    await countWorks(run, subject, client);
}

/** Why a subject is not complete; undefined when it is. */
function reasonOf(run: Run, subject: Subject): string | undefined {
    const found = subject.numFound ?? 0;
    if (isStoppedEarly(run, subject)) {
        return `stopped at --max-works ${count(run.row.max_works ?? 0)} of ${count(found)}`;
    }
    const missing = found - subject.works.size;
    if (missing === 0) return undefined;
    if (missing > 0) return `${count(missing)} of the counted works were not found in two walks`;
    return `${count(-missing)} of the landed works are not counted any more`;
}

function isWhole({ works, numFound }: Subject): boolean {
    return works.size === numFound;
}

/** Stopped by max_works, that is, with works left. */
function isStoppedEarly({ row }: Run, { numFound }: Subject): boolean {
    return row.max_works !== null && row.max_works < (numFound ?? 0);
}

/** As many as a query's URL has room for: the service takes 8,000 bytes, and the fields and the encoding need most. */
function fitting(subjects: readonly string[]): string[] {
    let room = 3000;
    return subjects.filter((subject) => {
        room -= encodeURIComponent(` AND NOT subject_key:"${subject}"`).length;
        return room >= 0;
    });
}

function statusOf(
    verdicts: ReadonlyMap<string, Verdict>,
    failures: readonly Failure[],
): "complete" | "partial" | "failed" {
    if (failures.length > 0) return "failed";
    return [...verdicts.values()].some(({ status }) => status === "partial") ? "partial" : "complete";
}

/** One sentence on a failure, and one on what has landed in spite of it. */
function problemOf(run: Run, { subject, error }: Failure): string {
    const parts = [messageOf(error)];
    if (subject === undefined) {
        parts.push(`${count(run.totals.works_landed)} works are landed; run again to go on`);
    } else if (subject.numFound !== 0 && (subject.numFound !== null || subject.works.size > 0)) {
        const total = subject.numFound === null ? "" : ` of ${count(subject.numFound)}`;
        parts.push(`${count(subject.works.size)}${total} works are landed; run again to go on`);
    }
    const text = parts.map((part) => part.replace(/\.?$/, ".")).join(" ");
    return `extract${subject === undefined ? "" : ` ${subject.key}`}: ${text}`;
}

/** A subject in one line; none for one that failed. */
function lineOf({ key, works, numFound }: Subject, verdict: Verdict | undefined): string | undefined {
    if (verdict === undefined || verdict.status === "failed") return undefined;
    const tail = verdict.message === null ? "" : `: ${verdict.message}`;
    return `extract ${key}: ${verdict.status}: ${count(works.size)} works of ${count(numFound ?? 0)}${tail}`;
}

function worksStanding(run: Run, { works, numFound }: Subject, { requests }: Client): Standing | undefined {
    if (numFound === null || numFound === 0) return undefined;
    return { what: "works", done: works.size, total: Math.min(numFound, run.row.max_works ?? numFound), requests };
}

function authorsStanding({ asked, authors }: Run, { requests }: Client): Standing {
    return { what: "authors", done: asked.size, total: Math.max(asked.size, authors.size), requests };
}

function figures({ row, totals }: Run, since: number): string {
    const seconds = (performance.now() - since) / 1000;
    const reused = totals.authors_reused > 0 ? ` (${count(totals.authors_reused)} of earlier runs)` : "";
    return (
        `${count(totals.works_landed)} works and ${count(totals.authors_landed)} author documents${reused} in ` +
        `${count(totals.requests)} requests, ${duration(seconds)}, run ${row.run_id}`
    );
}

function few(keys: readonly string[]): string {
    return keys.length <= 5 ? keys.join(", ") : `${keys.slice(0, 5).join(", ")} and ${count(keys.length - 5)} more`;
}

function waitingOptions({ progress, signal, patience }: ExtractOptions): LandingOptions {
    return {
        say: (line) => progress.say(line),
        ...(signal && { signal }),
        ...(patience !== undefined && { patience }),
    };
}
