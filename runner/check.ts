import { existsSync } from "node:fs";
import { join } from "node:path";
import { didYouMean } from "../common/nearest.ts";
import { type Compiled, relationOf } from "./compile.ts";
import { type Column, type Database, identifier, SqlError } from "./duckdb.ts";
import { sourceInputs } from "./fingerprint.ts";
import { type Graph, reach } from "./graph.ts";
import type { DataTest, Model, Node, Project, Seed, Source } from "./nodes.ts";
import { failOn, type Problem } from "./problem.ts";
import type { ColumnProperty } from "./properties.ts";
import { readSeed, seedProblemOf, seedProblems, seedRows } from "./seeds.ts";
import { parseQueries, type Syntax } from "./syntax.ts";
import { locate, type Rendered } from "./template.ts";

/** The columns of every relation that was checked, by the node's name. */
export type Columns = ReadonlyMap<string, readonly Column[]>;

/**
 * Binds every model and test among `names`, and all that they read, against empty tables, with DuckDB's own binder:
 * what passes can't fail later on a name or a type. Nothing of the target is touched.
 * The files that sources live in must be attached to `database`; a source whose file is absent is taken from the
 * columns that its YAML declares.
 * @throws ProjectError with every mistake found, except those that only follow from another.
 */
export async function check(
    database: Database,
    project: Project,
    { graph, compiled, names }: { graph: Graph; compiled: Compiled; names: Iterable<string> },
): Promise<Columns> {
    const checker = await Checker.open(database);
    try {
        return await checker.check(project, { graph, compiled, names });
    } finally {
        await checker.close();
    }
}

/** What was found of a node without a mistake. It holds as long as all that it goes by is as it was. */
interface Sound {
    readonly basis: string;
    readonly read: readonly (readonly Column[])[];
    readonly columns: readonly Column[];
}

/**
 * A check that is kept for a project that is checked again and again. What was sound, is as it was, and reads columns that
 * are as they were, is not asked again.
 */
export class Checker {
    private readonly database: Database;
    private readonly sound = new Map<string, Sound>();
    /** The thresholds that DuckDB took, and what it calls types, by their text. */
    private readonly conditions = new Set<string>();
    private readonly types = new Map<string, string>();

    private constructor(database: Database) {
        this.database = database;
    }

    /** The files that sources live in must be attached to `database`, and stay so. */
    static async open(database: Database): Promise<Checker> {
        await database.run("attach ':memory:' as shelfmark_check");
        return new Checker(database);
    }

    async close(): Promise<void> {
        await this.database.run("detach shelfmark_check");
    }

