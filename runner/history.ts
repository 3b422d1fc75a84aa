import { type Database, literal, type Row } from "./duckdb.ts";
import type { FreshnessResult } from "./freshness.ts";
import { type Edge, inheritedDescriptions } from "./lineage.ts";
import type { Project } from "./nodes.ts";
import { workCatalog } from "./open.ts";
import type { Result } from "./run.ts";

// The history of runs in the schema `meta` of the work file, which is published with the models.

/** One command that ran nodes. Times are ISO 8601 in UTC. */
export interface Run {
    readonly runId: string;
    readonly command: string;
    readonly startedAt: string;
}

const tables = `
create schema if not exists meta;
create table if not exists meta.runs (
    run_id varchar primary key, command varchar, target varchar, status varchar, started_at timestamp, ended_at timestamp
);
create table if not exists meta.nodes (
    run_id varchar, node varchar, kind varchar, materialized varchar, status varchar, row_count bigint, seconds double,
    message varchar
);
create table if not exists meta.test_results (
    run_id varchar, test varchar, node varchar, column_name varchar, severity varchar, status varchar, failures bigint,
    seconds double, message varchar, description varchar
);
create table if not exists meta.source_freshness (
    run_id varchar, source varchar, max_loaded_at timestamp, checked_at timestamp, age_seconds double, status varchar
);
create table if not exists meta.columns (
    node varchar, column_name varchar, position integer, data_type varchar, description varchar
);
-- Work files of older versions have the table without it.
alter table meta.columns add column if not exists inherited_from varchar;
create table if not exists meta.lineage (
    node varchar, column_name varchar, parent varchar, parent_column varchar, kind varchar
)`;

/** Makes the tables of `meta` where they are not there yet. */
export async function prepareHistory(database: Database): Promise<void> {
    for (const statement of tables.split(";\n")) await database.run(statement);
}

/** Writes a finished run into the history. `status` is what the command came to: "success", "error" or "interrupted". */
export async function recordRun(
    database: Database,
    project: Project,
    {
        run,
        status,
        results,
        freshness = [],
    }: { run: Run; status: string; results: readonly Result[]; freshness?: readonly FreshnessResult[] },
): Promise<void> {
    const text = (value: string | undefined): string => (value === undefined ? "null" : literal(value));
    const number = (value: number | undefined): string => (value === undefined ? "null" : String(value));
    const insert = async (table: string, rows: readonly string[]): Promise<void> => {
        if (rows.length > 0) await database.run(`insert into meta.${table} values\n${rows.join(",\n")}`);
    };
    await database.transaction(async () => {
        const times = `${literal(run.startedAt)}::timestamp, ${literal(new Date().toISOString())}::timestamp`;
        const [id, command, target] = [run.runId, run.command, project.target.name].map(literal);
        await insert("runs", [`(${id}, ${command}, ${target}, ${literal(status)}, ${times})`]);
        await insert(
            "nodes",
            results.flatMap(({ node, status, rows, seconds, message }) => {
                if (node.kind === "test") return [];
                const kind = node.kind === "model" ? literal(node.materialized) : "null";
                const facts = [literal(status), number(rows), number(seconds), text(message)].join(", ");
                return [`(${id}, ${literal(node.name)}, ${literal(node.kind)}, ${kind}, ${facts})`];
            }),
        );
        await insert(
            "test_results",
            results.flatMap(({ node, status, failures, seconds, message }) => {
                if (node.kind !== "test") return [];
                const test = [literal(node.name), text(node.on), text(node.column), literal(node.severity)].join(", ");
                const facts = [literal(status), number(failures), number(seconds), text(message)].join(", ");
                return [`(${id}, ${test}, ${facts}, ${literal(node.description)})`];
            }),
        );
        await insert(
            "source_freshness",
            freshness.map(({ source, maxLoadedAt, snapshottedAt, ageSeconds, status: state }) => {
                const time = maxLoadedAt === undefined ? "null" : `${literal(maxLoadedAt)}::timestamp`;
                const facts = [literal(source), time, `${literal(snapshottedAt)}::timestamp`, number(ageSeconds)];
                return `(${id}, ${facts.join(", ")}, ${literal(state)})`;
            }),
        );
        await recordColumns(database, project);
    });
    await database.run("checkpoint");
}

/** Writes the columns of all that stands, as they are described now. To be called in a transaction. */
export async function recordColumns(database: Database, project: Project): Promise<void> {
    const inherited = inheritedDescriptions(project, await readLineage(database));
    const stand = await database.rows(
        `select table_name as node, column_name, ordinal_position as position, data_type
         from information_schema.columns where table_catalog = ${literal(workCatalog)} and table_schema = 'main'`,
    );
    const rows = stand.flatMap((row): Row[] => {
        const node = project.nodes.get(String(row.node));
        if (node === undefined || node.kind === "test") return [];
        const name = String(row.column_name);
        const own = node.columns.find((column) => column.name.toLowerCase() === name.toLowerCase());
        const found = inherited.get(node.name)?.get(name);
        return [
            { ...row, description: found?.description ?? own?.description ?? "", inherited_from: found?.from ?? null },
        ];
    });
    await database.run("delete from meta.columns");
    await insertRows(database, "columns", rows);
}

/**
 * Writes the lineage of models, in place of what was known of them and of models that are no more. `traced` are the
 * models with the fingerprints of what they are made of.
 */
export async function recordLineage(
    database: Database,
    project: Project,
    { edges, traced }: { edges: readonly Edge[]; traced: ReadonlyMap<string, string> },
): Promise<void> {
    const old = (await database.rows("select distinct node from meta.lineage"))
        .map(({ node }) => String(node))
        .filter((node) => traced.has(node) || project.nodes.get(node)?.kind !== "model");
    const rows = edges.map(({ column, parentColumn, ...edge }) => ({
        ...edge,
        column_name: column,
        parent_column: parentColumn,
    }));
    await database.transaction(async () => {
        if (old.length > 0)
            await database.run(`delete from meta.lineage where node in (${old.map(literal).join(", ")})`);
        await insertRows(database, "lineage", rows);
        const contents = [...traced].map(([node, content]) => `(${literal(node)}, ${literal(content)})`);
        await database.run(`insert or replace into meta.traced values\n${contents.join(",\n")}`);
    });
}

/** The lineage of the models as they were last built. */
export async function readLineage(database: Database): Promise<readonly Edge[]> {
    const rows = await database.rows("from meta.lineage order by rowid");
    return rows.map((row) => ({
        node: String(row.node),
        column: String(row.column_name),
        parent: String(row.parent),
        parentColumn: String(row.parent_column),
        kind: row.kind === "pass-through" ? "pass-through" : "transformed",
    }));
}

/** As JSON, which DuckDB reads four times as fast as VALUES. */
async function insertRows(database: Database, table: string, rows: readonly Row[]): Promise<void> {
    const [first] = rows;
    if (first === undefined) return;
    const structure = [Object.fromEntries(Object.keys(first).map((name) => [name, "VARCHAR"]))];
    const [data, type] = [rows, structure].map((value) => literal(JSON.stringify(value)));
    await database.run(
        `insert into meta.${table} by name
         select unnest(from_json(${data}, ${type}), max_depth := 2)`,
    );
}

/** Corrects what a run came to, when that shows only after it was recorded. */
export async function recordStatus(database: Database, runId: string, status: string): Promise<void> {
    await database.run(`update meta.runs set status = ${literal(status)} where run_id = ${literal(runId)}`);
}
