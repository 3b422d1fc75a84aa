import { existsSync } from "node:fs";
import { type Column, type Database, identifier, literal } from "./duckdb.ts";
import { keepsHistory } from "./fingerprint.ts";
import type { Memory } from "./memory.ts";
import type { Project } from "./nodes.ts";
import { attachWork, placesOf, workCatalog } from "./open.ts";
import { isSnapshotTable } from "./snapshot.ts";

/**
 * The tables of `names` that go on from what stands, with their columns: incremental models and snapshots of which a table
 * is there. With `fullRefresh` incremental models begin anew, a snapshot never does.
 */
export function keptTables(
    project: Project,
    memory: Memory,
    { names, fullRefresh = false }: { names: ReadonlySet<string>; fullRefresh?: boolean | undefined },
): ReadonlyMap<string, readonly Column[]> {
    const kept = new Map<string, readonly Column[]>();
    for (const name of names) {
        const model = project.nodes.get(name);
        const standing = memory.relations.get(name);
        // A seed of this name may have stood there before.
        const isSeed = "its file" in (memory.nodes.get(name)?.inputs ?? {});
        if (model?.kind !== "model" || standing?.kind !== "table" || isSeed) continue;
        const goesOn =
            model.snapshot === undefined
                ? model.incremental !== undefined && !(fullRefresh && model.incremental.fullRefresh)
                : isSnapshotTable(standing.columns);
        if (goesOn) kept.set(name, standing.columns);
    }
    return kept;
}

/** Whether what stands under a name can't be made again: a snapshot, or an incremental model of `full_refresh: false`. */
export function isHistory({ relations, nodes }: Memory, name: string): boolean {
    return isSnapshotTable(relations.get(name)?.columns ?? []) || keepsHistory in (nodes.get(name)?.inputs ?? {});
}

/**
 * Takes history that is missing in the work file over from what is published: that of snapshots, and of incremental models
 * of `full_refresh: false`, which can't be made again. Returns their names; the work file must be read anew for them.
 */
export async function restoreHistory(
    database: Database,
    project: Project,
    { memory, names, onWait }: { memory: Memory; names: ReadonlySet<string>; onWait: (message: string) => void },
): Promise<readonly string[]> {
    const { warehouse } = placesOf(project);
    const missing = [...names].filter((name) => {
        const node = project.nodes.get(name);
        if (node?.kind !== "model" || memory.relations.has(name)) return false;
        return node.snapshot !== undefined || node.incremental?.fullRefresh === false;
    });
    if (missing.length === 0 || !existsSync(warehouse)) return [];
    await database.run(`attach ${literal(warehouse)} as shelfmark_published (read_only)`);
    try {
        const columns = await database.rows(
            "select table_name as node, column_name as name, data_type as type from duckdb_columns() where database_name = 'shelfmark_published' and schema_name = 'main'",
        );
        const found = missing.filter((name) => {
            const published = columns
                .filter((row) => row.node === name)
                .map((row) => ({ name: String(row.name), type: String(row.type) }));
            const node = project.nodes.get(name);
            const isSnapshot = node?.kind === "model" && node.snapshot !== undefined;
            return isSnapshot ? isSnapshotTable(published) : published.length > 0;
        });
        if (found.length === 0) return [];
        await attachWork(database, project, { write: true, onWait });
        try {
            await database.transaction(async () => {
                for (const name of found) {
                    const table = identifier(name);
                    await database.run(`create table main.${table} as from shelfmark_published.main.${table}`);
                }
            });
        } finally {
            await database.run("use memory");
            await database.run(`detach ${workCatalog}`);
        }
        return found;
    } finally {
        await database.run("detach shelfmark_published");
    }
}
