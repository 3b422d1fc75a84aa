import type { Columns } from "./check.ts";
import { compile } from "./compile.ts";
import { csvRecords } from "./csv.ts";
import { referenceOf } from "./data-tests.ts";
import { type Column, type Database, identifier, literal, type Row, SqlError, type Value } from "./duckdb.ts";
import { type Graph, reach } from "./graph.ts";
import type { Node, Project } from "./nodes.ts";
import type { Problem } from "./problem.ts";
import type { Rows, UnitTest } from "./properties.ts";
import { valueText } from "./report.ts";

const catalog = "shelfmark_unit";

/**
 * Runs unit tests in memory: each model's SQL on the rows that are given, inputs that are not given empty, columns that are
 * not given NULL, all of the types that the check found. The differences are returned, one problem a test.
 * `columns` must hold the models and all that they read.
 */
export async function runUnitTests(
    database: Database,
    project: Project,
    { graph, columns, tests }: { graph: Graph; columns: Columns; tests: readonly UnitTest[] },
): Promise<Problem[]> {
    if (tests.length === 0) return [];
    await database.run(`attach ':memory:' as ${catalog}`);
    await database.run(`use ${catalog}`);
    try {
        const problems: Problem[] = [];
        for (const test of tests) {
            const message = await difference(database, withFixtures(project, test), { graph, columns, test });
            if (message !== undefined) problems.push({ message: `unit test "${test.name}": ${message}`, at: test.at });
        }
        return problems;
    } finally {
        await database.run("use memory");
        await database.run(`detach ${catalog}`);
    }
}

/** The project as the test sees it: its own vars, and every source a table beside the models. */
function withFixtures(project: Project, test: UnitTest): Project {
    const nodes = [...project.nodes].map(([name, node]): [string, Node] => {
        if (node.kind !== "source") return [name, node];
        const { database: _, ...rest } = node;
        return [name, { ...rest, schema: "main", identifier: tableOf(node.name) }];
    });
    return { ...project, vars: { ...project.vars, ...test.vars }, nodes: new Map(nodes) };
}

function tableOf(name: string): string {
    return name.replace(".", "__");
}

async function difference(
    database: Database,
    project: Project,
    { graph, columns, test }: { graph: Graph; columns: Columns; test: UnitTest },
): Promise<string | undefined> {
    const model = project.nodes.get(test.model);
    if (model?.kind !== "model") throw new Error(`${test.model} was not checked`);
    const needed = reach(graph.parents, [model.name]);
    const sql = compile(project, graph, needed).get(model.name)?.text ?? "";
    try {
        for (const name of needed) {
            const node = project.nodes.get(name);
            if (node === undefined || name === model.name || node.kind === "test") continue;
            await createTable(database, tableOf(name), columns.get(name) ?? []);
        }
        for (const { input, rows } of test.given) {
            const name = referenceOf(input) ?? "";
            if (!needed.has(name)) return `"${model.name}" does not read ${input}`;
            await fill(database, tableOf(name), { columns: columns.get(name) ?? [], rows });
        }
        const all = columns.get(model.name) ?? [];
        await createTable(database, "expected", all);
        const named = await fill(database, "expected", { columns: all, rows: test.expected });
        await database.run(`create or replace table actual as select * from (\n${sql}\n) as made`);
        return await compare(database, named, model.uniqueKey);
    } catch (error) {
        if (error instanceof SqlError) return error.message;
        if (error instanceof FixtureError) return error.message;
        throw error;
    }
}

class FixtureError extends Error {}

async function createTable(database: Database, name: string, columns: readonly Column[]): Promise<void> {
    const list = columns.map((column) => `${identifier(column.name)} ${column.type}`).join(", ");
    await database.run(`create or replace table ${identifier(name)} (${list})`);
}

