import { type Database, literal } from "./duckdb.ts";
import type { Project } from "./nodes.ts";
import { workCatalog } from "./open.ts";
import type { Result } from "./run.ts";

// What the work file remembers in its schema `meta`. All but node_state is published with the models.

/**
 * built: its data stands, but not all of its tests have passed on it; passed: they have; failed: it, or one of its tests,
 * did not; stale: it was skipped because of what failed before it, and holds older data or none.
 */
export type State = "built" | "passed" | "failed" | "stale";

/** One command that ran nodes. Times are ISO 8601 in UTC. */
export interface Run {
    readonly runId: string;
    readonly command: string;
    readonly startedAt: string;
}

const tables = `
create schema if not exists meta;
create table if not exists meta.node_state (node varchar primary key, state varchar, run_id varchar);
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
create table if not exists meta.columns (
    node varchar, column_name varchar, position integer, data_type varchar, description varchar
)`;

/** Makes the tables of `meta` where they are not there yet. */
export async function prepareState(database: Database): Promise<void> {
    for (const statement of tables.split(";\n")) await database.run(statement);
}

export async function saveState(
    database: Database,
    nodes: readonly string[],
    { state, runId }: { state: State; runId: string },
): Promise<void> {
    for (const node of nodes) {
        await database.run(
            `insert into meta.node_state values (${[node, state, runId].map(literal).join(", ")})
             on conflict (node) do update set state = excluded.state, run_id = excluded.run_id`,
        );
    }
}

/** The state of each node that was ever built in this work file, with the run that left it so. */
export async function readState(database: Database): Promise<Map<string, { state: State; runId: string }>> {
    const rows = await database.rows("select node, state, run_id from meta.node_state");
    return new Map(rows.map((row) => [String(row.node), { state: row.state as State, runId: String(row.run_id) }]));
}

/** Relations of which every test ran in this run, and none failed, have passed. */
export async function settleState(
    database: Database,
    project: Project,
    { results, runId }: { results: readonly Result[]; runId: string },
): Promise<void> {
    const clean = new Set(
        results.filter(({ status }) => status === "pass" || status === "warn").map(({ node }) => node.name),
    );
    const states = await readState(database);
    const tests = [...project.nodes.values()].filter((node) => node.kind === "test");
    const passed = [...states.keys()].filter((name) => {
        if (states.get(name)?.state !== "built") return false;
        return tests.every((test) => !test.parents.includes(name) || clean.has(test.name));
    });
    await saveState(database, passed, { state: "passed", runId });
}

/** Writes a finished run into the history. `status` is what the command came to: "success" or "error". */
export async function recordRun(
    database: Database,
    project: Project,
    { run, status, results }: { run: Run; status: string; results: readonly Result[] },
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