    /** As {@link check}, of the project as it is now. */
    async check(
        project: Project,
        { graph, compiled, names }: { graph: Graph; compiled: Compiled; names: Iterable<string> },
    ): Promise<Columns> {
        const { database, sound, conditions, types } = this;
        const needed = reach(graph.parents, names);
        const nodes = graph.order.filter((node) => needed.has(node.name));
        const bases = new Map(nodes.map((node) => [node.name, basisOf(project, node, compiled)]));
        // SQL does not tell a name that is gone from a new one in another case, and so the table is no longer its own.
        for (const name of sound.keys()) if (!project.nodes.has(name)) sound.delete(name);
        const problems = new Map<Node, readonly Problem[]>();
        const columns = new Map<string, readonly Column[]>();
        const failed = new Set<string>();
        const isBlocked = (node: Node): boolean => node.parents.some((parent) => failed.has(parent));
        const news = nodes.filter((node) => sound.get(node.name)?.basis !== bases.get(node.name));
        await database.run("use shelfmark_check");
        try {
            const syntaxes = await syntaxesOf(database, news, compiled);
            const visit = async (node: Node, isBound = false): Promise<void> => {
                if (isBlocked(node)) {
                    failed.add(node.name);
                    return;
                }
                const basis = bases.get(node.name) ?? "";
                const read = node.parents.map((parent) => columns.get(parent) ?? []);
                const before = sound.get(node.name);
                if (before?.basis === basis && before.read.every((list, i) => isSame(list, read[i] ?? []))) {
                    columns.set(node.name, before.columns);
                    return;
                }
                sound.delete(node.name);
                const unreadable = node.kind === "seed" ? seedProblems(node) : [];
                if (unreadable.length > 0) {
                    failed.add(node.name);
                    problems.set(node, unreadable);
                    return;
                }
                const facts = { compiled, columns, syntax: syntaxes.get(node.name), conditions, isBound };
                const found = named(node, await checkNode(database, project, node, facts));
                const wrong =
                    "problem" in found
                        ? [found.problem]
                        : [...undocumented(node, found), ...(await breaches(database, node, { found, types }))];
                if (!("problem" in found)) columns.set(node.name, found);
                if (wrong.length > 0) failed.add(node.name);
                else if (!("problem" in found)) sound.set(node.name, { basis, read, columns: found });
                problems.set(node, wrong);
            };
            for (const node of nodes) if (node.kind !== "test") await visit(node);
            // Nothing reads a test: all can wait until many can be bound together.
            const ready = news.filter(
                (node) => node.kind === "test" && !isBlocked(node) && syntaxes.get(node.name)?.ok,
            );
            const bound = await boundTogether(database, ready, compiled);
            for (const node of nodes) if (node.kind === "test") await visit(node, bound.has(node.name));
        } finally {
            await database.run("use memory");
        }
        failOn(nodes.flatMap((node) => problems.get(node) ?? []));
        return columns;
    }
}

/** All that the check of a node looks at, but for the columns that it reads. */
function basisOf(project: Project, node: Node, compiled: Compiled): string {
    const declared =
        node.kind === "test" ? [node.warnIf, node.errorIf] : node.columns.map(({ name, dataType }) => [name, dataType]);
    const own =
        node.kind === "source"
            ? [relationOf(node), sourceInputs(project, node.database)]
            : node.kind === "seed"
              ? [node.file.text, node.columnTypes, node.delimiter]
              : [compiled.get(node.name)?.text, relationsRead(node, project)];
    return JSON.stringify([node.kind, declared, own, node.kind === "model" ? [node.uniqueKey, node.hasContract] : []]);
}

function isSame(a: readonly Column[], b: readonly Column[]): boolean {
    return (
        a === b || (a.length === b.length && a.every(({ name, type }, i) => name === b[i]?.name && type === b[i]?.type))
    );
}

/** The syntax of models and tests, by name. */
async function syntaxesOf(
    database: Database,
    nodes: readonly Node[],
    compiled: Compiled,
): Promise<ReadonlyMap<string, Syntax>> {
    const names = nodes.map((node) => node.name).filter((name) => compiled.has(name));
    const syntaxes = await parseQueries(
        database,
        names.map((name) => compiled.get(name)?.text ?? ""),
    );
    return new Map(syntaxes.map((syntax, i) => [names[i] ?? "", syntax]));
}

/** The names of those tests that DuckDB binds as one query: 20 at a time take it 0.15 ms each, alone 0.35. */
async function boundTogether(
    database: Database,
    tests: readonly Node[],
    compiled: Compiled,
): Promise<ReadonlySet<string>> {
    const bound = new Set<string>();
    for (let i = 0; i < tests.length; i += 20) {
        const some = tests.slice(i, i + 20).map((test) => test.name);
        const queries = some.map((name) => `select 1 from (\n${compiled.get(name)?.text}\n)`);
        try {
            await database.bind(queries.join("\nunion all\n"));
            for (const name of some) bound.add(name);
        } catch (error) {
            // Each is bound by itself then, which tells which of them is wrong, and where.
            if (!(error instanceof SqlError)) throw error;
        }
    }
    return bound;
}

