import { existsSync, rmSync } from "node:fs";
import { relative } from "node:path";
import { PipelineError } from "../../common/errors.ts";
import { takeLock } from "../../common/lock.ts";
import { targetOf } from "../config.ts";
import { Database, identifier, literal } from "../duckdb.ts";
import type { ProjectOptions } from "../load.ts";
import { type Places, placesOf } from "../open.ts";

/**
 * Removes what a build can make again: the target's artifacts and work file. What was landed or published stays.
 * The removed paths are returned, relative to the project folder.
 * @throws PipelineError when the work file holds history of a snapshot that is published nowhere.
 */
export async function clean(options: ProjectOptions): Promise<string[]> {
    const places = placesOf(await targetOf(options));
    const release = takeLock(places.lock, "clean");
    try {
        await requirePublishedHistory(places);
        const paths = [places.artifacts, places.work, `${places.work}.wal`, `${places.work}.tmp`].filter(existsSync);
        for (const path of paths) rmSync(path, { recursive: true });
        return paths.map((path) => relative(options.projectDir, path));
    } finally {
        release();
    }
}

async function requirePublishedHistory({ work, warehouse }: Places): Promise<void> {
    if (!existsSync(work)) return;
    const database = await Database.open();
    try {
        await database.run(`attach ${literal(work)} as work (read_only)`);
        if (existsSync(warehouse)) await database.run(`attach ${literal(warehouse)} as published (read_only)`);
        const isThere = async (catalog: string, table: string): Promise<boolean> =>
            (await database.value(
                `select 1 from duckdb_tables() where database_name = '${catalog}' and concat(schema_name, '.', table_name) = ${literal(table)}`,
            )) !== null;
        if (!(await isThere("work", "meta.memory"))) return;
        // By what made it: a table that only reads a snapshot has its columns too.
        const history = await database.rows(
            `select node from work.meta.memory where inputs like '%"its materialization":"snapshot"%' order by node`,
        );
        // Versions are only ever added and ended.
        const steps = async (catalog: string, name: string): Promise<number> =>
            Number(
                await database.value(`select count(*) + count(dbt_valid_to) from ${catalog}.main.${identifier(name)}`),
            );
        for (const name of history.map((row) => String(row.node))) {
            if (!(await isThere("work", `main.${name}`))) continue;
            const isPublished = await isThere("published", `main.${name}`);
            if (isPublished && (await steps("published", name)) >= (await steps("work", name))) continue;
            throw new PipelineError(
                `the work file holds history of the snapshot "${name}" that is published nowhere and can't be made again: publish it with a build first`,
            );
        }
    } finally {
        database.close();
    }
}