/** Puts rows into a table, each value cast to its column's type. Returns the columns that the rows name. */
async function fill(
    database: Database,
    table: string,
    { columns, rows }: { columns: readonly Column[]; rows: Rows },
): Promise<readonly string[]> {
    if (rows.format === "sql") {
        const names = await database.columnNames(rows.text);
        await database.run(`insert into ${identifier(table)} by name ${rows.text}`);
        return names;
    }
    const records: readonly Readonly<Record<string, unknown>>[] = "text" in rows ? fromCsv(rows.text) : rows.rows;
    const names = [...new Set(records.flatMap((record) => Object.keys(record)))];
    const types = new Map(columns.map((column) => [column.name.toLowerCase(), column.type]));
    for (const name of names) {
        if (!types.has(name.toLowerCase())) {
            const known = columns.map((column) => column.name).join(", ");
            throw new FixtureError(`a row has a column "${name}", which ${table} has not. Columns at hand: ${known}`);
        }
    }
    if (names.length === 0) return columns.map((column) => column.name);
    for (const record of records) {
        const values = names.map((name) => cast(record[name], types.get(name.toLowerCase()) ?? "varchar"));
        await database.run(
            `insert into ${identifier(table)} (${names.map(identifier).join(", ")}) values (${values.join(", ")})`,
        );
    }
    return names;
}

function cast(value: unknown, type: string): string {
    if (value === null || value === undefined) return "null";
    const isNested = typeof value === "object" && !(value instanceof Date);
    const text = value instanceof Date ? value.toISOString() : isNested ? JSON.stringify(value) : String(value);
    return `cast(${literal(text)}${isNested ? "::json" : ""} as ${type})`;
}

function fromCsv(text: string): Record<string, string | null>[] {
    const [header, ...records] = [...csvRecords(`${text.trim()}\n`, ",")].map((record) =>
        record.fields.map((field) => field.text),
    );
    return records.map((fields) =>
        Object.fromEntries(
            (header ?? []).map((name, i) => [name.trim(), fields[i] === "" ? null : (fields[i] ?? null)]),
        ),
    );
}

/** What is expected and not made, and the other way round, paired by the model's key where the test names it. */
async function compare(
    database: Database,
    names: readonly string[],
    key: readonly string[],
): Promise<string | undefined> {
    const list = names.map(identifier).join(", ");
    const only = (a: string, b: string): Promise<Row[]> =>
        database.rows(`select ${list} from ${a} except all select ${list} from ${b} order by all`);
    const missing = await only("expected", "actual");
    const surplus = await only("actual", "expected");
    if (missing.length === 0 && surplus.length === 0) return undefined;
    const keys = key.length > 0 && key.every((name) => names.includes(name)) ? key : [];
    const keyOf = (row: Row): string => JSON.stringify(keys.map((name) => row[name] ?? null));
    const lines: string[] = [];
    const unpaired = [...surplus];
    for (const row of missing) {
        const at = keys.length === 0 ? -1 : unpaired.findIndex((other) => keyOf(other) === keyOf(row));
        const [other] = at < 0 ? [] : unpaired.splice(at, 1);
        lines.push(other === undefined ? `- ${rowText(row)}` : `~ ${changed(row, other, keys)}`);
    }
    lines.push(...unpaired.map((row) => `+ ${rowText(row)}`));
    const shown = lines.slice(0, 10).map((line) => `\n    ${line}`);
    const more = lines.length > 10 ? `\n    and ${lines.length - 10} more` : "";
    return `the rows differ (- expected, + made, ~ changed):${shown.join("")}${more}`;
}

function changed(expected: Row, made: Row, keys: readonly string[]): string {
    const cell = (name: string): string => `${name}=${valueText(expected[name] ?? null)}`;
    const cells = Object.keys(expected)
        .filter((name) => !keys.includes(name) && text(expected[name]) !== text(made[name]))
        .map((name) => `${cell(name)} but ${valueText(made[name] ?? null)}`);
    return [...keys.map(cell), ...cells].join("  ");
}

function text(value: Value | undefined): string {
    return JSON.stringify(value ?? null);
}

function rowText(row: Row): string {
    return Object.entries(row)
        .map(([name, value]) => `${name}=${valueText(value)}`)
        .join("  ");
}
