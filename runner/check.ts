import { existsSync } from "node:fs";
import { join } from "node:path";
import { didYouMean } from "../common/nearest.ts";
import { type Compiled, relationOf } from "./compile.ts";
import { type Column, type Database, identifier, SqlError } from "./duckdb.ts";
import { sourceInputs } from "./fingerprint.ts";
import { freshnessMistakes } from "./freshness.ts";
import { type Graph, reach } from "./graph.ts";
import { incrementMistake, schemaChange } from "./incremental.ts";
import type { DataTest, Model, Node, Project, Seed, Source } from "./nodes.ts";
import { failOn, type Problem } from "./problem.ts";
import type { ColumnProperty } from "./properties.ts";
import { readSeed, seedProblemOf, seedProblems, seedRows } from "./seeds.ts";
import { snapshotColumns, snapshotMistake, snapshotRows } from "./snapshot.ts";
import { parseQueries, repeatedName, type Syntax, wellPlaced } from "./syntax.ts";
import { locate, type Rendered } from "./template.ts";

/** The columns of every relation that was checked, by the node's name. */
export type Columns = ReadonlyMap<string, readonly Column[]>;

export interface CheckOptions {
    readonly graph: Graph;
    readonly compiled: Compiled;
    readonly names: Iterable<string>;
    /** The columns of tables that go on from what stands: what reads them finds those, changed as decided. */
    readonly kept?: ReadonlyMap<string, readonly Column[]>;
}

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
    { graph, compiled, names, kept = new Map() }: CheckOptions,
): Promise<Columns> {
    const checker = await Checker.open(database);
    try {
        return await checker.check(project, { graph, compiled, names, kept });
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
    async check(project: Project, { graph, compiled, names, kept = new Map() }: CheckOptions): Promise<Columns> {
        const { database, sound, conditions, types } = this;
        const needed = reach(graph.parents, names);
        const nodes = graph.order.filter((node) => needed.has(node.name));
        const bases = new Map(nodes.map((node) => [node.name, basisOf(project, node, { compiled, kept })]));
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
                const facts = { compiled, columns, kept, syntax: syntaxes.get(node.name), conditions, isBound };
                const found = named(node, await checkNode(database, project, node, facts));
                const wrong = "problem" in found ? [found.problem] : await mistakesIn(database, node, { found, types });
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
        const all = nodes.flatMap((node) =>
            (problems.get(node) ?? []).map((problem) => ({ ...problem, subject: node })),
        );
        failOn(distinct(all));
        return columns;
    }
}

/** All that the check of a node looks at, but for the columns that it reads. */
function basisOf(project: Project, node: Node, { compiled, kept }: { compiled: Compiled; kept: Columns }): string {
    const declared =
        node.kind === "test" ? [node.warnIf, node.errorIf] : node.columns.map(({ name, dataType }) => [name, dataType]);
    const own =
        node.kind === "source"
            ? [
                  relationOf(node),
                  sourceInputs(project, node.database),
                  node.freshness?.loadedAtField,
                  node.freshness?.filter,
              ]
            : node.kind === "seed"
              ? [node.file.text, node.columnTypes, node.delimiter]
              : [compiled.get(node.name)?.text, compiled.get(node.name)?.increment?.text, relationsRead(node, project)];
    const settings =
        node.kind === "model"
            ? [
                  node.uniqueKey,
                  node.export?.partitionBy,
                  node.hasContract,
                  node.incremental,
                  node.snapshot,
                  kept.get(node.name),
              ]
            : [];
    return JSON.stringify([node.kind, declared, own, settings]);
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

/** A mistake in a macro shows in all that call it. */
function distinct(problems: readonly Problem[]): Problem[] {
    const isSame = (a: Problem, b: Problem): boolean =>
        a.message === b.message && a.at?.file === b.at?.file && a.at?.offset === b.at?.offset;
    return problems.filter((problem, i) => problems.findIndex((other) => isSame(other, problem)) === i);
}

/** What is wrong with a node although its SQL is right. */
async function mistakesIn(
    database: Database,
    node: Node,
    { found, types }: { found: readonly Column[]; types: Map<string, string> },
): Promise<readonly Problem[]> {
    const names = found.map((column) => column.name);
    return [
        ...undocumented(node, found),
        ...(await breaches(database, node, { found, types })),
        ...(await freshnessMistakes(database, node, names)),
    ];
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
    /** Of the tables that go on from what stands. */
    readonly kept: Columns;
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
    { compiled, columns, kept, syntax, conditions, isBound }: Facts,
): Promise<Found> {
    if (node.kind === "source") return sourceColumns(database, project, node);
    if (node.kind === "seed") return seedColumns(database, project, node);
    const sql = compiled.get(node.name);
    if (sql === undefined) throw new Error(`${node.name} was not compiled`);
    const mistake = syntax === undefined ? undefined : queryMistake(project, node, { sql, syntax });
    if (mistake !== undefined) return { problem: mistake };
    const threshold = node.kind === "test" ? await thresholdMistake(database, node, conditions) : undefined;
    if (threshold !== undefined) return { problem: threshold };
    const known = node.parents.flatMap((name) => columns.get(name) ?? []).map((column) => column.name);
    const bind = async (text: Rendered, into?: { before: string; after: string }): Promise<Problem | undefined> => {
        const { before, after } = into ?? { before: "", after: "" };
        try {
            if (into === undefined) await database.bind(text.text);
            else await database.run(`${before}${text.text}${after}`);
            return undefined;
        } catch (error) {
            if (!(error instanceof SqlError)) throw error;
            const placed = await wellPlaced(database, text.text, { error, prefix: before.length });
            return problemOf(placed, text, { known });
        }
    };
    // A test needs no table: its columns may be two of one name, and nothing reads them.
    if (node.kind === "test") {
        const problem = isBound ? undefined : await bind(sql);
        return problem === undefined ? [] : { problem };
    }
    // It may be exported by columns that only the snapshot itself adds.
    const { export: _, ...unexported } = node;
    const untold = node.snapshot === undefined ? undefined : misnamed(unexported, known).at(0);
    if (untold !== undefined) return { problem: untold };
    const rows = node.snapshot === undefined ? { before: "", after: "" } : snapshotRows(node, "2000-01-01T00:00:00Z");
    const table = `shelfmark_check.main.${identifier(node.name)}`;
    const unbound = await bind(sql, {
        before: `create or replace table ${table} as\n${rows.before}`,
        after: `${rows.after}\nwith no data`,
    });
    if (unbound !== undefined) return { problem: unbound };
    const made = await database.columns(table);
    const read = node.parents.flatMap((name) => columns.get(name) ?? []);
    const repeated = repeatedColumn(made, read, sql);
    if (repeated !== undefined) {
        const message = `there are two columns "${repeated}": name one of them otherwise`;
        const offset = await repeatedName(database, sql.text, repeated);
        return { problem: problemOf(new SqlError(message, { offset }), sql) };
    }
    const timeless = node.incremental?.window === undefined ? undefined : windowMistake(node, made);
    if (timeless !== undefined) return { problem: timeless };
    const standing = kept.get(node.name);
    if (standing !== undefined) await emptyTable(database, table, standing);
    if (sql.increment !== undefined) {
        const [its] = await parseQueries(database, [sql.increment.text]);
        const mistake =
            (its && queryMistake(project, node, { sql: sql.increment, syntax: its, isIncrement: true })) ??
            (await bind(sql.increment));
        if (mistake !== undefined) return { problem: mistake };
        const other = incrementMistake(made, await database.columns(`(${sql.increment.text}\n)`));
        if (other !== undefined) return { problem: problemOf(new SqlError(other, {}), sql) };
    }
    if (standing === undefined) return made;
    const result = columnsAfter(node, { kept: standing, made });
    if (typeof result === "string") return { problem: { message: result, at: node.declaredAt } };
    await emptyTable(database, table, result);
    return result;
}

/** What a table that goes on from what stands has afterwards, or why it can't. */
function columnsAfter(
    model: Model,
    columns: { kept: readonly Column[]; made: readonly Column[] },
): readonly Column[] | string {
    if (model.snapshot !== undefined) {
        return snapshotMistake(model.name, columns) ?? snapshotColumns(columns.kept, columns.made);
    }
    const change = schemaChange(model, columns);
    return typeof change === "string" ? change : change.result;
}

/** The time of a window must be one. */
function windowMistake(model: Model, made: readonly Column[]): Problem | undefined {
    const name = model.incremental?.window?.eventTime ?? "";
    const type = made.find((column) => column.name.toLowerCase() === name.toLowerCase())?.type;
    if (type === undefined || /^(DATE|TIMESTAMP)/.test(type)) return undefined;
    return {
        message: `event_time is "${name}", which is ${type}; expected a date or a timestamp`,
        at: model.declaredAt,
    };
}

async function emptyTable(database: Database, table: string, columns: readonly Column[]): Promise<void> {
    const list = columns.map(({ name, type }) => `${identifier(name)} ${type}`).join(", ");
    await database.run(`create or replace table ${table} (${list})`);
}

/** DuckDB makes a, a_1 of two columns a, in subqueries too: a_1 then stands neither in the query nor in what it reads. */
function repeatedColumn(found: readonly Column[], read: readonly Column[], sql: Rendered): string | undefined {
    const suspects = found.flatMap(({ name }) => {
        const base = /^(.+)_\d+$/.exec(name)?.[1];
        return base !== undefined && found.some((other) => other.name === base) ? [{ name, base }] : [];
    });
    if (suspects.length === 0) return undefined;
    const written = [sql.text, ...read.flatMap(({ name, type }) => [name, type])].join("\n").toLowerCase();
    return suspects.find(({ name }) => !written.includes(name.toLowerCase()))?.base;
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
    { sql, syntax, isIncrement = false }: { sql: Rendered; syntax: Syntax; isIncrement?: boolean },
): Problem | undefined {
    if (!syntax.ok) return problemOf(new SqlError(syntax.message, syntax), sql);
    // An incremental run reads the model itself.
    const readable = [...relationsRead(node, project), ...(isIncrement ? [relationOf(node)] : [])];
    const allowed = new Set(readable.map((name) => name.replaceAll('"', "").toLowerCase()));
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
    const { name, table, near } = error.unknownColumn;
    if (table !== undefined)
        return { message: `"${table}" has no column "${name}".${didYouMean(name, near)}`, ...place };
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
        for (const { dataType = "", at } of source.columns) {
            const isType = dataType === "" || (await canonicalType(database, dataType)) !== undefined;
            if (!isType) return { problem: { message: `source "${source.name}": ${error.message}`, at } };
        }
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
    const isReported = (name: string): boolean => node.columns.some((column) => column.name === name);
    return [...described, ...misnamed(node, names, isReported), ...partitionMistakes(node, names)];
}

/** Partition columns become folders: each once, and something must be left for the files. */
function partitionMistakes({ name, export: exported, declaredAt: at }: Model, names: readonly string[]): Problem[] {
    const by = (exported?.partitionBy ?? []).map((column) => column.toLowerCase());
    const repeated = by.find((column, i) => by.indexOf(column) < i);
    if (repeated !== undefined) return [{ message: `partition_by names "${repeated}" twice`, at }];
    if (by.length === 0 || !names.every((column) => by.includes(column.toLowerCase()))) return [];
    return [{ message: `partition_by names all columns of "${name}", which leaves nothing for the files`, at }];
}

/** Columns that the settings of a model or a snapshot name, but are not there. */
function misnamed(
    model: Model,
    names: readonly string[],
    isReported: (name: string) => boolean = () => false,
): Problem[] {
    const { name, uniqueKey, uniqueKeyAt, incremental, snapshot, declaredAt } = model;
    const checked = snapshot?.strategy === "check" && snapshot.checkColumns !== "all" ? snapshot.checkColumns : [];
    const settings = {
        unique_key: uniqueKey,
        updated_at: snapshot?.strategy === "timestamp" ? [snapshot.updatedAt] : [],
        event_time: incremental?.window === undefined ? [] : [incremental.window.eventTime],
        merge_update_columns: incremental?.mergeUpdate ?? [],
        merge_exclude_columns: incremental?.mergeExclude ?? [],
        check_cols: checked,
        partition_by: model.export?.partitionBy ?? [],
    };
    return Object.entries(settings).flatMap(([setting, columns]) =>
        columns
            .filter(
                (column) => !isReported(column) && !names.some((known) => known.toLowerCase() === column.toLowerCase()),
            )
            .map((column) => ({
                message: `${setting} names a column "${column}" that "${name}" has not.${didYouMean(column, names)}`,
                at: setting === "unique_key" ? uniqueKeyAt : declaredAt,
            })),
    );
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
