import { messageOf, PipelineError } from "../common/errors.ts";
import { walkAuthors } from "./authors.ts";
import type { Client } from "./client.ts";
import { hasRun, type LandingOptions, loadSpools, recallFailedRun } from "./landing.ts";
import { count, duration, type Progress, type Standing } from "./progress.ts";
import { Run } from "./run.ts";
import { countWorks, walkWorks } from "./search.ts";
import { type RunRow, Spool } from "./spool.ts";

export interface ExtractOptions {
    /** Path of the landing file. Whoever calls holds its extraction lock. */
    readonly landing: string;
    readonly baseUrl: string;
    /** How many works to stop at. Default: all */
    readonly maxWorks?: number | undefined;
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
    /** Partial because max_works said so. */
    readonly isStopped: boolean;
    /** The run in one line. */
    readonly summary: string;
}

/**
 * Lands all works of a subject and the documents of their authors, as a new run or as the rest of one that failed.
 * Complete means that as many distinct works landed as the service counted last.
 * @throws PipelineError when the run failed. What it landed is in the landing file, and the next extraction goes on.
 */
export async function extract(subject: string, options: ExtractOptions): Promise<Extraction> {
    try {
        return await land(subject, options);
    } catch (error) {
        if (!(error instanceof PipelineError)) throw error;
        const { message, exitCode } = error;
        throw new PipelineError(`extract ${subject}: ${message}`, { cause: error, exitCode });
    }
}

async function land(subject: string, options: ExtractOptions): Promise<Extraction> {
    const { landing, client, progress } = options;
    const since = performance.now();
    await loadSpools(landing, waitingOptions(options));
    const run = await openRun(subject, options);
    run.open(new Spool(landing, run.row.run_id), client);
    const notes: string[] = [];
    const note = (text: string): void => {
        notes.push(text);
        progress.say(text);
    };
    let what: Standing["what"] = "works";
    const unfollow = progress.follow(`extract ${subject}`, () => standing(run, client, what));
    try {
        await landWorks(run, client, note);
        what = "authors";
        await walkAuthors(run, client);
    } catch (error) {
        unfollow();
        throw await failed(run, error, options);
    }
    unfollow();
    const verdict = judge(run);
    const message = [verdict.reason, ...notes].filter((text) => text !== undefined).join("; ");
    run.close({ status: verdict.status, message: message === "" ? null : message, ended_at: new Date().toISOString() });
    await loadSpools(landing, waitingOptions(options));
    const tail = verdict.status === "partial" ? `: ${message}` : "";
    const summary = `extract ${subject}: ${verdict.status}: ${figures(run, since)}, run ${run.row.run_id}${tail}`;
    return { runId: run.row.run_id, status: verdict.status, isStopped: isStopped(run), summary };
}

/** The failed run that this extraction goes on with, or a new one. */
async function openRun(subject: string, options: ExtractOptions): Promise<Run> {
    const { landing, baseUrl, maxWorks, progress } = options;
    const same = { subject, base_url: baseUrl, max_works: maxWorks ?? null };
    const begin = (row: RunRow, requests: number): Run => new Run(row, requests);
    const before = await recallFailedRun(landing, same, { ...waitingOptions(options), begin });
    if (before !== undefined) {
        progress.say(`going on with run ${before.row.run_id}, which has landed ${count(before.works.size)} works`);
        return before;
    }
    const startedAt = new Date().toISOString();
    const name = `${startedAt.replace(/[-:]|\.\d+/g, "")}-${subject.slice(0, 60)}`;
    let runId = name;
    for (let n = 2; await hasRun(landing, runId, waitingOptions(options)); n++) runId = `${name}-${n}`;
    return new Run({ run_id: runId, ...same, started_at: startedAt });
}

async function landWorks(run: Run, client: Client, note: (text: string) => void): Promise<void> {
    await countWorks(run, client);
    if (run.numFound === 0) {
        throw new PipelineError(
            `there are no works of the subject "${run.row.subject}"; a subject's key is the last part of its page's ` +
                `address, as in ${run.row.base_url}/subjects/science_fiction`,
        );
    }
    await walkWorks(run, client, { after: run.lastWork, before: run.works.size, note });
    if (isStopped(run)) return;
    await countWorks(run, client);
    if (run.works.size === run.numFound) return;
    // Works that came behind the walk's back are seen by another walk only.
    await walkWorks(run, client, { note });
    await countWorks(run, client);
}

/** Stopped by max_works, that is, with works left. */
function isStopped(run: Run): boolean {
    return run.row.max_works !== null && run.row.max_works < (run.numFound ?? 0);
}

function judge(run: Run): { readonly status: "complete" | "partial"; readonly reason?: string } {
    const found = run.numFound ?? 0;
    const missing = found - run.works.size;
    if (isStopped(run)) {
        return {
            status: "partial",
            reason: `stopped at --max-works ${count(run.row.max_works ?? 0)} of ${count(found)}`,
        };
    }
    if (missing === 0) return { status: "complete" };
    const reason =
        missing > 0
            ? `${count(missing)} of the counted works were not found in two walks`
            : `${count(-missing)} of the landed works are not counted any more`;
    return { status: "partial", reason };
}

/** Ends a run that can't go on, and returns the error that tells so: a bug as it is, all else in one sentence. */
async function failed(run: Run, error: unknown, options: ExtractOptions): Promise<unknown> {
    run.close({ status: "failed", message: messageOf(error), ended_at: new Date().toISOString() });
    const problems = [messageOf(error)];
    if (run.numFound !== 0 && (run.numFound !== null || run.works.size > 0)) {
        const total = run.numFound === null ? "" : ` of ${count(run.numFound)}`;
        problems.push(`${count(run.works.size)}${total} works are landed; run again to go on`);
    }
    try {
        await loadSpools(options.landing, waitingOptions(options));
    } catch (loadError) {
        problems.push(messageOf(loadError));
    }
    if (!(error instanceof PipelineError)) return error;
    const text = problems.map((problem) => problem.replace(/\.?$/, ".")).join(" ");
    return new PipelineError(text, { cause: error, exitCode: error.exitCode });
}

function standing(run: Run, client: Client, what: Standing["what"]): Standing | undefined {
    const { requests } = client;
    if (run.numFound === null || run.numFound === 0) return undefined;
    if (what === "authors")
        return { what, done: run.asked.size, total: Math.max(run.asked.size, run.authors.size), requests };
    const total = Math.min(run.numFound, run.row.max_works ?? run.numFound);
    return { what, done: run.works.size, total, requests };
}

function figures(run: Run, since: number): string {
    const { num_found, works_landed, authors_landed, requests } = run.totals;
    const seconds = (performance.now() - since) / 1000;
    return (
        `${count(works_landed)} works of ${count(num_found ?? 0)} and ${count(authors_landed)} author documents in ` +
        `${count(requests)} requests, ${duration(seconds)}`
    );
}

function waitingOptions({ progress, signal, patience }: ExtractOptions): LandingOptions {
    return {
        say: (line) => progress.say(line),
        ...(signal && { signal }),
        ...(patience !== undefined && { patience }),
    };
}
