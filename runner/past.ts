import { existsSync } from "node:fs";
import { relative } from "node:path";
import { Database, literal } from "./duckdb.ts";
import type { Inputs } from "./fingerprint.ts";
import type { Project } from "./nodes.ts";
import { attach, type OpenOptions, placesOf, workRemedy } from "./open.ts";
import type { Status } from "./run.ts";

/** What earlier runs left: the ground for `state:`, `result:` and `retry`. */
export interface Past {
    /** The last run that was recorded. */
    readonly lastRun: { readonly runId: string; readonly command: string; readonly status: string } | undefined;
    /** What became of each node of the last run. */
    readonly results: ReadonlyMap<string, Status>;
    /** What the published nodes were made of; undefined while nothing is published. */
    readonly published: ReadonlyMap<string, { readonly runId: string; readonly inputs: Inputs }> | undefined;
}

/** Reads the target's files without holding them. */
export async function readPast(project: Pick<Project, "root" | "target">, options: OpenOptions): Promise<Past> {
    const { work, warehouse } = placesOf(project);
    const database = await Database.open();
    try {
        const isThere = async (path: string, name: string, table: string): Promise<boolean> => {
            if (!existsSync(path)) return false;
            const file = relative(project.root, path);
            const remedy = path === work ? { remedy: workRemedy } : {};
            await attach(database, `${literal(path)} as ${name} (read_only)`, { ...options, ...remedy, file });
            const found = await database.value(
                `select count(*) from duckdb_tables() where database_name = '${name}' and schema_name = 'meta' and table_name = '${table}'`,
            );
            return Number(found) > 0;
        };
        const hasRuns = await isThere(work, "work", "runs");
        const [last] = hasRuns
            ? await database.rows("select run_id, command, status from work.meta.runs order by run_id desc limit 1")
            : [];
        const results =
            last === undefined
                ? []
                : await database.rows(
                      `select node as name, status from work.meta.nodes where run_id = ${literal(String(last.run_id))}
                       union all select test, status from work.meta.test_results where run_id = ${literal(String(last.run_id))}`,
                  );
        const state = (await isThere(warehouse, "published", "state"))
            ? await database.rows("select node, run_id, inputs from published.meta.state")
            : undefined;
        return {
            lastRun:
                last === undefined
                    ? undefined
                    : { runId: String(last.run_id), command: String(last.command), status: String(last.status) },
            results: new Map(results.map((row) => [String(row.name), row.status as Status])),
            published:
                state &&
                new Map(
                    state.map((row) => [
                        String(row.node),
                        { runId: String(row.run_id), inputs: JSON.parse(String(row.inputs)) as Inputs },
                    ]),
                ),
        };
    } finally {
        database.close();
    }
}
