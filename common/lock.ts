import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { PipelineError, systemCode } from "./errors.ts";

/** Who holds a lock. `startedAt` is ISO 8601 in UTC. */
export interface LockHolder {
    readonly pid: number;
    readonly command: string;
    readonly startedAt: string;
}

/**
 * Takes the lock file `path` for this process and returns the function that gives it back.
 * A lock left by a process that no longer lives is taken over.
 * @throws PipelineError that names the holder, when a living process has it.
 */
export function takeLock(path: string, command: string): () => void {
    mkdirSync(dirname(path), { recursive: true });
    const holder: LockHolder = { pid: process.pid, command, startedAt: new Date().toISOString() };
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
            if (other !== undefined && isAlive(other.pid)) {
                throw new PipelineError(
                    `"${other.command}" is already running (process ${other.pid}, started ${other.startedAt}). ` +
                        `Wait for it, or stop it.`,
                );
            }
            discardStale(path, other);
        }
    } finally {
        rmSync(own, { force: true });
    }
}

/** The holder that a lock file names, or undefined when there is no such file or it can't be read as one. */
export function readHolder(path: string): LockHolder | undefined {
    try {
        return JSON.parse(readFileSync(path, "utf8")) as LockHolder;
    } catch {
        return undefined;
    }
}

function release(path: string): void {
    if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true });
}

/** Two processes may both find a dead holder: rename(2) lets one of them move it away, and a new lock is put back. */
function discardStale(path: string, seen: LockHolder | undefined): void {
    const aside = `${path}.stale.${process.pid}`;
    try {
        renameSync(path, aside);
    } catch (error) {
        if (systemCode(error) === "ENOENT") return;
        throw error;
    }
    const moved = readHolder(aside);
    if (moved !== undefined && moved.pid !== seen?.pid && isAlive(moved.pid)) {
        try {
            linkSync(aside, path);
        } catch (error) {
            if (systemCode(error) !== "EEXIST") throw error;
        }
    }
    rmSync(aside, { force: true });
}

function isAlive(pid: number): boolean {
    try {
        process.kill(pid, 0);
        return true;
    } catch (error) {
        return systemCode(error) === "EPERM";
    }
}
