import { didYouMean } from "../common/nearest.ts";
import { inParallel } from "../common/parallel.ts";
import type { Columns } from "./check.ts";
import { compareRelations, differenceText, keyAmong } from "./compare.ts";
import { compile, readsOf } from "./compile.ts";
import { csvObjects } from "./csv.ts";
import { referenceOf } from "./data-tests.ts";
import { type Column, createEmpty, type Database, identifier, literal, SqlError } from "./duckdb.ts";
import type { Graph } from "./graph.ts";
import { isEphemeral, type Node, type Project } from "./nodes.ts";
import type { Position, Problem } from "./problem.ts";
import type { MacroTest, Rows, RowsAt, UnitTest } from "./properties.ts";

/**
 * Runs unit tests in memory: each model's SQL on the rows that are given, inputs that are not given empty, columns that are
 * not given NULL, all of the types that the check found. The differences are returned, one problem a test.
 * `columns` must hold the models and all that they read.
 */
export async function runUnitTests(
    connections: Connections,
    project: Project,
    { graph, columns, tests }: { graph: Graph; columns: Columns; tests: readonly UnitTest[] },
): Promise<Problem[]> {
    if (tests.length === 0) return [];
    return inFixtures(connections, () =>
        problemsOf(connections, tests, (database, test) =>
            difference(database, withFixtures(project, test.vars), { graph, columns, test }),
        ),
    );
}

/** What one connection is asked while another is: most of a unit test's time DuckDB plans statements, on one core. */
export type Connections = readonly [Database, ...Database[]];

/** What is wrong with each test, in the order of the tests. */
export async function problemsOf<Test extends UnitTest | MacroTest>(
    connections: Connections,
    tests: readonly Test[],
    problemOf: (database: Database, test: Test) => Promise<Problem | undefined>,
): Promise<Problem[]> {
    const problems = new Map<Test, Problem>();
    await inParallel(tests, connections.length, async (test, slot) => {
        const found = await problemOf(connections[slot] ?? connections[0], test);
        if (found === undefined) return;
        problems.set(test, { ...found, message: `unit test "${test.name}": ${found.message}`, subject: test });
    });
    return tests.flatMap((test) => problems.get(test) ?? []);
}

/** Does some work where `main.x` is, on each connection in a database in memory of its own, what a unit test gives for x. */
export async function inFixtures<T>(connections: Connections, work: () => Promise<T>): Promise<T> {
    const catalogs = connections.map((_, i) => `shelfmark_unit_${i}`);
    for (const [i, database] of connections.entries()) {
        await database.run(`attach ':memory:' as ${catalogs[i]}`);
        await database.run(`use ${catalogs[i]}`);
    }
    try {
        return await work();
    } finally {
        for (const [i, database] of connections.entries()) {
            await database.run("use memory");
            await database.run(`detach ${catalogs[i]}`);
        }
    }
}

/** The project as a unit test sees it: vars of its own, and every source a table beside the models. */
export function withFixtures(project: Project, vars: UnitTest["vars"]): Project {
    const nodes = [...project.nodes].map(([name, node]): [string, Node] => {
        if (node.kind !== "source") return [name, node];
        const { database: _, ...rest } = node;
        return [name, { ...rest, schema: "main", identifier: tableOf(node.name) }];
    });
    return { ...project, vars: { ...project.vars, ...vars }, nodes: new Map(nodes) };
}

/** The table that stands for a model, seed or source. */
export function tableOf(name: string): string {
    return name.replace(".", "__");
}

async function difference(
    database: Database,
    project: Project,
    { graph, columns, test }: { graph: Graph; columns: Columns; test: UnitTest },
): Promise<(Problem & { readonly at: Position }) | undefined> {
    const model = project.nodes.get(test.model);
    if (model?.kind !== "model") throw new Error(`${test.model} was not checked`);
    const read = [...readsOf(model, project)];
    const isInlined = (name: string): boolean => isEphemeral(project.nodes.get(name));
    const inputs = new Set([...read.filter((node) => !isEphemeral(node)), model].map((node) => node.name));
    const sql = testedSql(project, graph, test);
    try {
        for (const name of inputs) {
            await createEmpty(database, identifier(tableOf(name)), columns.get(name) ?? []);
        }
        for (const { input, rows, rowsAt, at } of test.given) {
            const name = input === "this" ? model.name : (referenceOf(input) ?? "");
            if (!inputs.has(name)) {
                const remedy = isInlined(name) ? ` as a table: it is ephemeral, so give what it reads` : "";
                return { message: `"${model.name}" does not read ${input}${remedy}`, at };
            }
            await fill(database, tableOf(name), { name, columns: columns.get(name) ?? [], rows, at: rowsAt });
        }
        const all = columns.get(model.name) ?? [];
        await createEmpty(database, "expected", all);
        const expectation = { name: model.name, columns: all, rows: test.expected, at: test.expectedAt };
        const named = await fill(database, "expected", expectation);
        await database.run(`create or replace table actual as select * from (\n${sql}\n) as made`);
        const message = await compare(database, named, model.uniqueKey);
        return message === undefined ? undefined : { message, at: test.at };
    } catch (error) {
        if (error instanceof FixtureError) return { message: error.message, at: error.at };
        if (error instanceof SqlError) return { message: error.message, at: test.at };
        throw error;
    }
}

