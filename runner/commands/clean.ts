import { existsSync, rmSync } from "node:fs";
import { relative } from "node:path";
import { PipelineError } from "../../common/errors.ts";
import { takeLock } from "../../common/lock.ts";
import { targetOf } from "../config.ts";
import { type Database, identifier, literal } from "../duckdb.ts";
import { isHistory } from "../kept.ts";
import type { ProjectOptions } from "../load.ts";
import { readMemory, standingIn } from "../memory.ts";
import type { Project } from "../nodes.ts";
import { attachWork, openEmpty, placesOf, workCatalog } from "../open.ts";

/**
 * Removes what a build can make again: the target's artifacts and work file. What was landed or published stays.
 * The removed paths are returned, relative to the project folder.
 * @throws PipelineError when the work file holds history that is published nowhere.
 */
export async function clean(options: ProjectOptions): Promise<string[]> {
    const project = await targetOf(options);
    const places = placesOf(project);
    const release = takeLock(places.lock, "clean");
    try {
        await requirePublishedHistory(project);
        const paths = [places.artifacts, places.work, `${places.work}.wal`, `${places.work}.tmp`].filter(existsSync);
        for (const path of paths) rmSync(path, { recursive: true });
        return paths.map((path) => relative(options.projectDir, path));
    } finally {
        release();
    }
}

async function requirePublishedHistory(project: Pick<Project, "root" | "target">): Promise<void> {
    const { work, warehouse } = placesOf(project);
    if (!existsSync(work)) return;
    const database = await openEmpty(project);
    try {
        await attachWork(database, project, { write: false });
        if (existsSync(warehouse)) await database.run(`attach ${literal(warehouse)} as published (read_only)`);
        const [memory, published] = [await readMemory(database), await standingIn(database, "published")];
        for (const name of memory.relations.keys()) {
            if (!isHistory(memory, name)) continue;
            const [here, there] = [memory.relations.get(name), published.get(name)];
            const isAlike = JSON.stringify(here) === JSON.stringify(there);
            if (isAlike && (await isPublished(database, identifier(name)))) continue;
            throw new PipelineError(
                `the work file holds history of "${name}" that is published nowhere and can't be made again: publish it with a build first, or remove ${relative(project.root, work)} yourself`,
            );
        }
    } finally {
        database.close();
    }
}

/** Whether the publication in force has all rows of a table of the work file. */
async function isPublished(database: Database, table: string): Promise<boolean> {
    const missing = `from ${workCatalog}.main.${table} except all from published.main.${table}`;
    return (await database.value(`select 1 from (${missing}) as missing limit 1`)) === null;
}
