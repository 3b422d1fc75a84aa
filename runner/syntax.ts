import { didYouMean } from "../common/nearest.ts";
import type { Database, Row } from "./duckdb.ts";
import { literal, SqlError, toUtf16 } from "./duckdb.ts";
import { counted } from "./text.ts";

/** A table that a query names outside of its own common table expressions; `offset` counts UTF-16 code units. */
export interface TableRead {
    /** As it is written, without quotes: `main.dim_books`. */
    readonly name: string;
    readonly offset: number | undefined;
}

/** What is wrong with a query before any name in it is looked at, or the tables that it reads. */
export type Syntax =
    | { readonly ok: false; readonly message: string; readonly offset: number | undefined }
    | { readonly ok: true; readonly reads: readonly TableRead[]; readonly comparisons: readonly Comparison[] };

/** Two columns that are compared, by the last part of their names. */
export type Comparison = readonly [ComparedColumn, ComparedColumn];

export interface ComparedColumn {
    readonly name: string;
    readonly offset: number | undefined;
}

/** Functions that read files, or tables by a name in quotes: what they return would come in unseen. */
const unseenReaders =
    /^(query|query_table|read_\w+|parquet_scan|sniff_csv|glob|sqlite_scan|postgres_scan|iceberg_scan|delta_scan)$/;

const otherKind = "a model or test is one SELECT statement, and this is another kind";

/** How many queries are sent to be parsed at a time: one by one, each costs a round trip of 0.5 ms. */
const batch = 100;

/** Parses queries with DuckDB's own parser, without binding them; the answers are in the order of the queries. */
export async function parseQueries(database: Database, queries: readonly string[]): Promise<Syntax[]> {
    const all: Syntax[] = [];
    let pending = parse(database, queries.slice(0, batch));
    for (let i = 0; i < queries.length; i += batch) {
        const trees = await pending;
        // DuckDB parses the next ones while these are read.
        pending = parse(database, queries.slice(i + batch, i + 2 * batch));
        all.push(...queries.slice(i, i + batch).map((sql, k) => syntaxOf(sql, String(trees[k]?.tree))));
    }
    return all;
}

async function parse(database: Database, queries: readonly string[]): Promise<Row[]> {
    if (queries.length === 0) return [];
    const values = queries.map((sql) => `(${literal(sql)})`).join(", ");
    return database.rows(`select json_serialize_sql(query)::varchar as tree from (values ${values}) as queries(query)`);
}

