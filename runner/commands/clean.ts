import { existsSync, rmSync } from "node:fs";
import { relative } from "node:path";
import { PipelineError } from "../../common/errors.ts";
import { takeLock } from "../../common/lock.ts";
import { targetOf } from "../config.ts";
import { Database, literal, type Row } from "../duckdb.ts";
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
        const snapshots = (catalog: string): Promise<Row[]> =>
            database.rows(
                `select table_name as name, (select estimated_size from duckdb_tables() as t where t.table_oid = c.table_oid
                     and t.database_oid = c.database_oid) as size
                 from duckdb_columns() as c where database_name = '${catalog}' and schema_name = 'main' and column_name = 'dbt_scd_id'`,
            );
        const published = new Map((await snapshots("published")).map((row) => [row.name, Number(row.size)]));
        for (const { name, size } of await snapshots("work")) {
            if ((published.get(name ?? "") ?? 0) >= Number(size)) continue;
            throw new PipelineError(
                `the work file holds history of the snapshot "${name}" that is published nowhere and can't be made again: publish it with a build first`,
            );
        }
    } finally {
        database.close();
    }
}
