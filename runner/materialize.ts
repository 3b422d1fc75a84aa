import { type NodeSql, relationOf, windowStart } from "./compile.ts";
import { type Column, type Database, identifier, literal, SqlError } from "./duckdb.ts";
import { alterTable, schemaChange, takeIn } from "./incremental.ts";
import type { Model, Project, Seed } from "./nodes.ts";
import { workCatalog } from "./open.ts";
import { readSeed } from "./seeds.ts";
import { rejectUntoldRows, snapshotRows, takeSnapshot } from "./snapshot.ts";
import type { Rendered } from "./template.ts";

export interface MaterializeOptions {
    readonly project: Project;
    /** Of models: {@link renderingOf} the run. */
    readonly sql: Rendered | undefined;
    /** The columns of the table that the node goes on from, if it does. */
    readonly kept: readonly Column[] | undefined;
    /** The time of the run, in UTC, ISO 8601. */
    readonly now: string;
    /** Called in the transaction that changes the relation, so that both stand or neither. */
    readonly remember: () => Promise<void>;
}

export interface Materialized {
    /** Of a table: how many it has now. */
    readonly rows?: number;
    /** Of a table that went on from what stood: how many rows the run brought. */
    readonly newRows?: number;
}

/**
 * The SQL that makes a model: what goes on from a table has the SQL of incremental runs. Into one that is empty goes all,
 * because `where id > (select max(id) from {{this}})` takes nothing while there is nothing.
 */
export async function renderingOf(
    database: Database,
    model: Model,
    { sql, isKept }: { sql: NodeSql | undefined; isKept: boolean },
): Promise<Rendered | undefined> {
    if (!isKept || sql?.increment === undefined) return sql;
    const isEmpty = (await database.value(`select 1 from ${relationOf(model)} limit 1`)) === null;
    return isEmpty ? sql : sql.increment;
}

/**
 * Makes a seed or model in the work file, or goes on with what stands there.
 * @throws SqlError whose offset, if it has one, is in `sql`; nothing has changed then.
 */
export async function materialize(
    database: Database,
    node: Model | Seed,
    options: MaterializeOptions,
): Promise<Materialized> {
    const { kept } = options;
    if (node.kind === "model" && kept !== undefined) return goOn(database, node, { ...options, kept });
    return makeAnew(database, node, options);
}

async function makeAnew(
    database: Database,
    node: Model | Seed,
    { project, sql, now, remember }: MaterializeOptions,
): Promise<Materialized> {
    const kind = node.kind === "model" && node.materialized === "view" ? "view" : "table";
    const name = `main.${identifier(node.name)}`;
    const isSnapshot = node.kind === "model" && node.snapshot !== undefined;
    const { before, after } = isSnapshot ? snapshotRows(node, now) : { before: "", after: "" };
    const query = node.kind === "seed" ? `select * from ${readSeed(project, node)}` : (sql?.text ?? "");
    let rows = 0;
    await database.transaction(async () => {
        await dropOtherKind(database, node.name, kind);
        await runAround(database, { before: `create or replace ${kind} ${name} as\n${before}`, sql: query, after });
        if (isSnapshot) await rejectUntoldRows(database, node, name);
        if (kind === "table") rows = await rowsOf(database, name);
        await remember();
    });
    return kind === "table" ? { rows } : {};
}

const increment = "temp.main.shelfmark_increment";

/** Takes what the model's SQL gives into the table that stands. */
async function goOn(
    database: Database,
    model: Model,
    { sql, kept, now, remember }: MaterializeOptions & { kept: readonly Column[] },
): Promise<Materialized> {
    const relation = relationOf(model);
    const window = model.incremental?.window;
    const start = window === undefined ? null : await database.value(windowStart(model));
    // What has no time belongs to no window: it is made anew where the run gives any.
    const isInWindow =
        window === undefined || start === null
            ? "true"
            : `(${identifier(window.eventTime)} >= ${literal(String(start))} or ${identifier(window.eventTime)} is null)`;
    const time = identifier(window?.eventTime ?? "");
    const isReplaced = `${isInWindow} and (${time} is not null or exists (from ${increment} where ${time} is null))`;
    const around =
        model.snapshot === undefined
            ? { before: "select * from (\n", after: `\n) as made where ${isInWindow}` }
            : snapshotRows(model, now);
    let [rows, newRows] = [0, 0];
    await database.run("drop table if exists temp.main.shelfmark_increment");
    try {
        await database.transaction(async () => {
            await runAround(database, {
                ...around,
                before: `create temp table shelfmark_increment as\n${around.before}`,
                sql: sql?.text ?? "",
            });
            const made = await database.columns(increment);
            if (model.snapshot === undefined) {
                const change = schemaChange(model, { kept, made });
                if (typeof change === "string") throw new SqlError(change, {});
                if (window !== undefined) await database.run(`delete from ${relation} where ${isReplaced}`);
                await alterTable(database, relation, change);
                await takeIn(database, model, { relation, increment, filled: change.filled });
                newRows = await rowsOf(database, increment);
            } else {
                await rejectUntoldRows(database, model, increment);
                newRows = await takeSnapshot(database, model, { relation, increment, kept, made, now });
            }
            rows = await rowsOf(database, relation);
            await remember();
        });
    } finally {
        for (const table of ["increment", "begin", "gone"]) {
            await database.run(`drop table if exists temp.main.shelfmark_${table}`);
        }
    }
    return { rows, newRows };
}

async function rowsOf(database: Database, relation: string): Promise<number> {
    return Number(await database.value(`select count(*) from ${relation}`));
}

/** Runs an author's SQL with text around it; where it is wrong is told as a place in the SQL. */
async function runAround(
    database: Database,
    { before, sql, after = "" }: { before: string; sql: string; after?: string },
): Promise<void> {
    try {
        await database.run(`${before}${sql}\n${after}`);
    } catch (error) {
        throw error instanceof SqlError ? error.after(before.length) : error;
    }
}

/** `create or replace table` refuses where a view of the name stands, and the other way round. */
async function dropOtherKind(database: Database, name: string, kind: "table" | "view"): Promise<void> {
    const other = kind === "table" ? "view" : "table";
    const found = await database.value(
        `select count(*) from duckdb_${other}s() where database_name = ${literal(workCatalog)}
         and schema_name = 'main' and ${other}_name = ${literal(name)}`,
    );
    if (Number(found) > 0) await database.run(`drop ${other} main.${identifier(name)}`);
}
