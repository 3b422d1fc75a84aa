import { type Column, type Database, identifier, SqlError } from "./duckdb.ts";
import { alterTable, rejectRepeatedKeys, sameKey } from "./incremental.ts";
import type { Model, Snapshot } from "./nodes.ts";

// Snapshots as dbt has them: a table of all that rows have been (slowly changing dimension, type 2). A row is in force from
// dbt_valid_from, and until dbt_valid_to unless that is NULL.

const validity = ["dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to"];
const isDeleted = "dbt_is_deleted";

/** Whether a standing table is one that a snapshot can go on from. */
export function isSnapshotTable(columns: readonly Column[]): boolean {
    return validity.every((name) => columns.some((column) => column.name === name));
}

/**
 * The rows of a snapshot's relation as they begin to be in force. `now` is the time of the run, in UTC, ISO 8601; with
 * `strategy: check` it is when a row was first seen so.
 */
export function snapshotRows({ snapshot, uniqueKey }: Model, now: string): { before: string; after: string } {
    if (snapshot === undefined) throw new Error("only a snapshot has snapshot rows");
    const updatedAt = snapshot.strategy === "timestamp" ? `made.${identifier(snapshot.updatedAt)}` : timestamp(now);
    const key = uniqueKey.map((name) => `coalesce(made.${identifier(name)}::varchar, '')`).join(", ");
    const id = `md5(concat_ws('|', ${key}, ${updatedAt}::varchar))`;
    const columns = [
        `${id} as dbt_scd_id`,
        `${updatedAt} as dbt_updated_at`,
        `${updatedAt} as dbt_valid_from`,
        // NULL, of the right type.
        `nullif(${updatedAt}, ${updatedAt}) as dbt_valid_to`,
        ...(snapshot.hardDeletes === "new_record" ? [`'False' as ${isDeleted}`] : []),
    ];
    return { before: `select made.*, ${columns.join(", ")} from (\n`, after: "\n) as made" };
}

/** What a snapshot has after a run: all that it had, and what is new. A column that is gone is NULL from then on. */
export function snapshotColumns(kept: readonly Column[], made: readonly Column[]): readonly Column[] {
    return [...kept, ...newColumns(kept, made)];
}

/** Why what a snapshot has kept can't take in what is made now: a column of another type. */
export function snapshotMistake(
    name: string,
    { kept, made }: { kept: readonly Column[]; made: readonly Column[] },
): string | undefined {
    const other = made.find((column) => {
        const type = kept.find((standing) => standing.name.toLowerCase() === column.name.toLowerCase())?.type;
        return type !== undefined && type !== column.type;
    });
    if (other === undefined) return undefined;
    const before = kept.find((column) => column.name.toLowerCase() === other.name.toLowerCase())?.type;
    return `"${name}" has kept "${other.name}" as ${before}, and it would now be ${other.type}: cast it back, or give it another name`;
}

function newColumns(kept: readonly Column[], made: readonly Column[]): readonly Column[] {
    return made.filter(({ name }) => !kept.some((column) => column.name.toLowerCase() === name.toLowerCase()));
}

/** @throws SqlError when the rows can't be told apart: a key that is NULL, or that two rows have. */
export async function rejectUntoldRows(database: Database, model: Model, rows: string): Promise<void> {
    const untold = model.uniqueKey.map((name) => `${identifier(name)} is null`).join(" or ");
    const nulls = Number(await database.value(`select count(*) from ${rows} where ${untold}`));
    if (nulls > 0) {
        throw new SqlError(
            `${nulls} row${nulls === 1 ? " has" : "s have"} no value in the unique_key (${model.uniqueKey.join(", ")})`,
            {},
        );
    }
    const timeless = Number(await database.value(`select count(*) from ${rows} where dbt_updated_at is null`));
    if (timeless > 0) {
        const column = model.snapshot?.strategy === "timestamp" ? model.snapshot.updatedAt : "";
        throw new SqlError(
            `${timeless} row${timeless === 1 ? " has" : "s have"} no value in updated_at (${column})`,
            {},
        );
    }
    await rejectRepeatedKeys(database, model, rows);
}

/**
 * Takes the rows of `increment`, a table made by {@link snapshotRows}, into the kept snapshot `relation`: rows that have
 * changed end and begin anew, new ones begin, and those that are gone end where `hard_deletes` says so.
 * To be called in a transaction. Returns how many rows began.
 */
