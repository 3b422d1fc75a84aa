import { closeSync, createReadStream, openSync, readSync, statSync } from "node:fs";
import { basename } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { messageOf, PipelineError, systemCode } from "../../common/errors.ts";
import { count } from "../progress.ts";
import { literal } from "../tables.ts";

export type DumpKind = "works" | "authors" | "editions" | "ratings" | "reading_log";

/** A file of a monthly dump, as it lies on the disk. */
export interface DumpFile {
    readonly kind: DumpKind;
    readonly path: string;
    readonly name: string;
    readonly bytes: number;
    readonly isGzip: boolean;
    /** The date in its name: "2026-10-31". */
    readonly date: string | undefined;
    /** Bytes of what is packed in it, modulo 2^32, as its end says; of a plain file its bytes. */
    readonly contentBytes: number;
}

/** Twice the longest line that there was in 2026, and the size with which DuckDB reads fastest. */
const longestLine = 8 * 1024 * 1024;

/** Looks at a file's first and last bytes. @throws PipelineError when it can't be a dump. */
export function openDumpFile(kind: DumpKind, path: string): DumpFile {
    let bytes: number;
    let head: Buffer;
    let tail: Buffer;
    try {
        const stat = statSync(path);
        // Of a pipe there is no end to look at, and waiting for one that nobody writes to could not be interrupted.
        if (!stat.isFile()) throw new PipelineError(`${path}  is no file of the disk, which is what a dump must be`);
        bytes = stat.size;
        [head, tail] = ends(path, bytes);
    } catch (error) {
        if (error instanceof PipelineError) throw error;
        const why = systemCode(error) === "ENOENT" ? "is not there" : `can't be read: ${messageOf(error)}`;
        throw new PipelineError(`${path}  ${why}`, { cause: error });
    }
    if (bytes === 0) throw new PipelineError(`${path}  is empty: download it again`);
    const isGzip = head[0] === 0x1f && head[1] === 0x8b;
    if (/^\uFEFF?\s*</.test(head.toString("utf8"))) {
        throw new PipelineError(`${path}  is an HTML page, not a dump: what was saved is an error or a login`);
    }
    if (!isGzip && path.endsWith(".gz")) throw new PipelineError(`${path}  is not gzip: download it again`);
    return {
        kind,
        path,
        name: basename(path),
        bytes,
        isGzip,
        date: /\d{4}-\d{2}-\d{2}/.exec(basename(path))?.[0],
        contentBytes: isGzip && tail.length === 4 ? tail.readUInt32LE() : bytes,
    };
}

function ends(path: string, bytes: number): [head: Buffer, tail: Buffer] {
    const file = openSync(path, "r");
    try {
        const head = Buffer.alloc(64);
        const tail = Buffer.alloc(4);
        const read = readSync(file, head, 0, head.length, 0);
        const readTail = readSync(file, tail, 0, tail.length, Math.max(0, bytes - tail.length));
        return [head.subarray(0, read), tail.subarray(0, readTail)];
    } finally {
        closeSync(file);
    }
}

/**
 * SQL for a relation with a row for each line of the file in its column `line`, null when the line is empty. Lines that are
 * not UTF-8 are rows of the temporary table that `rejectsOf` names. A line of more than 8 MiB is in neither.
 */
export function linesOf(file: DumpFile): string {
    return `read_csv(
        ${literal(file.path)}, columns = {'line': 'VARCHAR'}, auto_detect = false, header = false,
        delim = '', quote = '', escape = '', new_line = '\\n', strict_mode = false,
        compression = '${file.isGzip ? "gzip" : "none"}',
        buffer_size = ${longestLine}, max_line_size = ${longestLine},
        store_rejects = true, rejects_table = '${rejectsOf(file)}', rejects_scan = '${rejectsOf(file)}_scans'
    )`;
}

export function rejectsOf({ kind }: DumpFile): string {
    return `rejects_${kind}`;
}

/**
 * Proves that all of a file was read: DuckDB reads a cut gzip file to where it ends, and tells nobody. `read` counts the
 * bytes of all lines that it found, each with a line feed.
 * @throws PipelineError when they are not those that the file holds.
 */
export async function proveWhole(file: DumpFile, read: number): Promise<void> {
    const { path, isGzip, contentBytes } = file;
    // The last line may lack its line feed.
    const fits = (total: number, modulus: number): boolean =>
        [read, read - 1].some((bytes) => bytes % modulus === total % modulus);
    if (fits(contentBytes, isGzip ? 2 ** 32 : Number.POSITIVE_INFINITY)) return;
    // A gzip file may also be several one after the other, of which the end counts the last one only.
    const total = isGzip ? await unpackedBytes(path) : contentBytes;
    if (fits(total, Number.POSITIVE_INFINITY)) return;
    const figures = `${count(read)} of ${count(total)} bytes were read`;
    throw new PipelineError(`${path}  holds a line that is too long, or what is no text: ${figures}`);
}

async function unpackedBytes(path: string): Promise<number> {
    let total = 0;
    try {
        await pipeline(createReadStream(path), createGunzip(), async (chunks: AsyncIterable<Buffer>) => {
            for await (const chunk of chunks) total += chunk.length;
        });
    } catch (error) {
        const isCut = systemCode(error) === "Z_BUF_ERROR";
        const why = isCut ? `is cut: it ends after ${count(total)} bytes` : `is damaged: ${messageOf(error)}`;
        throw new PipelineError(`${path}  ${why}; download it again`, { cause: error });
    }
    return total;
}
