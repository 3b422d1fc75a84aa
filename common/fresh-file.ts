import { existsSync, renameSync, rmSync } from "node:fs";

// DuckDB can't open a file of which a kill or a full disk has cut the first bytes. So one that is to be at a path is
// written beside it, and takes its place when it is whole.

/** Where a DuckDB file is written that is to take a place. */
export function freshFile(path: string): string {
    return `${path}.new`;
}

/** Removes what who was killed, or failed, has left of such a file. */
export function discardFresh(path: string): void {
    for (const file of [freshFile(path), `${freshFile(path)}.wal`]) rmSync(file, { force: true });
}

/** Makes an empty DuckDB file where none is. `run` runs a statement, `how` is the options of its ATTACH. */
export async function createFile(
    path: string,
    { run, how }: { run: (sql: string) => Promise<unknown>; how: string },
): Promise<void> {
    if (existsSync(path)) return;
    discardFresh(path);
    try {
        await run(`attach '${freshFile(path).replaceAll("'", "''")}' as fresh (${how})`);
        await run("detach fresh");
        // The log of a file that was moved away is not this one's; whoever moves that one back may want it.
        if (existsSync(`${path}.wal`)) renameSync(`${path}.wal`, `${path}.wal.old`);
        renameSync(freshFile(path), path);
    } finally {
        discardFresh(path);
    }
}
