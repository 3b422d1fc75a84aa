import { type Column, type Database, identifier, type Row, SqlError } from "./duckdb.ts";
import type { Incremental, Model } from "./nodes.ts";
import { valueText } from "./text.ts";

/** What must become of a kept table's columns before the rows of a run fit into it. */
export interface SchemaChange {
    readonly add: readonly Column[];
    readonly drop: readonly string[];
    readonly retype: readonly Column[];
    /** The columns that the rows of the run fill. */
    readonly filled: readonly string[];
    /** What the table then has. */
    readonly result: readonly Column[];
}

/** What `on_schema_change` makes of the difference between a kept table and what the SQL makes now, or why it can't. */
export function schemaChange(
    { name, incremental }: Model,
    { kept, made }: { kept: readonly Column[]; made: readonly Column[] },
): SchemaChange | string {
    const find = (columns: readonly Column[], { name: wanted }: Column): Column | undefined =>
        columns.find((column) => column.name.toLowerCase() === wanted.toLowerCase());
    const added = made.filter((column) => find(kept, column) === undefined);
    const gone = kept.filter((column) => find(made, column) === undefined);
    const retyped = made.filter((column) => (find(kept, column)?.type ?? column.type) !== column.type);
    const mode: Incremental["onSchemaChange"] = incremental?.onSchemaChange ?? "fail";
    const none: SchemaChange = { add: [], drop: [], retype: [], filled: made.map((c) => c.name), result: kept };
    if (added.length + gone.length + retyped.length === 0) return none;
    const anew = incremental?.fullRefresh === false ? "" : ", or make the table anew with --full-refresh";
    const remedy = `set on_schema_change${anew}`;
    if (mode === "fail") {
        const changes = [
            ...added.map((column) => `+ ${column.name} ${column.type}`),
            ...gone.map((column) => `- ${column.name}`),
            ...retyped.map((column) => `~ ${column.name} ${find(kept, column)?.type} to ${column.type}`),
        ];
        return `"${name}" is kept with other columns than its SQL now gives (${changes.join(", ")}): ${remedy}`;
    }
    if (mode === "ignore") {
        const [missing] = gone;
        if (missing !== undefined) {
            return `"${name}" is kept with a column "${missing.name}" that its SQL no longer gives, which on_schema_change: ignore can't fill; append_new_columns or sync_all_columns can`;
        }
        return { ...none, filled: kept.map((column) => column.name) };
    }
    const time = incremental?.window?.eventTime.toLowerCase();
    if (added.some(({ name }) => name.toLowerCase() === time)) {
        return `"${name}" is kept without its event_time "${incremental?.window?.eventTime}": make the table anew with --full-refresh`;
    }
    if (mode === "append_new_columns") return { ...none, add: added, result: [...kept, ...added] };
    const left = kept.filter((column) => !gone.includes(column));
    return {
        ...none,
        add: added,
        drop: gone.map((column) => column.name),
        retype: retyped,
        result: [...left.map((column) => find(made, column) ?? column), ...added],
    };
}

/** In what an incremental run's columns differ from those of a first run, if they do. */
export function incrementMistake(made: readonly Column[], increment: readonly Column[]): string | undefined {
    const inRun = new Map(increment.map(({ name, type }) => [name.toLowerCase(), type]));
    const names = made.map(({ name }) => name.toLowerCase());
    const extra = [...inRun.keys()].find((name) => !names.includes(name));
    if (extra !== undefined) return `an incremental run gives a column "${extra}", which a first run does not`;
    for (const { name, type } of made) {
        const other = inRun.get(name.toLowerCase());
        if (other === undefined) return `an incremental run gives no column "${name}", but a first run does`;
        if (other !== type) return `an incremental run gives "${name}" as ${other}, a first run as ${type}`;
    }
    return undefined;
}

/**
 * Changes a table's columns as decided. To be called in the transaction that fills them.
 * @throws SqlError when a value that stands would not be itself in its column's new type.
 */
export async function alterTable(
    database: Database,
    relation: string,
    { add, drop, retype }: Pick<SchemaChange, "add" | "drop" | "retype">,
): Promise<void> {
    const alter = (what: string): Promise<void> => runOwn(database, `alter table ${relation} ${what}`);
    for (const { name, type } of add) await alter(`add column ${identifier(name)} ${type}`);
    for (const name of drop) await alter(`drop column ${identifier(name)}`);
    const types = retype.length === 0 ? new Map() : await typesOf(database, relation);
    const remedy = "cast it, or make the table anew with --full-refresh";
    for (const { name, type } of retype) {
        await rejectLoss(database, relation, { name, from: types.get(name.toLowerCase()) ?? type, to: type, remedy });
        await alter(`alter column ${identifier(name)} type ${type}`);
    }
}