/** The SQL that a unit test runs: of the model, or of its incremental run, with the ephemeral models that it reads. */
export function testedSql(
    project: Project,
    graph: Graph,
    { model: name, isIncremental }: Pick<UnitTest, "model" | "isIncremental">,
): string {
    const model = project.nodes.get(name);
    const inlined = model === undefined ? [] : [...readsOf(model, project)].filter(isEphemeral);
    const names = new Set([name, ...inlined.map((node) => node.name)]);
    const { text = "", increment } = compile(project, graph, names).get(name) ?? {};
    return isIncremental ? (increment?.text ?? text) : text;
}

class FixtureError extends Error {
    readonly at: Position;

    constructor(message: string, at: Position) {
        super(message);
        this.at = at;
    }
}

/** Rows for a table, and what it stands for. */
interface Fixture {
    readonly name: string;
    readonly columns: readonly Column[];
    readonly rows: Rows;
    readonly at: RowsAt;
}

/**
 * Puts rows into a table, each value cast to its column's type. Returns the columns that the rows name.
 * @throws FixtureError at the row that does not fit.
 */
async function fill(
    database: Database,
    table: string,
    { name: of, columns, rows, at }: Fixture,
): Promise<readonly string[]> {
    if (rows.format === "sql") {
        try {
            const names = await database.columnNames(rows.text);
            await database.run(`insert into ${identifier(table)} by name ${rows.text}`);
            return names;
        } catch (error) {
            if (error instanceof SqlError) throw new FixtureError(error.message, at.all);
            throw error;
        }
    }
    const records: readonly Readonly<Record<string, unknown>>[] = "text" in rows ? csvObjects(rows.text) : rows.rows;
    const known = columns.map((column) => column.name);
    const types = new Map(columns.map((column) => [column.name.toLowerCase(), column.type]));
    const named = new Set<string>();
    for (const [i, record] of records.entries()) {
        for (const name of Object.keys(record)) {
            named.add(name);
            if (types.has(name.toLowerCase())) continue;
            const remedy = didYouMean(name, known) || ` Columns at hand: ${known.join(", ")}`;
            throw new FixtureError(`"${of}" has no column "${name}".${remedy}`, at.each[i] ?? at.all);
        }
    }
    if (named.size === 0) {
        for (const _ of records) await database.run(`insert into ${identifier(table)} default values`);
        return known;
    }
    const names = [...named];
    const list = names.map(identifier).join(", ");
    const rowOf = (record: Readonly<Record<string, unknown>>): string =>
        `(${names.map((name) => cast(record[name], types.get(name.toLowerCase()) ?? "varchar")).join(", ")})`;
    for (const [i, record] of records.entries()) {
        const rounded = names.find((name) => isRounded(record[name], types.get(name.toLowerCase()) ?? ""));
        if (rounded === undefined) continue;
        const type = types.get(rounded.toLowerCase());
        throw new FixtureError(`"${rounded}" is ${type}, and ${record[rounded]} is not`, at.each[i] ?? at.all);
    }
    const insert = (some: typeof records): Promise<void> =>
        database.run(`insert into ${identifier(table)} (${list}) values\n${some.map(rowOf).join(",\n")}`);
    try {
        await insert(records);
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        // Which of them it was is told by the one that does not fit alone.
        for (const [i, record] of records.entries()) {
            await insert([record]).catch((cause: unknown) => {
                if (!(cause instanceof SqlError)) throw cause;
                throw new FixtureError(cause.message, at.each[i] ?? at.all);
            });
        }
        throw error;
    }
    return names;
}

/** Whether a cast would round a value, so that a model that rounds wrongly would pass. */
function isRounded(value: unknown, type: string): boolean {
    return /INT/.test(type) && /^\s*-?\d*\.0*[1-9]\d*\s*$/.test(String(value));
}

/** SQL for a value of a YAML file as one of a type. */
export function cast(value: unknown, type: string): string {
    if (value === null || value === undefined) return type === "" ? "null" : `cast(null as ${type})`;
    const isNested = typeof value === "object" && !(value instanceof Date);
    const text = value instanceof Date ? value.toISOString() : isNested ? JSON.stringify(value) : String(value);
    return `cast(${literal(text)}${isNested ? "::json" : ""} as ${type})`;
}

const shownDifferences = 10;

/** How what is made differs from what is expected, if it does; rows are paired by the model's key where the test names it. */
async function compare(
    database: Database,
    names: readonly string[],
    uniqueKey: readonly string[],
): Promise<string | undefined> {
    const key = keyAmong(names, uniqueKey);
    const { added, gone, changed, rows } = await compareRelations(database, {
        ...{ before: "expected", after: "actual", columns: names, key, limit: shownDifferences },
    });
    const total = added + gone + changed;
    if (total === 0) return undefined;
    const shown = rows.map((row) => `\n    ${differenceText(row, key)}`);
    const more = total > rows.length ? `\n    and ${total - rows.length} more` : "";
    return `the rows differ (- expected, + made, ~ changed):${shown.join("")}${more}`;
}
