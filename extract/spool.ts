import {
    appendFileSync,
    closeSync,
    createReadStream,
    existsSync,
    fdatasyncSync,
    fstatSync,
    fsyncSync,
    ftruncateSync,
    mkdirSync,
    openSync,
    readdirSync,
    readSync,
    statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import { messageOf, PipelineError, systemCode } from "../common/errors.ts";

const number = v.pipe(v.number(), v.safeInteger());

// The rows are those of the landing's tables, column for column.
const runRow = v.strictObject({
    run_id: v.string(),
    base_url: v.string(),
    max_works: v.nullable(number),
    started_at: v.string(),
});
const subjectRow = v.strictObject({
    subject: v.string(),
    status: v.picklist(["complete", "partial", "failed"]),
    message: v.nullable(v.string()),
    num_found: v.nullable(number),
    works_landed: number,
});
const searchPageRow = v.strictObject({
    run_id: v.string(),
    page_number: number,
    subject: v.string(),
    url: v.string(),
    parameters: v.string(),
    http_status: number,
    fetched_at: v.string(),
    num_found: number,
    docs: number,
    body_sha256: v.string(),
    body: v.string(),
});
const authorPageRow = v.strictObject({
    run_id: v.string(),
    page_number: number,
    route: v.picklist(["get_many", "author"]),
    url: v.string(),
    parameters: v.string(),
    http_status: number,
    fetched_at: v.string(),
    documents: number,
    body_sha256: v.string(),
    body: v.string(),
});
const reusedPage = v.strictObject({
    page_run_id: v.string(),
    page_number: number,
    author_keys: v.array(v.string()),
});
const misfits = v.array(v.strictObject({ position: number, reason: v.string(), body: v.string() }));
const totals = v.strictObject({
    works_landed: number,
    authors_wanted: number,
    authors_landed: number,
    authors_reused: number,
    pages_landed: number,
    rows_quarantined: number,
    requests: number,
});
const end = v.strictObject({
    status: v.picklist(["complete", "partial", "failed"]),
    message: v.nullable(v.string()),
    ended_at: v.string(),
});
const record = v.variant("kind", [
    v.strictObject({ kind: v.literal("run"), row: runRow, subjects: v.array(subjectRow), totals }),
    v.strictObject({ kind: v.literal("search_pages"), row: searchPageRow, misfits, standing: subjectRow, totals }),
    v.strictObject({ kind: v.literal("author_pages"), row: authorPageRow, misfits, totals }),
    v.strictObject({ kind: v.literal("reused_authors"), run_id: v.string(), pages: v.array(reusedPage), totals }),
    v.strictObject({ kind: v.literal("end"), row: end, subjects: v.array(subjectRow), totals }),
]);

/** The first line of a spool of version 0.1, in which each run had one subject. */
const oldRecord = v.object({ kind: v.literal("run"), row: v.object({ subject: v.string() }) });

export type RunRow = v.InferOutput<typeof runRow>;
export type SubjectRow = v.InferOutput<typeof subjectRow>;
export type SearchPageRow = v.InferOutput<typeof searchPageRow>;
export type AuthorPageRow = v.InferOutput<typeof authorPageRow>;
/** A page of an earlier run, and the authors whose documents on it are reused. */
export type ReusedPage = v.InferOutput<typeof reusedPage>;
export type Totals = v.InferOutput<typeof totals>;
export type EndRow = v.InferOutput<typeof end>;
/** One line of a spool. Each carries the run's totals as they were with it, and a page of works those of its subject. */
export type SpoolRecord = v.InferOutput<typeof record>;

/** `data/landing.duckdb.spool`: where answers wait for the landing file. */
export function spoolFolder(landing: string): string {
    return `${landing}.spool`;
}

/** The spools that wait beside a landing file, oldest run first. */
export function waitingSpools(landing: string): string[] {
    if (!existsSync(spoolFolder(landing))) return [];
    return readdirSync(spoolFolder(landing))
        .filter((name) => name.endsWith(".ndjson"))
        .sort()
        .map((name) => join(spoolFolder(landing), name));
}

/** What a spool tells without being read through. */
export interface SpoolGlance {
    readonly runId: string;
    readonly bytes: number;
    readonly modifiedAt: Date;
    /** Undefined when the process was killed before its first line was whole. */
    readonly start: { readonly row: RunRow; readonly subjects: readonly string[] } | undefined;
    /** The run's totals as of the last line that is whole. */
    readonly totals: Totals | undefined;
}

const startRecord = v.object({ row: runRow, subjects: v.array(v.object({ subject: v.string() })) });

/** Looks at the two ends of a spool, which may be written to meanwhile. Undefined when it is gone. */
export function glanceAt(path: string): SpoolGlance | undefined {
    let file: number;
    try {
        file = openSync(path, "r");
    } catch (error) {
        if (systemCode(error) === "ENOENT") return undefined;
        throw error;
    }
    try {
        const { size, mtime } = fstatSync(file);
        const [first = ""] = textAt(file, 0).split("\n");
        const start = v.safeParse(startRecord, parse(first));
        const end = textAt(file, Math.max(0, size - glanceBytes));
        // Nothing comes after a record's totals, and in a body the quotation marks would be escaped.
        const last = end.slice(0, end.lastIndexOf("\n"));
        const read = v.safeParse(totals, parse(last.slice(last.lastIndexOf('"totals":') + '"totals":'.length, -1)));
        return {
            runId: basename(path, ".ndjson"),
            bytes: size,
            modifiedAt: mtime,
            start: start.success
                ? { row: start.output.row, subjects: start.output.subjects.map(({ subject }) => subject) }
                : undefined,
            totals: read.success ? read.output : undefined,
        };
    } finally {
        closeSync(file);
    }
}

const glanceBytes = 65_536;

function textAt(file: number, position: number): string {
    const bytes = Buffer.alloc(glanceBytes);
    return bytes.toString("utf8", 0, readSync(file, bytes, 0, glanceBytes, position));
}

/** The journal of one run: an answer is on the disk before `append` returns. */
export class Spool {
    readonly path: string;
    readonly #file: number;
    /** Why nothing more can go in. */
    #broken: PipelineError | undefined;

    constructor(landing: string, runId: string) {
        this.path = join(spoolFolder(landing), `${runId}.ndjson`);
        mkdirSync(dirname(this.path), { recursive: true });
        this.#file = openSync(this.path, "ax");
        // A new file survives a power cut only with its folder's entry.
        const folder = openSync(dirname(this.path), "r");
        fsyncSync(folder);
        closeSync(folder);
    }

    /** @throws PipelineError when the disk is full, or the file is no longer this run's; from then on, always. */
    append(entry: SpoolRecord): void {
        if (this.#broken !== undefined) throw this.#broken;
        const { size, ino } = fstatSync(this.#file);
        try {
            if (statSync(this.path, { throwIfNoEntry: false })?.ino !== ino) throw new Error("another took it away");
            appendFileSync(this.#file, `${JSON.stringify(entry)}\n`);
            fdatasyncSync(this.#file);
        } catch (error) {
            const text = `${this.path} can't be written: ${messageOf(error)}. Run again to go on from what is in it.`;
            this.#broken = new PipelineError(text, { cause: error });
            // Behind half a line nothing would be read: who reads it would take it for another's file.
            ftruncateSync(this.#file, size);
            throw this.#broken;
        }
    }

    close(): void {
        closeSync(this.#file);
    }
}

/**
 * Reads a spool record by record. A last line that a kill has torn is left out: its answer never counted as landed.
 * @throws PipelineError when any other line can't be read, or the spool is one of version 0.1.
 */
export async function* readSpool(path: string): AsyncGenerator<SpoolRecord> {
    let torn: number | undefined;
    let number = 0;
    for await (const line of linesOf(path)) {
        number++;
        if (torn !== undefined) {
            throw new PipelineError(
                `${path}:${torn}  is not a record of an extraction. Move the file away to go on without its pages.`,
            );
        }
        const json = parse(line);
        const read = v.safeParse(record, json);
        if (v.is(oldRecord, json)) {
            throw new PipelineError(
                `${path}  was written by version 0.1. Start the extractor of that version once more, which loads it, then this one.`,
            );
        }
        if (read.success) yield read.output;
        else torn = number;
    }
}

/** The lines of a file. Node's readline takes U+2028 for the end of a line too, since version 24; in JSON it is text. */
async function* linesOf(path: string): AsyncGenerator<string> {
    let rest: Buffer[] = [];
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
        let from = 0;
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
            yield Buffer.concat([...rest, chunk.subarray(from, at)]).toString("utf8");
            rest = [];
            from = at + 1;
        }
        if (from < chunk.length) rest.push(chunk.subarray(from));
    }
    if (rest.length > 0) yield Buffer.concat(rest).toString("utf8");
}

function parse(line: string): unknown {
    try {
        return JSON.parse(line);
    } catch {
        return undefined;
    }
}