export async function takeSnapshot(
    database: Database,
    model: Model,
    { relation, increment, kept, made, now }: SnapshotStep,
): Promise<number> {
    const { snapshot } = model;
    if (snapshot === undefined) throw new Error(`${model.name} is no snapshot`);
    await alterTable(database, relation, { add: newColumns(kept, made), drop: [], retype: [] });
    const hasMark = snapshot.hardDeletes === "new_record";
    // Marks that an earlier setting left keep their meaning; rows from before there were any are not deleted.
    const names = (columns: readonly Column[]): string[] => columns.map(({ name }) => name);
    const isMarked = hasMark || (names(kept).includes(isDeleted) && !names(made).includes(isDeleted));
    const markRest = `update ${relation} set ${isDeleted} = 'False' where ${isDeleted} is null`;
    if (isMarked) await database.run(markRest);
    const inForce = "kept.dbt_valid_to is null";
    const isSame = sameKey(model.uniqueKey);
    const revived = isMarked ? ` or kept.${isDeleted} = 'True'` : "";
    const changed = `(${changedCondition(snapshot, made)}${revived})`;
    const type = made.find((column) => column.name === "dbt_valid_to")?.type ?? "timestamp";
    const at = type === "TIMESTAMP WITH TIME ZONE" ? `timestamptz '${now}'` : `cast(${timestamp(now)} as ${type})`;
    const laterId = (version: string): string => `md5(concat(${version}.dbt_scd_id, '|', '${now}'))`;
    const begin = "temp.main.shelfmark_begin";
    const key = model.uniqueKey.map(identifier).join(", ");
    // A row that was gone and comes back with the old time begins now: two versions in force at once would count twice.
    const isLate = "made.dbt_valid_from < kept.last_change";
    await database.run(
        `create or replace temp table shelfmark_begin as
         with past as (
             select ${key}, max(coalesce(dbt_valid_to, dbt_valid_from)) as last_change from ${relation} group by ${key}
         )
         select made.* replace (
             case when ${isLate} then ${at} else made.dbt_valid_from end as dbt_valid_from,
             case when ${isLate} then ${laterId("made")} else made.dbt_scd_id end as dbt_scd_id
         )
         from ${increment} as made left join past as kept on ${isSame}
         where not exists (select 1 from ${relation} as kept where ${inForce} and ${isSame} and not ${changed})`,
    );
    // Those that are gone first: what ends below is no longer in force and would be taken for gone.
    if (snapshot.hardDeletes !== "ignore") {
        const gone = `${inForce}${isMarked ? ` and kept.${isDeleted} = 'False'` : ""}
            and not exists (select 1 from ${increment} as made where ${isSame})`;
        if (hasMark) {
            await database.run(
                `create or replace temp table shelfmark_gone as
                 select kept.* replace (${laterId("kept")} as dbt_scd_id, ${at} as dbt_updated_at,
                     ${at} as dbt_valid_from, 'True' as ${isDeleted}) from ${relation} as kept where ${gone}`,
            );
        }
        await database.run(`update ${relation} as kept set dbt_valid_to = ${at} where ${gone}`);
        if (hasMark) await database.run(`insert into ${relation} by name select * from temp.main.shelfmark_gone`);
    }
    await database.run(
        `update ${relation} as kept set dbt_valid_to = made.dbt_valid_from from ${begin} as made
         where ${inForce} and ${isSame}`,
    );
    await database.run(`insert into ${relation} by name select * from ${begin}`);
    if (isMarked) await database.run(markRest);
    return Number(await database.value(`select count(*) from ${begin}`));
}

export interface SnapshotStep {
    readonly relation: string;
    readonly increment: string;
    readonly kept: readonly Column[];
    readonly made: readonly Column[];
    /** The time of the run, in UTC, ISO 8601. */
    readonly now: string;
}

function changedCondition(snapshot: Snapshot, made: readonly Column[]): string {
    // Not by dbt_valid_from: a row that was gone is in force from when it came back, whatever time it has itself.
    if (snapshot.strategy === "timestamp") return "kept.dbt_updated_at < made.dbt_updated_at";
    const own = made.map(({ name }) => name).filter((name) => !validity.includes(name) && name !== isDeleted);
    const columns = snapshot.checkColumns === "all" ? own : snapshot.checkColumns;
    return columns.map((name) => `kept.${identifier(name)} is distinct from made.${identifier(name)}`).join(" or ");
}

function timestamp(now: string): string {
    return `timestamp '${now.replace("T", " ").replace("Z", "")}'`;
}
