import { existsSync, rmSync } from "node:fs";
import { relative } from "node:path";
import { takeLock } from "../common/lock.ts";
import { loadConfig, loadTarget } from "./config.ts";
import type { ProjectOptions } from "./load.ts";
import { placesOf } from "./open.ts";

/**
 * Removes what a build can make again: the target's artifacts and work file. What was landed or published stays.
 * The removed paths are returned, relative to the project folder.
 */
export async function clean({ projectDir: root, target }: ProjectOptions): Promise<string[]> {
    const config = await loadConfig(root);
    const places = placesOf({ root, target: await loadTarget(root, target ?? config.target) });
    const release = takeLock(places.lock, "clean");
    try {
        const paths = [places.artifacts, places.work, `${places.work}.wal`, `${places.work}.tmp`].filter(existsSync);
        for (const path of paths) rmSync(path, { recursive: true });
        return paths.map((path) => relative(root, path));
    } finally {
        release();
    }
}