type Found = readonly Column[] | { readonly problem: Problem };

/** A problem always has a place; what a generic test was given stands in the YAML file, and so do its mistakes. */
function named(node: Node, found: Found): Found {
    if (!("problem" in found)) return found;
    const { message, at, calls = [] } = found.problem;
    if (node.kind !== "test" || node.generic === undefined) {
        const file = node.kind === "test" ? node.template.file : "file" in node ? node.file : undefined;
        const place = at ?? (file === undefined ? undefined : { file, offset: 0 });
        return { problem: { ...found.problem, ...(place === undefined ? {} : { at: place }) } };
    }
    const inTemplate = at !== undefined && at.file === node.template.file && !at.file.path.startsWith("generic-tests/");
    const places = inTemplate ? { calls: [at, ...calls] } : {};
    return { problem: { message: `test "${node.name}": ${message}`, at: node.declaredAt, ...places } };
}

interface Facts {
    readonly compiled: Compiled;
    /** Of what the node reads. */
    readonly columns: Columns;
    /** Of the node's SQL; absent where it was found sound before, with all that it may read. */
    readonly syntax: Syntax | undefined;
    /** Thresholds of tests that are known to be sound. */
    readonly conditions: Set<string>;
    /** Whether it was bound already, without a mistake. */
    readonly isBound: boolean;
}

async function checkNode(
    database: Database,
    project: Project,
    node: Node,
    { compiled, columns, syntax, conditions, isBound }: Facts,
): Promise<Found> {
    if (node.kind === "source") return sourceColumns(database, project, node);
    if (node.kind === "seed") return seedColumns(database, project, node);
    const sql = compiled.get(node.name);
    if (sql === undefined) throw new Error(`${node.name} was not compiled`);
    const mistake = syntax === undefined ? undefined : queryMistake(project, node, { sql, syntax });
    if (mistake !== undefined) return { problem: mistake };
    const threshold = node.kind === "test" ? await thresholdMistake(database, node, conditions) : undefined;
    if (threshold !== undefined) return { problem: threshold };
    // A test needs no table: its columns may be two of one name, and nothing reads them.
    const before = node.kind === "test" ? "" : `create or replace table ${identifier(node.name)} as\n`;
    try {
        if (node.kind === "test" && !isBound) await database.bind(sql.text);
        if (node.kind === "model") await database.run(`${before}${sql.text}\nwith no data`);
    } catch (error) {
        const known = node.parents.flatMap((name) => columns.get(name) ?? []).map((column) => column.name);
        return { problem: problemOf(error, sql, { prefix: before.length, known }) };
    }
    if (node.kind === "test") return [];
    const found = await database.columns(`shelfmark_check.main.${identifier(node.name)}`);
    const repeated = await repeatedColumn(database, found, sql);
    if (repeated === undefined) return found;
    const message = `there are two columns "${repeated}": name one of them otherwise`;
    return { problem: problemOf(new SqlError(message, {}), sql) };
}

/** DuckDB makes a, a_1 of two columns a; only the query itself tells that from columns that are called so. */
async function repeatedColumn(
    database: Database,
    found: readonly Column[],
    sql: Rendered,
): Promise<string | undefined> {
    if (!found.some(({ name }) => /_\d+$/.test(name))) return undefined;
    const names = (await database.columnNames(sql.text)).map((name) => name.toLowerCase());
    return names.find((name, i) => names.indexOf(name) !== i);
}

/** `warn_if` and `error_if` are written in SQL too. `sound` are those that were asked for before. */
async function thresholdMistake(database: Database, test: DataTest, sound: Set<string>): Promise<Problem | undefined> {
    for (const [name, condition] of Object.entries({ warn_if: test.warnIf, error_if: test.errorIf })) {
        if (sound.has(condition)) continue;
        try {
            await database.bind(`select (0 ${condition}) and true`);
            sound.add(condition);
        } catch (error) {
            if (!(error instanceof SqlError)) throw error;
            const message = `${name} is "${condition}"; expected a condition on a count, as in "> 10"`;
            return { message, at: test.declaredAt };
        }
    }
    return undefined;
}

