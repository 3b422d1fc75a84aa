import { existsSync } from "node:fs";
import { type Column, type Database, identifier, literal } from "./duckdb.ts";
import { keepsHistory } from "./fingerprint.ts";
import { type Memory, prepareMemory, recall, standingIn } from "./memory.ts";
import type { Project } from "./nodes.ts";
import { attachWork, placesOf, workCatalog } from "./open.ts";
import { failOn, type Problem } from "./problem.ts";
import { isSnapshotTable } from "./snapshot.ts";

/**
 * The tables of `names` that go on from what stands, with their columns: incremental models and snapshots of which a table
 * is there. With `fullRefresh` incremental models begin anew, a snapshot never does.
 * @throws ProjectError when a node would be made in place of history that can't be made again.
 */
export function keptTables(
    project: Project,
    memory: Memory,
    { names, fullRefresh = false }: { names: ReadonlySet<string>; fullRefresh?: boolean | undefined },
): ReadonlyMap<string, readonly Column[]> {
    const kept = new Map<string, readonly Column[]>();
    const problems: Problem[] = [];
    for (const name of names) {
        const model = project.nodes.get(name);
        const standing = memory.relations.get(name);
        const wasSnapshot = memory.nodes.get(name)?.inputs["its materialization"] === "snapshot";
        const settings = model?.kind === "model" ? model[wasSnapshot ? "snapshot" : "incremental"] : undefined;
        const isReplaced = settings === undefined && standing !== undefined && isHistory(memory, name);
        if (isReplaced && model !== undefined && "file" in model) {
            const message = `the work file holds history of "${name}" that can't be made again, which this would replace: give it another name, or remove the work file with "clean"`;
            problems.push({ message, at: { file: model.file, offset: 0 } });
        }
        // A seed of this name may have stood there before.
        const isSeed = "its file" in (memory.nodes.get(name)?.inputs ?? {});
        if (model?.kind !== "model" || standing?.kind !== "table" || isSeed) continue;
        const goesOn =
            model.snapshot === undefined
                ? model.incremental !== undefined && !(fullRefresh && model.incremental.fullRefresh)
                : isSnapshotTable(standing.columns);
        if (goesOn) kept.set(name, standing.columns);
    }
    failOn(problems);
    return kept;
}

/** Whether what stands under a name can't be made again: a snapshot, or an incremental model of `full_refresh: false`. */
export function isHistory({ nodes }: Memory, name: string): boolean {
    // By what made it: a table that only reads a snapshot has its columns too.
    const inputs = nodes.get(name)?.inputs ?? {};
    return inputs["its materialization"] === "snapshot" || keepsHistory in inputs;
}

/**
 * The memory of the work file, into which the history of `names` that only the publication has is brought back first,
 * unless nothing is to be changed (`isReadOnly`).
 */
export async function recallWithHistory(
    database: Database,
    project: Project,
    { names, isReadOnly, note }: { names: ReadonlySet<string>; isReadOnly: boolean; note: (message: string) => void },
): Promise<Memory> {
    const memory = await recall(database, project, { onWait: note });
    if (isReadOnly) return memory;
    const restored = await restoreHistory(database, project, { memory, names, onWait: note });
    if (restored.length === 0) return memory;
    note(`The history of ${restored.join(", ")} is taken over from what is published`);
    return recall(database, project, { onWait: note });
}

/**
 * Takes history that is missing in the work file over from what is published: that of snapshots, and of incremental models
 * of `full_refresh: false`, which can't be made again. Returns their names.
 */
async function restoreHistory(
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
        const published = await standingIn(database, "shelfmark_published");
        const found = missing.filter((name) => {
            const columns = published.get(name)?.columns ?? [];
            const node = project.nodes.get(name);
            const isSnapshot = node?.kind === "model" && node.snapshot !== undefined;
            return isSnapshot ? isSnapshotTable(columns) : columns.length > 0;
        });
        if (found.length === 0) return [];
        await attachWork(database, project, { write: true, onWait });
        try {
            await prepareMemory(database);
            await database.transaction(async () => {
                for (const name of found) {
                    const table = identifier(name);
                    await database.run(`create table main.${table} as from shelfmark_published.main.${table}`);
                }
                await rememberPublished(database, found);
            });
            // Before that, it would be a first run that begins the history anew.
            await database.run("checkpoint");
        } finally {
            await database.run("use memory");
            await database.run(`detach ${workCatalog}`);
        }
        return found;
    } finally {
        await database.run("detach shelfmark_published");
    }
}

/** Remembers what tables that were taken over from the publication are made of: who doesn't know takes the same in again. */
async function rememberPublished(database: Database, names: readonly string[]): Promise<void> {
    const hasState = await database.value(
        "select 1 from duckdb_tables() where database_name = 'shelfmark_published' and schema_name = 'meta' and table_name = 'state'",
    );
    // Publications of older versions have none.
    if (hasState === null) return;
    await database.run(
        `insert or replace into meta.memory
         select node, 'built', run_id, inputs from shelfmark_published.meta.state where node in (${names.map(literal).join(", ")})`,
    );
}
