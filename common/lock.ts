import { randomUUID } from "node:crypto";
import {
    linkSync,
    mkdirSync,
    readFileSync,
    readlinkSync,
    renameSync,
    rmSync,
    statSync,
    utimesSync,
    writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { PipelineError, systemCode } from "./errors.ts";

/** Who holds a lock. `startedAt` is ISO 8601 in UTC. */
export interface LockHolder {
    readonly pid: number;
    readonly command: string;
    readonly startedAt: string;
    /** What tells the process from a later one of the same id, where the system says it. */
    readonly birth?: string | undefined;
    /** The system and the container whose process ids these are, where the system says it. */
    readonly home?: string | undefined;
}

/** Milliseconds from one sign of life to the next, and after which a holder that can't be asked counts as dead. */
const beat = { every: 10_000, dead: 60_000 };

/**
 * Takes the lock file `path` for this process and returns the function that gives it back.
 * A lock left by a process that no longer lives is taken over, even if its id is another process's now. One of another
 * container or machine can't be asked whether it lives: its holder touches the file every 10 s, and is dead after 60 s.
 * @throws PipelineError that names the holder, when a living process has it.
 */
export function takeLock(path: string, command: string): () => void {
    mkdirSync(dirname(path), { recursive: true });
    const { pid } = process;
    const startedAt = new Date().toISOString();
    const holder: LockHolder = { pid, command, startedAt, birth: birthOf(pid), home: homeOf() };
    const own = `${path}.${randomUUID()}`;
    writeFileSync(own, `${JSON.stringify(holder)}\n`);
    try {
        for (;;) {
            // link(2) creates the lock together with its content, so that nobody can read a half-written one.
            try {
                linkSync(own, path);
                return keep(path);
            } catch (error) {
                if (systemCode(error) !== "EEXIST") throw error;
            }
            const other = livingHolder(path);
            if (other !== undefined) {
                const [where, wait] = isFromHere(other)
                    ? ["", "Wait for it, or stop it."]
                    : [" of another container or machine", "Wait for it, or, if it is dead, for a minute."];
                throw new PipelineError(
                    `"${other.command}" is already running (process ${other.pid}${where}, started ${other.startedAt}). ${wait}`,
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
    return holder !== undefined && isAlive(holder, path) ? holder : undefined;
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

/** Gives signs of life until the lock is given back, which it does only with one that is still its own. */
function keep(path: string): () => void {
    const isOwn = () => {
        const holder = readHolder(path);
        return holder?.pid === process.pid && isFromHere(holder);
    };
    const timer = setInterval(() => {
        const now = new Date();
        try {
            if (isOwn()) utimesSync(path, now, now);
        } catch {
            // A disk that is away for a moment ends no run: the next sign of life will do.
        }
    }, beat.every).unref();
    return () => {
        clearInterval(timer);
        if (isOwn()) rmSync(path, { force: true });
    };
}

/** Two processes may both find a dead holder: rename(2) lets one of them move it away, and a new lock is put back. */
function discardStale(path: string): void {
    const aside = `${path}.stale.${randomUUID()}`;
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

function isAlive(holder: LockHolder, path: string): boolean {
    const { pid, birth } = holder;
    if (!isFromHere(holder)) {
        const touched = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
        return Date.now() - touched < beat.dead;
    }
    try {
        process.kill(pid, 0);
    } catch (error) {
        if (systemCode(error) !== "EPERM") return false;
    }
    // In a container every run may be process 1 or 7: the same id is another process when it was born at another time.
    const now = birth === undefined ? undefined : birthOf(pid);
    return now === undefined || now === birth;
}

/** Whether the holder's process id is one that can be asked here. */
function isFromHere({ home }: LockHolder): boolean {
    return home === undefined || home === homeOf();
}

/** The id of the system's start and of the pid namespace (pid_namespaces(7)). Absent where there is no /proc. */
function homeOf(): string | undefined {
    try {
        const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
        return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
    } catch {
        return undefined;
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
