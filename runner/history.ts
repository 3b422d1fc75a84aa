import { type Database, literal } from "./duckdb.ts";
import type { FreshnessResult } from "./freshness.ts";
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
)`;

/** Makes the tables of `meta` where they are not there yet. */
export async function prepareHistory(database: Database): Promise<void> {
    for (const statement of tables.split(";\n")) await database.run(statement);
}

/** Writes a finished run into the history. `status` is what the command came to: "success" or "error". */
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
        await database.run("delete from meta.columns");
        const stand = await database.rows(
            `select table_name as node, column_name, ordinal_position as position, data_type
             from information_schema.columns where table_catalog = ${literal(workCatalog)} and table_schema = 'main'`,
        );
        await insert(
            "columns",
            stand.flatMap((row) => {
                const node = project.nodes.get(String(row.node));
                if (node === undefined || node.kind === "test") return [];
                const name = String(row.column_name);
                const description = node.columns.find((column) => column.name === name)?.description ?? "";
                const facts = [literal(name), row.position, literal(String(row.data_type)), literal(description)];
                return [`(${literal(node.name)}, ${facts.join(", ")})`];
            }),
        );
    });
    await database.run("checkpoint");
}

/** Corrects what a run came to, when that shows only after it was recorded. */
export async function recordStatus(database: Database, runId: string, status: string): Promise<void> {
    await database.run(`update meta.runs set status = ${literal(status)} where run_id = ${literal(runId)}`);
}
