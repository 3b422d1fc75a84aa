import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { PipelineError, systemCode } from "./errors.ts";

/** Who holds a lock. `startedAt` is ISO 8601 in UTC. */
export interface LockHolder {
    readonly pid: number;
    readonly command: string;
    readonly startedAt: string;
    /** What tells the process from a later one of the same id, where the system says it. */
    readonly birth?: string;
}

/**
 * Takes the lock file `path` for this process and returns the function that gives it back.
 * A lock left by a process that no longer lives is taken over, even if its id is another process's now.
 * @throws PipelineError that names the holder, when a living process has it.
 */
export function takeLock(path: string, command: string): () => void {
    mkdirSync(dirname(path), { recursive: true });
    const birth = birthOf(process.pid);
    const startedAt = new Date().toISOString();
    const holder: LockHolder = { pid: process.pid, command, startedAt, ...(birth === undefined ? {} : { birth }) };
    const own = `${path}.${process.pid}`;
    writeFileSync(own, `${JSON.stringify(holder)}\n`);
    try {
        for (;;) {
            // link(2) creates the lock together with its content, so that nobody can read a half-written one.
            try {
                linkSync(own, path);
                return () => release(path);
            } catch (error) {
                if (systemCode(error) !== "EEXIST") throw error;
            }
            const other = readHolder(path);
            if (other !== undefined && isAlive(other)) {
                throw new PipelineError(
                    `"${other.command}" is already running (process ${other.pid}, started ${other.startedAt}). ` +
                        `Wait for it, or stop it.`,
                );
            }
            discardStale(path);
        }
    } finally {
        rmSync(own, { force: true });
    }
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

/** The process that holds the lock file `path` now, or undefined when none does: what a dead one left does not count. */
export function livingHolder(path: string): LockHolder | undefined {
    const holder = readHolder(path);
    return holder !== undefined && isAlive(holder) ? holder : undefined;
}

function isHolder(content: unknown): content is LockHolder {
    if (typeof content !== "object" || content === null) return false;
    const { pid, command, startedAt, birth }: Partial<Record<keyof LockHolder, unknown>> = content;
    // kill(2) takes 0 and negative numbers for groups of processes.
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0) return false;
    if (typeof command !== "string" || typeof startedAt !== "string") return false;
    return birth === undefined || typeof birth === "string";
}

function release(path: string): void {
    if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true });
}

/** Two processes may both find a dead holder: rename(2) lets one of them move it away, and a new lock is put back. */
function discardStale(path: string): void {
    const aside = `${path}.stale.${process.pid}`;
    try {
        renameSync(path, aside);
    } catch (error) {
        if (systemCode(error) === "ENOENT") return;
        throw error;
    }
    if (livingHolder(aside) !== undefined) {
        try {
            linkSync(aside, path);
        } catch (error) {
            if (systemCode(error) !== "EEXIST") throw error;
        }
    }
    rmSync(aside, { force: true });
}

function isAlive({ pid, birth }: LockHolder): boolean {
    try {
        process.kill(pid, 0);
    } catch (error) {
        if (systemCode(error) !== "EPERM") return false;
    }
    // In a container every run may be process 1 or 7: the same id is another process when it was born at another time.
    const now = birth === undefined ? undefined : birthOf(pid);
    return now === undefined || now === birth;
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
