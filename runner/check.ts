import { existsSync } from "node:fs";
import { join } from "node:path";
import { didYouMean } from "../common/nearest.ts";
import { type Compiled, relationOf } from "./compile.ts";
import { type Column, columnsOf, type Database, identifier, SqlError } from "./duckdb.ts";
import { freshnessMistakes } from "./freshness.ts";
import { type Graph, reach } from "./graph.ts";
import { incrementMistake, schemaChange } from "./incremental.ts";
import type { DataTest, Model, Node, Project, Seed, Source } from "./nodes.ts";
import { failOn, type Problem } from "./problem.ts";
import type { ColumnProperty } from "./properties.ts";
import { readSeed, seedProblemOf, seedProblems, seedRows } from "./seeds.ts";
import { snapshotColumns, snapshotMistake, snapshotRows } from "./snapshot.ts";
import { parseQuery, repeatedName, wellPlaced } from "./syntax.ts";
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
    const problems: Problem[] = [];
    const columns = new Map<string, readonly Column[]>();
    const failed = new Set<string>();
    const needed = reach(graph.parents, names);
    await database.run("attach ':memory:' as shelfmark_check");
    await database.run("use shelfmark_check");
    try {
        for (const node of graph.order) {
            if (!needed.has(node.name)) continue;
            if (node.parents.some((parent) => failed.has(parent))) {
                failed.add(node.name);
                continue;
            }
            const unreadable = node.kind === "seed" ? seedProblems(node) : [];
            if (unreadable.length > 0) {
                failed.add(node.name);
                problems.push(...unreadable.map((problem) => ({ ...problem, subject: node })));
                continue;
            }
            const found = named(node, await checkNode(database, project, node, { compiled, columns, kept }));
            const wrong =
                "problem" in found
                    ? [found.problem]
                    : [
                          ...undocumented(node, found),
                          ...(await breaches(database, node, found)),
                          ...(await freshnessMistakes(
                              database,
                              node,
                              found.map((column) => column.name),
                          )),
                      ];
            if (!("problem" in found)) columns.set(node.name, found);
            if (wrong.length > 0) failed.add(node.name);
            problems.push(...wrong.map((problem) => ({ ...problem, subject: node })));
        }
    } finally {
        await database.run("use memory");
        await database.run("detach shelfmark_check");
    }
    failOn(distinct(problems));
    return columns;
}

/** A mistake in a macro shows in all that call it. */
function distinct(problems: readonly Problem[]): Problem[] {
    const isSame = (a: Problem, b: Problem): boolean =>
        a.message === b.message && a.at?.file === b.at?.file && a.at?.offset === b.at?.offset;
    return problems.filter((problem, i) => problems.findIndex((other) => isSame(other, problem)) === i);
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

async function checkNode(
    database: Database,
    project: Project,
    node: Node,
    { compiled, columns, kept }: { compiled: Compiled; columns: Columns; kept: Columns },
): Promise<Found> {
    if (node.kind === "source") return sourceColumns(database, project, node);
    if (node.kind === "seed") return seedColumns(database, project, node);
    const sql = compiled.get(node.name);
    if (sql === undefined) throw new Error(`${node.name} was not compiled`);
    const mistake = await queryMistake(database, project, node, sql);
    if (mistake !== undefined) return { problem: mistake };
    const threshold = node.kind === "test" ? await thresholdMistake(database, node) : undefined;
    if (threshold !== undefined) return { problem: threshold };
    const known = node.parents.flatMap((name) => columns.get(name) ?? []).map((column) => column.name);
    const bind = async (text: Rendered, before: string, after: string): Promise<Problem | undefined> => {
        try {
            await database.run(`${before}${text.text}${after}`);
            return undefined;
        } catch (error) {
            if (!(error instanceof SqlError)) throw error;
            const placed = await wellPlaced(database, text.text, { error, prefix: before.length });
            return problemOf(placed, text, { known });
        }
    };
    // `explain` binds too, and unlike a table it takes a test's columns of one name.
    if (node.kind === "test") {
        const problem = await bind(sql, "explain\n", "");
        return problem === undefined ? [] : { problem };
    }
    const untold = node.snapshot === undefined ? undefined : misnamed(node, known).at(0);
    if (untold !== undefined) return { problem: untold };
    const rows = node.snapshot === undefined ? { before: "", after: "" } : snapshotRows(node, "2000-01-01T00:00:00Z");
    const table = `shelfmark_check.main.${identifier(node.name)}`;
    const unbound = await bind(sql, `create table ${table} as\n${rows.before}`, `${rows.after}\nwith no data`);
    if (unbound !== undefined) return { problem: unbound };
    const made = await columnsOf(database, table);
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
        const mistake =
            (await queryMistake(database, project, node, sql.increment)) ??
            (await bind(sql.increment, "explain\n", ""));
        if (mistake !== undefined) return { problem: mistake };
        const other = incrementMistake(made, await columnsOf(database, sql.increment.text));
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

/** `warn_if` and `error_if` are written in SQL too. */
async function thresholdMistake(database: Database, test: DataTest): Promise<Problem | undefined> {
    for (const [name, condition] of Object.entries({ warn_if: test.warnIf, error_if: test.errorIf })) {
        if (condition === "!= 0") continue;
        try {
            await database.run(`explain select (0 ${condition}) and true`);
        } catch (error) {
            if (!(error instanceof SqlError)) throw error;
            const message = `${name} is "${condition}"; expected a condition on a count, as in "> 10"`;
            return { message, at: test.declaredAt };
        }
    }
    return undefined;
}

/** A mistake that shows before names are bound: SQL that can't be read, or a table that is not reached through a ref. */
async function queryMistake(
    database: Database,
    project: Project,
    node: Model | DataTest,
    sql: Rendered,
): Promise<Problem | undefined> {
    const syntax = await parseQuery(database, sql.text);
    if (!syntax.ok) return problemOf(new SqlError(syntax.message, syntax), sql);
    const parents = node.parents.map((name) => project.nodes.get(name)).filter((parent) => parent !== undefined);
    // An incremental run reads the model itself.
    const allowed = new Set(
        [...readable(parents, project), ...(node.kind === "model" ? [node] : [])].map((parent) =>
            relationOf(parent).replaceAll('"', "").toLowerCase(),
        ),
    );
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
function readable(parents: readonly Node[], project: Project): Node[] {
    return parents.flatMap((parent) => {
        if (parent.kind !== "model" || parent.materialized !== "ephemeral") return [parent];
        const inner = parent.parents.map((name) => project.nodes.get(name)).filter((node) => node !== undefined);
        return [parent, ...readable(inner, project)];
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
        return await columnsOf(database, relation);
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
    return columnsOf(database, relation);
}

/** A seed is read whole: its values are its author's too, and a row that is lost on the way is a mistake. */
async function seedColumns(database: Database, project: Project, seed: Seed): Promise<Found> {
    const relation = `shelfmark_check.main.${identifier(seed.name)}`;
    try {
        await database.run(`create table ${relation} as select * from ${readSeed(project, seed)}`);
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        return { problem: seedProblemOf(error, seed) };
    }
    const [there, read] = [seedRows(seed), Number(await database.value(`select count(*) from ${relation}`))];
    if (there === read) return columnsOf(database, relation);
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
    return [...described, ...misnamed(node, names, isReported)];
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
async function breaches(database: Database, node: Node, found: readonly Column[]): Promise<Problem[]> {
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
            const wanted = await canonicalType(database, column.dataType);
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
