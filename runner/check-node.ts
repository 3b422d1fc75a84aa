import { existsSync } from "node:fs";
import { join } from "node:path";
import { didYouMean } from "../common/nearest.ts";
import { impossibleCast } from "./casts.ts";
import type { Columns } from "./check.ts";
import { type Compiled, readsOf, relationOf } from "./compile.ts";
import { canonicalType, misnamed } from "./contract.ts";
import { type Column, createEmpty, type Database, identifier, literal, SqlError } from "./duckdb.ts";
import { incrementMistake, schemaChange } from "./incremental.ts";
import { type DataTest, isEphemeral, type Model, type Node, type Project, type Seed, type Source } from "./nodes.ts";
import type { Problem } from "./problem.ts";
import { readSeed, seedProblemOf, seedRows } from "./seeds.ts";
import { snapshotColumns, snapshotMistake, snapshotRows } from "./snapshot.ts";
import { parseQueries, repeatedName, type Syntax, wellPlaced } from "./syntax.ts";
import { locate, type Rendered } from "./template.ts";

/** A node's columns, none of a test, or what is wrong with it. */
export type Found = readonly Column[] | { readonly problem: Problem };

/** A problem always has a place; what a generic test was given stands in the YAML file, and so do its mistakes. */
export function named(node: Node, found: Found): Found {
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

export interface Facts {
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

/** Binds one node against the tables of what it reads, and makes its own, which is empty. */
export async function checkNode(
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
    if (mistake !== undefined) {
        const remedy = node.kind === "test" && syntax?.ok === false ? await quoteRemedy(database, node) : "";
        return { problem: { ...mistake, message: `${mistake.message}${remedy}` } };
    }
    const threshold = node.kind === "test" ? await thresholdMistake(database, node, conditions) : undefined;
    if (threshold !== undefined) return { problem: threshold };
    const known = node.parents.flatMap((name) => columns.get(name) ?? []).map((column) => column.name);
    const bind = async (text: Rendered, how = (sql: string) => database.bind(sql)): Promise<Problem | undefined> => {
        try {
            await how(text.text);
            return undefined;
        } catch (error) {
            if (!(error instanceof SqlError)) throw error;
            return problemOf(await wellPlaced(database, text.text, error), text, { known });
        }
    };
    const read = node.parents.flatMap((name) => columns.get(name) ?? []);
    const uncast = async (): Promise<Problem | undefined> => {
        if (syntax?.ok !== true) return undefined;
        const found = await impossibleCast(database, sql.text, { comparisons: syntax.comparisons, read });
        return found && problemOf(new SqlError(found.message, found), sql);
    };
    // A test needs no table: its columns may be two of one name, and nothing reads them.
    if (node.kind === "test") {
        const problem = (isBound ? undefined : await bind(sql)) ?? (await uncast());
        return problem === undefined ? [] : { problem };
    }
    // It may be exported by columns that only the snapshot itself adds.
    const { export: _, ...unexported } = node;
    const untold = node.snapshot === undefined ? undefined : misnamed(unexported, known).at(0);
    if (untold !== undefined) return { problem: untold };
    const table = `shelfmark_check.main.${identifier(node.name)}`;
    let made: readonly Column[] = [];
    const unbound = await bind(sql, async (text) => {
        made = await makeEmpty(database, node, { text, table });
    });
    if (unbound !== undefined) return { problem: unbound };
    const miscast = await uncast();
    if (miscast !== undefined) return { problem: miscast };
    const repeated = repeatedColumn(made, read, sql);
    if (repeated !== undefined) {
        const message = `there are two columns "${repeated}": name one of them otherwise`;
        const offset = await repeatedName(database, sql.text, repeated);
        return { problem: problemOf(new SqlError(message, { offset }), sql) };
    }
    const timeless = timeMistake(node, made);
    if (timeless !== undefined) return { problem: timeless };
    const standing = kept.get(node.name);
    if (standing !== undefined) await createEmpty(database, table, standing);
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
    await createEmpty(database, table, result);
    return result;
}

/** Makes the table of a model without its rows, on a connection that does not optimize. @throws SqlError placed in `text` */
async function makeEmpty(
    database: Database,
    node: Model,
    { text, table }: { text: string; table: string },
): Promise<readonly Column[]> {
    // To bind a query and make a table of its columns takes DuckDB half as long as to make a table of the query.
    const { columns, unnamed } = node.snapshot === undefined ? await database.tableToBe(text) : {};
    const isTable = !isEphemeral(node) && (node.materialized !== "view" || node.publish);
    if (unnamed !== undefined && isTable) {
        const message = `"${unnamed}" has a struct whose fields have no names, of which no table can be made: {a: 1} names them, row(1) does not`;
        throw new SqlError(message, {});
    }
    if (columns !== undefined) {
        await createEmpty(database, table, columns);
        return columns;
    }
    const rows = node.snapshot === undefined ? { before: "", after: "" } : snapshotRows(node, "2000-01-01T00:00:00Z");
    const before = `create or replace table ${table} as\n${rows.before}`;
    // Where nothing is optimized, "no data" is looked for in the sources' rows.
    await database.run("pragma enable_optimizer");
    try {
        await database.run(`${before}${text}${rows.after}\nwith no data`);
    } catch (error) {
        throw error instanceof SqlError ? error.after(before.length) : error;
    } finally {
        await database.run("pragma disable_optimizer");
    }
    return database.columns(table);
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

/** The time of a window must be one, and so must the time by which a snapshot knows what is later. */
function timeMistake({ incremental, snapshot, declaredAt: at }: Model, made: readonly Column[]): Problem | undefined {
    const updatedAt = snapshot?.strategy === "timestamp" ? snapshot.updatedAt : undefined;
    const [setting, name] =
        updatedAt === undefined ? ["event_time", incremental?.window?.eventTime] : ["updated_at", updatedAt];
    const type = made.find((column) => column.name.toLowerCase() === name?.toLowerCase())?.type;
    if (type === undefined || /^(DATE|TIMESTAMP)/.test(type)) return undefined;
    return { message: `${setting} is "${name}", which is ${type}; expected a date or a timestamp`, at };
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

/** What to do about a column whose name has a meaning in SQL, if it is one. */
async function quoteRemedy(database: Database, { column = "" }: DataTest): Promise<string> {
    const isWord = /^\w+$/.test(column);
    const found = await database.value(
        `select 1 from duckdb_keywords() where keyword_category = 'reserved' and keyword_name = ${literal(column.toLowerCase())}`,
    );
    if (column === "" || column.startsWith('"') || (isWord && found === null)) return "";
    return `. The column's name needs quotes in SQL: set quote: true on "${column}"`;
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
    const readable = [...readsOf(node, project), ...(isIncrement ? [node] : [])].map(relationOf);
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