/** A mistake that shows before names are bound: SQL that can't be read, or a table that is not reached through a ref. */
function queryMistake(
    project: Project,
    node: Model | DataTest,
    { sql, syntax }: { sql: Rendered; syntax: Syntax },
): Problem | undefined {
    if (!syntax.ok) return problemOf(new SqlError(syntax.message, syntax), sql);
    const allowed = new Set(relationsRead(node, project).map((name) => name.replaceAll('"', "").toLowerCase()));
    const stray = syntax.reads.find((read) => !allowed.has(read.name.toLowerCase()));
    if (stray === undefined) return undefined;
    const [, table = stray.name] = /([^.]+)$/.exec(stray.name) ?? [];
    const known = [...project.nodes.values()].find((other) => other.name.split(".").at(-1) === table);
    const tag = known === undefined ? undefined : `{{${known.kind === "source" ? "source" : "ref"}.${known.name}}}`;
    const remedy = tag === undefined ? "name it in a _sources.yml and read it through {{source...}}" : `write ${tag}`;
    const message = `"${stray.name}" is read past the project, which then can't know the order of things: ${remedy}`;
    return problemOf(new SqlError(message, stray), sql);
}

/** The relations that a node's SQL may name: its parents, and those of the ephemeral models written into it. */
function relationsRead(node: Node, project: Project): string[] {
    return node.parents.flatMap((name) => {
        const parent = project.nodes.get(name);
        if (parent === undefined) return [];
        const isInlined = parent.kind === "model" && parent.materialized === "ephemeral";
        return [relationOf(parent), ...(isInlined ? relationsRead(parent, project) : [])];
    });
}

/**
 * What DuckDB said, at the place in the author's own file. `prefix` is the length of what was sent before the SQL, `known`
 * are the columns that could have been meant.
 */
export function problemOf(
    error: unknown,
    sql: Rendered,
    { prefix = 0, known = [] }: { prefix?: number; known?: readonly string[] } = {},
): Problem {
    if (!(error instanceof SqlError)) throw error;
    // Without a place it is the statement as a whole, and that begins at its first letter.
    const place = locate(sql, Math.max(0, (error.offset ?? prefix) - prefix));
    if (error.unknownColumn === undefined) return { message: error.message, ...place };
    const { name, near } = error.unknownColumn;
    const list = known.length === 0 ? "" : ` Columns at hand: ${[...new Set(known)].join(", ")}`;
    const remedy = didYouMean(name, [...near, ...known]) || list;
    return { message: `unknown column "${name}".${remedy}`, ...place };
}

async function sourceColumns(database: Database, project: Project, source: Source): Promise<Found> {
    const relation = relationOf(source);
    const file = source.database === undefined ? undefined : project.target.attach[source.database];
    if (source.database !== undefined && file === undefined) {
        const known = Object.keys(project.target.attach);
        const message = `targets/${project.target.name}.ts attaches no database "${source.database}".${didYouMean(source.database, known)}`;
        return { problem: { message, at: source.declaredAt } };
    }
    if (file !== undefined && !existsSync(join(project.root, file))) return declaredColumns(database, source, file);
    try {
        return await database.columns(relation);
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        const where = file === undefined ? "" : ` in ${file}`;
        return { problem: { message: `there is no table "${relation}"${where}`, at: source.declaredAt } };
    }
}

