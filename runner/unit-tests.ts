import type { Columns } from "./check.ts";
import { compareRelations, differenceText } from "./compare.ts";
import { compile } from "./compile.ts";
import { csvRecords } from "./csv.ts";
import { referenceOf } from "./data-tests.ts";
import { type Column, type Database, identifier, literal, SqlError } from "./duckdb.ts";
import { type Graph, reach } from "./graph.ts";
import type { Node, Project } from "./nodes.ts";
import type { Problem } from "./problem.ts";
import type { Rows, UnitTest } from "./properties.ts";

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
    const { text = "", increment } = compile(project, graph, needed).get(model.name) ?? {};
    const sql = test.isIncremental ? (increment?.text ?? text) : text;
    try {
        for (const name of needed) {
            const node = project.nodes.get(name);
            if (node === undefined || node.kind === "test") continue;
            await createTable(database, tableOf(name), columns.get(name) ?? []);
        }
        for (const { input, rows } of test.given) {
            const name = input === "this" ? model.name : (referenceOf(input) ?? "");
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

const shownDifferences = 10;

/** How what is made differs from what is expected, if it does; rows are paired by the model's key where the test names it. */
async function compare(
    database: Database,
    names: readonly string[],
    uniqueKey: readonly string[],
): Promise<string | undefined> {
    const key = uniqueKey.every((name) => names.includes(name)) ? uniqueKey : [];
    const { added, gone, changed, rows } = await compareRelations(database, {
        ...{ before: "expected", after: "actual", columns: names, key, limit: shownDifferences },
    });
    const total = added + gone + changed;
    if (total === 0) return undefined;
    const shown = rows.map((row) => `\n    ${differenceText(row, key)}`);
    const more = total > rows.length ? `\n    and ${total - rows.length} more` : "";
    return `the rows differ (- expected, + made, ~ changed):${shown.join("")}${more}`;
}