function syntaxOf(sql: string, tree: string): Syntax {
    if (sql === "") return { ok: false, message: "there is no query in this file", offset: undefined };
    const second = secondStatement(sql);
    if (second !== undefined) {
        return {
            ok: false,
            message: "a model or test is one SELECT statement, and here begins another",
            offset: second,
        };
    }
    const result = JSON.parse(tree) as SerializedSql;
    if (result.error) {
        const offset = result.position === undefined ? undefined : toUtf16(sql, Number(result.position));
        if (result.error_type === "not implemented") return { ok: false, message: otherKind, offset };
        const jinja = /^\{[%#]/.exec(sql.slice(offset))?.[0];
        const message =
            jinja === undefined
                ? `${shortened(result.error_message ?? "syntax error")}${unbalanced(sql)}`
                : `"${jinja}" is Jinja, which means nothing here: a model is SQL with {{...}} tags`;
        return { ok: false, message, offset };
    }
    const root = result.statements?.[0]?.node;
    // DESCRIBE and its like can be bound, but no table can be made of them.
    if ((root as SyntaxNode).from_table?.type === "SHOW_REF") {
        return { ok: false, message: otherKind, offset: startOfStatement(sql) };
    }
    const found = { reads: [], comparisons: [] };
    collect(root, new Set(), { sql, ...found });
    return { ok: true, ...found };
}

/**
 * The syntax trees of sound queries, as DuckDB's JSON, by the keys of `queries`. One statement for all: asked one by one,
 * each takes three times as long.
 * @throws SqlError
 */
export async function serializeQueries(
    database: Database,
    queries: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, string>> {
    if (queries.size === 0) return new Map();
    const values = [...queries].map(([key, sql]) => `(${literal(key)}, ${literal(sql)})`);
    const rows = await database.rows(
        `select key, json_serialize_sql(sql)::varchar as tree from (values\n${values.join(",\n")}) as queries (key, sql)`,
    );
    return new Map(rows.map(({ key, tree }) => [String(key), String(tree)]));
}

/** The first statement of what `serializeQueries` gave. */
export function treeOf(serialized: string): unknown {
    return (JSON.parse(serialized) as SerializedSql).statements?.[0]?.node;
}

async function serialize(database: Database, sql: string): Promise<SerializedSql> {
    return JSON.parse(String(await database.value(`select json_serialize_sql(${literal(sql)})::varchar`)));
}

/** DuckDB quotes what it stumbled on up to the end of the file. */
function shortened(message: string): string {
    const [, what, near = ""] = /^(.* at or near )"([\s\S]*?)"?$/.exec(message) ?? [];
    if (what === undefined) return message;
    const [line = ""] = near.split("\n");
    return `${what}"${line.length > 30 ? `${line.slice(0, 29)}…` : line}"`;
}

/** Where a bracket is missing, DuckDB stumbles on what stands behind, which may be far from it. */
function unbalanced(sql: string): string {
    const brackets = [...sql.matchAll(lexemes)].map(([lexeme]) => lexeme);
    const [opened, closed] = ["(", ")"].map((bracket) => brackets.filter((lexeme) => lexeme === bracket).length);
    return opened === closed ? "" : `. There are ${opened} "(" and ${closed} ")"`;
}

/** A binder's error with its place in the query, where DuckDB tells none, or one in the definition of its own macro. */
export async function wellPlaced(database: Database, sql: string, error: SqlError): Promise<SqlError> {
    const { message, unknownColumn, cause } = error;
    const at = (offset: number | undefined): SqlError => new SqlError(message, { offset, unknownColumn, cause });
    const { offset } = error;
    if (offset !== undefined) return at((await callOfMacro(database, sql, { message, offset })) ?? offset);
    if (message.includes("same number of result columns")) {
        const uneven = await unevenBranch(database, sql);
        return uneven === undefined ? error : new SqlError(uneven.message, uneven);
    }
    const [, key, entries = ""] = /^could not find key "(.+?)" in struct(.*)/.exec(message) ?? [];
    if (key === undefined) return error;
    const known = [...entries.matchAll(/"([^"]+)"/g)].map(([, entry = ""]) => entry);
    const dot = sql.toLowerCase().indexOf(`.${key.toLowerCase()}`);
    return new SqlError(`unknown field "${key}".${didYouMean(key, known)}`, {
        offset: dot < 0 ? undefined : dot + 1,
        cause,
    });
}

/** Where the query calls the macro of DuckDB's in whose definition a function is that does not take its arguments. */
async function callOfMacro(
    database: Database,
    sql: string,
    { message, offset }: { message: string; offset: number },
): Promise<number | undefined> {
    const [, name] = /^no function matches the given name and argument types '(\w+)\(/.exec(message) ?? [];
    if (name === undefined || sql.toLowerCase().includes(name)) return undefined;
    const macros = await database.rows(
        `select distinct function_name as name from duckdb_functions()
         where function_type = 'macro' and internal and contains(macro_definition, ${literal(name)})`,
    );
    const names = macros.map((row) => String(row.name)).filter((macro) => /^\w+$/.test(macro));
    if (names.length === 0 || /^\w+\s*\(/.test(sql.slice(offset))) return undefined;
    const call = new RegExp(`\\b(${names.join("|")})\\s*\\(`, "i").exec(sql);
    return call?.index;
}

/**
 * The first branch of a union that has another number of columns than the first, which DuckDB does not tell.
 * Branches with a `*` can't be counted: undefined when none of the others differ.
 */
async function unevenBranch(
    database: Database,
    sql: string,
): Promise<{ message: string; offset: number | undefined } | undefined> {
    for (const node of nodesOf((await serialize(database, sql)).statements)) {
        if (!isUnion(node)) continue;
        const comparable = branchesOf(node).filter((list) => !list.some((item) => item.type === "STAR"));
        const uneven = comparable.find((list) => list.length !== comparable[0]?.length);
        if (uneven === undefined) continue;
        const message = `this branch of the union has ${counted(uneven.length, "column")}, another ${comparable[0]?.length}`;
        return { message, offset: offsetIn(sql, uneven[0]?.query_location) };
    }
    return undefined;
}

/** Where a SELECT names a second column `name`. */
export async function repeatedName(database: Database, sql: string, name: string): Promise<number | undefined> {
    for (const { select_list } of nodesOf((await serialize(database, sql)).statements)) {
        const alike = (select_list ?? []).filter(
            ({ alias, column_names }) => (alias || column_names?.at(-1))?.toLowerCase() === name.toLowerCase(),
        );
        const isFromStar = alike.length === 1 && select_list?.some(({ type }) => type === "STAR");
        const second = alike[isFromStar ? 0 : 1];
        if (second !== undefined) return offsetIn(sql, second.query_location);
    }
    return undefined;
}

function* nodesOf(node: unknown): Generator<SyntaxNode> {
    if (typeof node !== "object" || node === null) return;
    if (!Array.isArray(node)) yield node as SyntaxNode;
    for (const value of Object.values(node)) yield* nodesOf(value);
}

function isUnion({ type }: SyntaxNode): boolean {
    return type === "SET_OPERATION_NODE" || type === "RECURSIVE_CTE_NODE";
}

/** The select lists of a union, from the first to the last. */
function branchesOf(node: SyntaxNode): (readonly SyntaxNode[])[] {
    if (isUnion(node)) return [node.left, node.right].flatMap((side) => (side === undefined ? [] : branchesOf(side)));
    return node.select_list === undefined ? [] : [node.select_list];
}

/** What is in no place of the text has the largest number for one. */
function offsetIn(sql: string, location: number | undefined): number | undefined {
    return location === undefined || location > sql.length * 4 ? undefined : toUtf16(sql, location);
}

/** Comments, and quotes of three kinds, in which a semicolon is none. */
const lexemes =
    /--[^\n]*|\/\*[\s\S]*?\*\/|\b[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|\s+|\w+|[\s\S]/g;

/** Where the SQL of a file ends, closing semicolons, comments and white space left out; 0 when there is none. */
export function endOfStatement(sql: string): number {
    let end = 0;
    for (const { 0: lexeme, index } of sql.matchAll(lexemes)) {
        if (!/^(--|\/\*|;|\s)/.test(lexeme)) end = index + lexeme.length;
    }
    return end;
}

function startOfStatement(sql: string): number {
    for (const { 0: lexeme, index } of sql.matchAll(lexemes)) if (!/^(--|\/\*|\s)/.test(lexeme)) return index;
    return 0;
}

/** Where something follows on a semicolon. */
function secondStatement(sql: string): number | undefined {
    let isEnded = false;
    for (const { 0: lexeme, index } of sql.matchAll(lexemes)) {
        if (lexeme === ";") isEnded = true;
        else if (isEnded && !/^(--|\/\*|\s)/.test(lexeme)) return index;
    }
    return undefined;
}

interface SerializedSql {
    readonly error: boolean;
    readonly error_type?: string;
    readonly error_message?: string;
    readonly position?: string;
    readonly statements?: readonly { readonly node: unknown }[];
}

interface SyntaxNode {
    readonly type?: string;
    readonly cte_map?: { readonly map: readonly { readonly key: string }[] };
    readonly cte_name?: string;
    readonly from_table?: { readonly type?: string };
    readonly catalog_name?: string;
    readonly schema_name?: string;
    readonly table_name?: string;
    readonly function?: { readonly function_name?: string };
    readonly query_location?: number;
    /** Of a union. */
    readonly left?: SyntaxNode;
    readonly right?: SyntaxNode;
    readonly select_list?: readonly SyntaxNode[];
    /** Of a column. */
    readonly alias?: string;
    readonly column_names?: readonly string[];
}

interface Collected {
    readonly sql: string;
    readonly reads: TableRead[];
    readonly comparisons: Comparison[];
}

/** `expressions` are the common table expressions in sight, which a bare table name may mean. */
function collect(node: unknown, expressions: ReadonlySet<string>, found: Collected): void {
    if (Array.isArray(node)) {
        for (const item of node) collect(item, expressions, found);
        return;
    }
    if (typeof node !== "object" || node === null) return;
    const { sql, reads, comparisons } = found;
    const { type, cte_map, cte_name, query_location, left, right } = node as SyntaxNode;
    const names = [...(cte_map?.map ?? []).map(({ key }) => key), ...(cte_name === undefined ? [] : [cte_name])];
    const inner =
        names.length === 0 ? expressions : new Set([...expressions, ...names.map((name) => name.toLowerCase())]);
    if (type === "BASE_TABLE") {
        const { catalog_name = "", schema_name = "", table_name = "" } = node as SyntaxNode;
        const name = [catalog_name, schema_name, table_name].filter((part) => part !== "").join(".");
        if (!(schema_name === "" && inner.has(table_name.toLowerCase()))) {
            reads.push({ name, offset: offsetIn(sql, query_location) });
        }
    }
    const functionName = (node as SyntaxNode).function?.function_name;
    if (type === "TABLE_FUNCTION" && functionName !== undefined && unseenReaders.test(functionName)) {
        reads.push({ name: `${functionName}()`, offset: offsetIn(sql, query_location) });
    }
    // Of values, "type" is that of the value, an object.
    if (typeof type === "string" && type.startsWith("COMPARE_")) {
        const [a, b] = [left, right].map((side) => comparedColumn(side, sql));
        if (a !== undefined && b !== undefined) comparisons.push([a, b]);
    }
    for (const value of Object.values(node)) collect(value, inner, found);
}

function comparedColumn(node: SyntaxNode | undefined, sql: string): ComparedColumn | undefined {
    const name = node?.type === "COLUMN_REF" ? node.column_names?.at(-1) : undefined;
    return name === undefined ? undefined : { name, offset: offsetIn(sql, node?.query_location) };
}