/** Before anything was landed, a source is what its YAML says, so that a fresh clone can be checked. */
async function declaredColumns(database: Database, source: Source, file: string): Promise<Found> {
    const types = source.columns.flatMap(({ name, dataType }) =>
        dataType === undefined ? [] : [`${identifier(name)} ${dataType}`],
    );
    if (types.length === 0) {
        const message = `${file} does not exist yet, and no column of "${source.name}" declares a data_type to check with`;
        return { problem: { message, at: source.declaredAt } };
    }
    const catalog = source.database ?? "shelfmark_check";
    const relation = [catalog, source.schema, source.identifier].map(identifier).join(".");
    await database.run(`attach if not exists ':memory:' as ${identifier(catalog)}`);
    await database.run(`create schema if not exists ${identifier(catalog)}.${identifier(source.schema)}`);
    try {
        await database.run(`create or replace table ${relation} (${types.join(", ")})`);
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        return { problem: { message: `source "${source.name}": ${error.message}`, at: source.declaredAt } };
    }
    return database.columns(relation);
}

/** A seed is read whole: its values are its author's too, and a row that is lost on the way is a mistake. */
async function seedColumns(database: Database, project: Project, seed: Seed): Promise<Found> {
    const relation = `shelfmark_check.main.${identifier(seed.name)}`;
    try {
        await database.run(`create or replace table ${relation} as select * from ${readSeed(project, seed)}`);
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        return { problem: seedProblemOf(error, seed) };
    }
    const [there, read] = [seedRows(seed), Number(await database.value(`select count(*) from ${relation}`))];
    if (there === read) return database.columns(relation);
    const message = `DuckDB reads ${read} rows of the ${there} that the file has`;
    return { problem: { message, at: { file: seed.file, offset: 0 } } };
}

/** Columns that are described, or form the unique key, but are not there. */
function undocumented(node: Node, found: readonly Column[]): Problem[] {
    if (node.kind === "test") return [];
    const names = found.map((column) => column.name);
    const missing = (name: string): boolean => !names.some((known) => known.toLowerCase() === name.toLowerCase());
    const described = node.columns
        .filter((column: ColumnProperty) => missing(column.name))
        .map(({ name, at }) => ({ message: `"${node.name}" has no column "${name}".${didYouMean(name, names)}`, at }));
    if (node.kind !== "model") return described;
    const keys = node.uniqueKey.filter(missing).map((name) => ({
        message: `unique_key names a column "${name}" that "${node.name}" has not.${didYouMean(name, names)}`,
        at: { file: node.file, offset: 0 },
    }));
    return [...described, ...keys];
}

/** Where a model with an enforced contract is not what it declares: columns too many, without a type, of another type. */
async function breaches(
    database: Database,
    node: Node,
    { found, types }: { found: readonly Column[]; types: Map<string, string> },
): Promise<Problem[]> {
    if (node.kind !== "model" || !node.hasContract) return [];
    const declared = new Map(node.columns.map((column) => [column.name.toLowerCase(), column]));
    const problems: Problem[] = [];
    for (const { name, type } of found) {
        const column = declared.get(name.toLowerCase());
        if (column === undefined) {
            const message = `the contract of "${node.name}" has no column "${name}" (${type}), but its SQL has`;
            problems.push({ message, at: node.declaredAt });
        } else if (column.dataType === undefined) {
            problems.push({ message: `the contract needs a data_type of "${name}", which is ${type}`, at: column.at });
        } else {
            const wanted = types.get(column.dataType) ?? (await canonicalType(database, column.dataType));
            if (wanted !== undefined) types.set(column.dataType, wanted);
            if (wanted === type) continue;
            const is = wanted === undefined ? "which is no type" : `but it is ${type}`;
            problems.push({ message: `the contract says that "${name}" is ${column.dataType}, ${is}`, at: column.at });
        }
    }
    return problems;
}

/** A type as DuckDB names it: INTEGER for int. Undefined for what is none. */
async function canonicalType(database: Database, type: string): Promise<string | undefined> {
    try {
        const [row] = await database.rows(`describe select cast(null as ${type}) as c`);
        return String(row?.column_type);
    } catch (error) {
        if (error instanceof SqlError) return undefined;
        throw error;
    }
}