/** Runs SQL that no author wrote: a mistake has no place in theirs. */
async function runOwn(database: Database, sql: string): Promise<void> {
    try {
        await database.run(sql);
    } catch (error) {
        throw error instanceof SqlError ? new SqlError(error.message, { cause: error }) : error;
    }
}

/**
 * Takes the rows of `increment`, a table, into the kept table `relation`, as the model's strategy says.
 * @throws SqlError when a merge is given two rows of one key, and when a value would not be itself in its column.
 */
export async function takeIn(
    database: Database,
    model: Model,
    { relation, increment, filled }: { relation: string; increment: string; filled: readonly string[] },
): Promise<void> {
    const { strategy, mergeUpdate, mergeExclude = [] } = model.incremental ?? { strategy: "append" };
    const list = filled.map(identifier).join(", ");
    const insert = `insert into ${relation} (${list}) select ${list} from ${increment}`;
    const isSame = sameKey(model.uniqueKey);
    const [kept, made] = [await typesOf(database, relation), await typesOf(database, increment)];
    const remedy = "set on_schema_change: sync_all_columns, or cast it back";
    for (const name of filled) {
        const [to = "", from = ""] = [kept, made].map((types) => types.get(name.toLowerCase()));
        if (to !== from) await rejectLoss(database, increment, { name, from, to, remedy });
    }
    if (strategy === "merge") {
        await rejectRepeatedKeys(database, model, increment);
        const lower = (names: readonly string[]): string[] => names.map((name) => name.toLowerCase());
        const isSet = (name: string): boolean =>
            !lower(mergeExclude).includes(name) && (mergeUpdate === undefined || lower(mergeUpdate).includes(name));
        const keys = lower(model.uniqueKey);
        const set = filled.filter((name) => !keys.includes(name.toLowerCase()) && isSet(name.toLowerCase()));
        const updates = set.map((name) => `${identifier(name)} = made.${identifier(name)}`).join(", ");
        const values = filled.map((name) => `made.${identifier(name)}`).join(", ");
        await runOwn(
            database,
            `merge into ${relation} as kept using ${increment} as made on ${isSame}
             ${updates === "" ? "" : `when matched then update set ${updates}`}
             when not matched then insert (${list}) values (${values})`,
        );
        return;
    }
    if (strategy === "delete+insert") {
        await runOwn(
            database,
            `delete from ${relation} as kept where exists (select 1 from ${increment} as made where ${isSame})`,
        );
    }
    await runOwn(database, insert);
}

/** Values of a column on their way into another type. */
interface Recast {
    readonly name: string;
    readonly from: string;
    readonly to: string;
    /** What is to be done where one would be lost. */
    readonly remedy: string;
}

/**
 * DuckDB would round 2.7 to 3 without a word on the way into a column of whole numbers.
 * @throws SqlError which names a value of `table` that would not be itself.
 */
async function rejectLoss(database: Database, table: string, { name, from, to, remedy }: Recast): Promise<void> {
    const column = identifier(name);
    const [row] = await database.rows(
        `select ${column} as lost from ${table}
         where try_cast(try_cast(${column} as ${to}) as ${from}) is distinct from ${column} limit 1`,
    );
    if (row === undefined) return;
    const value = valueText(row.lost ?? null);
    throw new SqlError(`"${name}" is ${from}, and its ${value} would be lost in a column of ${to}: ${remedy}`, {});
}

async function typesOf(database: Database, table: string): Promise<ReadonlyMap<string, string>> {
    return new Map((await database.columns(table)).map(({ name, type }) => [name.toLowerCase(), type]));
}

/** The condition that `kept` and `made` have the same key; NULL is a value here. */
export function sameKey(key: readonly string[]): string {
    return key.map((name) => `kept.${identifier(name)} is not distinct from made.${identifier(name)}`).join(" and ");
}

/** @throws SqlError which names the key that two rows of `relation` have; NULL is a value here. */
export async function rejectRepeatedKeys(database: Database, model: Model, relation: string): Promise<void> {
    const key = model.uniqueKey.map(identifier).join(", ");
    const [row] = await database.rows(
        `select ${key}, count(*) as shelfmark_rows from ${relation} group by ${key} having count(*) > 1 order by ${key} limit 1`,
    );
    if (row === undefined) return;
    const { shelfmark_rows: rows, ...values } = row;
    throw new SqlError(`${valueText(rows ?? null)} rows have the unique_key ${keyText(values)}`, {});
}

function keyText(values: Row): string {
    return Object.entries(values)
        .map(([name, value]) => `${name}=${valueText(value)}`)
        .join(", ");
}
