import { existsSync } from "node:fs";
import { type Database, literal, type Row } from "./duckdb.ts";
import type { Inputs } from "./fingerprint.ts";
import type { Project } from "./nodes.ts";
import { attachWork, type OpenOptions, placesOf, workCatalog } from "./open.ts";

/**
 * What became of a node last. Of a model or seed: built; failed; stale (it was skipped because of what failed before it,
 * and holds older data or none). Of a test: passed, warned, failed.
 */
export type State = "built" | "stale" | "passed" | "warned" | "failed";

export interface Remembered {
    readonly state: State;
    readonly runId: string;
    readonly inputs: Inputs;
}

/** What the work file knows of earlier runs, for the builder's own use. */
export interface Memory {
    readonly nodes: ReadonlyMap<string, Remembered>;
    /** Models and seeds that stand in the work file. */
    readonly relations: ReadonlySet<string>;
    /** The contents that were found sound (`checkedContent`). */
    readonly checked: ReadonlySet<string>;
    /** What each model was made of (`fingerprint`) when its lineage was last written. */
    readonly traced: ReadonlyMap<string, string>;
}

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
    if (!existsSync(placesOf(project).work)) {
        return { nodes: new Map(), relations: new Set(), checked: new Set(), traced: new Map() };
    }
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
    const standing = await database.rows(
        `select table_schema as schema, table_name as name from information_schema.tables
         where table_catalog = ${literal(workCatalog)}`,
    );
    const names = (schema: string): string[] =>
        standing.filter((row) => row.schema === schema).map((row) => String(row.name));
    const tablesThere = new Set(names("meta"));
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
        relations: new Set(names("main")),
        checked: new Set(checked.map((row) => String(row.content))),
        traced: new Map(traced.map((row) => [String(row.node), String(row.content)])),
    };
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

/** Keeps that a content was found sound: one line of 64 letters for each that ever was. */
export async function rememberChecked(database: Database, content: string): Promise<void> {
    await database.run(`insert or ignore into meta.checked values (${literal(content)})`);
}
