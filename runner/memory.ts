import { existsSync } from "node:fs";
import { type Column, type Database, literal, type Row } from "./duckdb.ts";
import type { Inputs } from "./fingerprint.ts";
import type { Project } from "./nodes.ts";
import { attachWork, type OpenOptions, placesOf, workCatalog } from "./open.ts";

/**
 * What became of a node last. Of a model or seed: built; failed; stale (it was skipped because of what failed before it,
 * and holds older data or none). Of a test: passed, warned, failed. Of all: outdated (what it reads was made anew since).
 */
export type State = "built" | "stale" | "passed" | "warned" | "failed" | "outdated";

export interface Remembered {
    readonly state: State;
    readonly runId: string;
    readonly inputs: Inputs;
}

/** A relation of the work file, or of what is published. */
export interface Standing {
    readonly kind: "table" | "view";
    readonly columns: readonly Column[];
}

/** What the work file knows of earlier runs, for the builder's own use. */
export interface Memory {
    readonly nodes: ReadonlyMap<string, Remembered>;
    /** Models and seeds that stand in the work file. */
    readonly relations: ReadonlyMap<string, Standing>;
    /** The contents that were found sound (`checkedContent`). */
    readonly checked: ReadonlySet<string>;
    /** What each model was made of (`fingerprint`) when its lineage was last written. */
    readonly traced: ReadonlyMap<string, string>;
}

/** The memory of a work file that is empty. */
export const noMemory: Memory = {
    nodes: new Map(),
    relations: new Map(),
    checked: new Set(),
    traced: new Map(),
};

const tables = [
    "create schema if not exists meta",
    "create table if not exists meta.memory (node varchar primary key, state varchar, run_id varchar, inputs varchar)",
    "create table if not exists meta.checked (content varchar primary key)",
    "create table if not exists meta.traced (node varchar primary key, content varchar)",
];

/** Makes the tables of the memory where they are not there yet. */
export async function prepareMemory(database: Database): Promise<void> {
    for (const statement of tables) await database.run(statement);
}

/** Reads the memory of a work file without holding it. Before the first run there is nothing in it. */
export async function recall(database: Database, project: Project, options: OpenOptions): Promise<Memory> {
    if (!existsSync(placesOf(project).work)) return noMemory;
    await attachWork(database, project, { write: false, ...options });
    try {
        return await readMemory(database);
    } finally {
        await database.run("use memory");
        await database.run(`detach ${workCatalog}`);
    }
}

/** Reads the memory of the work file that is attached. */
export async function readMemory(database: Database): Promise<Memory> {
    const names = await database.rows(
        `select table_name as name from duckdb_tables() where database_name = ${literal(workCatalog)} and schema_name = 'meta'`,
    );
    const tablesThere = new Set(names.map((row) => String(row.name)));
    const rowsOf = async (table: string): Promise<Row[]> =>
        tablesThere.has(table) ? database.rows(`from meta.${table}`) : [];
    const [nodes, checked, traced] = [await rowsOf("memory"), await rowsOf("checked"), await rowsOf("traced")];
    return {
        nodes: new Map(
            nodes.map((row) => [
                String(row.node),
                {
                    state: row.state as State,
                    runId: String(row.run_id),
                    inputs: JSON.parse(String(row.inputs)) as Inputs,
                },
            ]),
        ),
        relations: await standingIn(database, workCatalog),
        checked: new Set(checked.map((row) => String(row.content))),
        traced: new Map(traced.map((row) => [String(row.node), String(row.content)])),
    };
}

/** The relations of the schema main of an attached file. */
export async function standingIn(database: Database, catalog: string): Promise<ReadonlyMap<string, Standing>> {
    const rows = await database.rows(
        `select c.table_name as relation, c.column_name as name, c.data_type as type, v.view_name is not null as is_view
         from duckdb_columns() as c
         left join duckdb_views() as v
             on v.database_name = c.database_name and v.schema_name = c.schema_name and v.view_name = c.table_name
         where c.database_name = ${literal(catalog)} and c.schema_name = 'main'
         order by c.table_name, c.column_index`,
    );
    const standing = new Map<string, { kind: Standing["kind"]; columns: Column[] }>();
    for (const { relation, name, type, is_view } of rows) {
        const found = standing.get(String(relation)) ?? { kind: is_view === true ? "view" : "table", columns: [] };
        found.columns.push({ name: String(name), type: String(type) });
        standing.set(String(relation), found);
    }
    return standing;
}

/** Keeps what became of nodes. To be called in the transaction that changes their data, so that both stand or neither. */
export async function remember(database: Database, nodes: ReadonlyMap<string, Remembered>): Promise<void> {
    if (nodes.size === 0) return;
    const rows = [...nodes].map(
        ([name, { state, runId, inputs }]) =>
            `(${[name, state, runId, JSON.stringify(inputs)].map(literal).join(", ")})`,
    );
    await database.run(`insert or replace into meta.memory values\n${rows.join(",\n")}`);
}

/** Keeps that what these nodes read was made anew since. To be called in the transaction that makes it. */
export async function outdate(database: Database, nodes: readonly string[]): Promise<void> {
    if (nodes.length === 0) return;
    await database.run(
        `update meta.memory set state = 'outdated'
         where state in ('built', 'passed', 'warned') and node in (${nodes.map(literal).join(", ")})`,
    );
}

/** Keeps that a content was found sound: one line of 64 letters for each that ever was. */
export async function rememberChecked(database: Database, content: string): Promise<void> {
    await database.run(`insert or ignore into meta.checked values (${literal(content)})`);
}
