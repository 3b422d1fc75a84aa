import { randomUUID } from "node:crypto";
import {
    closeSync,
    fstatSync,
    linkSync,
    mkdirSync,
    openSync,
    readFileSync,
    readlinkSync,
    renameSync,
    rmSync,
    statSync,
    writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { PipelineError, systemCode } from "./errors.ts";

/** Who holds a lock. `startedAt` is ISO 8601 in UTC. */
export interface LockHolder {
    readonly pid: number;
    readonly command: string;
    readonly startedAt: string;
    /** What tells the process from a later one of the same id, where the system says it. */
    readonly birth?: string | undefined;
    /** The system and the container whose process ids these are. Version 0.1 did not say. */
    readonly home?: string | undefined;
}

/** Milliseconds from one sign of life to the next, and after which a holder that can't be asked counts as dead. */
const beat = { every: 10_000, dead: 60_000 };

/**
 * Takes the lock file `path` for this process and returns the function that gives it back.
 * A lock left by a process that no longer lives is taken over, even if its id is another process's now. One of another
 * container or machine can't be asked whether it lives: its holder writes the file every 10 s, and is dead after 60 s.
 * @param onLost is called when that became of this one: it was stopped for too long, as a container or a laptop may be, and
 * what it was about to write is another process's now.
 * @throws PipelineError that names the holder, when a living process has it.
 */
export function takeLock(path: string, command: string, onLost: (holder?: LockHolder) => void = () => {}): () => void {
    mkdirSync(dirname(path), { recursive: true });
    const { pid } = process;
    const startedAt = new Date().toISOString();
    const holder: LockHolder = { pid, command, startedAt, birth: birthOf(pid), home: homeOf() };
    const own = `${path}.${randomUUID()}`;
    const file = openSync(own, "wx");
    let lock: OwnLock | undefined;
    try {
        const text = `${JSON.stringify(holder)}\n`;
        writeSync(file, text, 0);
        // The disk's own clock: that of another machine need not agree with the one here.
        const now = (): number => fstatSync(file).mtimeMs;
        while (lock === undefined) {
            // link(2) creates the lock together with its content, so that nobody can read a half-written one.
            try {
                linkSync(own, path);
                lock = { path, file, text };
                break;
            } catch (error) {
                if (systemCode(error) !== "EEXIST") throw error;
            }
            const other = livingHolder(path, now());
            if (other !== undefined) {
                const wait = isFromHere(other)
                    ? "Wait for it, or stop it."
                    : "Wait for it, or, if it is dead, for a minute.";
                throw new PipelineError(
                    `"${other.command}" is already running (${processText(other)}, started ${other.startedAt}). ${wait}`,
                );
            }
            discardStale(path, now());
        }
        return keep(lock, onLost);
    } finally {
        rmSync(own, { force: true });
        if (lock === undefined) closeSync(file);
    }
}

/** "process 7", and where it runs when that is not here. */
export function processText(holder: LockHolder): string {
    return `process ${holder.pid}${isFromHere(holder) ? "" : " of another container or machine"}`;
}

/** Whether it is this very process. */
export function isThisProcess(holder: LockHolder): boolean {
    return holder.pid === process.pid && isFromHere(holder);
}

/** The holder that a lock file names, dead or alive, or undefined when there is no such file or it can't be read as one. */
export function readHolder(path: string): LockHolder | undefined {
    try {
        const content: unknown = JSON.parse(readFileSync(path, "utf8"));
        return isHolder(content) ? content : undefined;
    } catch {
        return undefined;
    }
}

/**
 * The process that holds the lock file `path` now, or undefined when none does: what a dead one left does not count.
 * @param now milliseconds by the clock that the file's time is of.
 */
export function livingHolder(path: string, now = Date.now()): LockHolder | undefined {
    const holder = readHolder(path);
    return holder !== undefined && isAlive(holder, path, now) ? holder : undefined;
}

/**
 * Who holds a file that DuckDB can't open, out of what DuckDB says: "process 4711 (/usr/bin/node)", or undefined when
 * it says something else. It knows no process of another container, nor one that has let go in the meantime.
 */
export function fileHolder(message: string): string | undefined {
    const found = /Conflicting lock is held in (?:(.*?) \(PID (\d+)\)|PID (\d+))/.exec(message);
    if (found === null) return undefined;
    const [, program, pid, bare] = found;
    if (program !== undefined) return `process ${pid} (${program})`;
    return bare === "0" ? "another process" : `process ${bare}`;
}

function isHolder(content: unknown): content is LockHolder {
    if (typeof content !== "object" || content === null) return false;
    const { pid, command, startedAt, birth, home }: Partial<Record<keyof LockHolder, unknown>> = content;
    // kill(2) takes 0 and negative numbers for groups of processes.
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0) return false;
    if (typeof command !== "string" || typeof startedAt !== "string") return false;
    return [birth, home].every((value) => value === undefined || typeof value === "string");
}

/** The file that was linked to `path`, open, and what stands in it. */
interface OwnLock {
    readonly path: string;
    readonly file: number;
    readonly text: string;
}

/** Gives signs of life until the lock is given back, which it does only with one that is still its own. */
function keep({ path, file, text }: OwnLock, onLost: (holder?: LockHolder) => void): () => void {
    const own = fstatSync(file).ino;
    const isOwn = (): boolean => statSync(path, { throwIfNoEntry: false })?.ino === own;
    const timer = setInterval(() => {
        try {
            if (isOwn()) writeSync(file, text, 0);
            else {
                clearInterval(timer);
                onLost(readHolder(path));
            }
        } catch {
            // A disk that is away for a moment, or full, ends no run: the next sign of life will do.
        }
    }, beat.every).unref();
    return () => {
        clearInterval(timer);
        if (isOwn()) rmSync(path, { force: true });
        closeSync(file);
    };
}

/** Two processes may both find a dead holder: rename(2) lets one of them move it away, and a new lock is put back. */
function discardStale(path: string, now: number): void {
    const aside = `${path}.stale.${randomUUID()}`;
    try {
        renameSync(path, aside);
    } catch (error) {
        if (systemCode(error) === "ENOENT") return;
        throw error;
    }
    if (livingHolder(aside, now) !== undefined) {
        try {
            linkSync(aside, path);
        } catch (error) {
            if (systemCode(error) !== "EEXIST") throw error;
        }
    }
    rmSync(aside, { force: true, recursive: true });
}

function isAlive(holder: LockHolder, path: string, now: number): boolean {
    const { pid, birth } = holder;
    if (!isFromHere(holder)) {
        const touched = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
        // A time far ahead is of a clock that was wrong.
        return Math.abs(now - touched) < beat.dead;
    }
    try {
        process.kill(pid, 0);
    } catch (error) {
        if (systemCode(error) !== "EPERM") return false;
    }
    // In a container every run may be process 1 or 7: the same id is another process when it was born at another time.
    const living = birth === undefined ? undefined : birthOf(pid);
    return living === undefined || living === birth;
}

/** Whether the holder's process id is one that can be asked here. */
function isFromHere({ home }: LockHolder): boolean {
    return home === undefined || home === homeOf();
}

/** The id of the system's start and of the pid namespace (pid_namespaces(7)), or the machine's name where there is no /proc. */
function homeOf(): string {
    try {
        const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
        return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
    } catch {
        return hostname();
    }
}

/** Field 22 of /proc/<pid>/stat (proc(5)): clock ticks from boot to the start of the process. Absent where there is no /proc. */
function birthOf(pid: number): string | undefined {
    try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
        return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[22 - 3];
    } catch {
        return undefined;
    }
}
