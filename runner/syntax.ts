import type { Database } from "./duckdb.ts";
import { literal, toUtf16 } from "./duckdb.ts";

/** A table that a query names outside of its own common table expressions; `offset` counts UTF-16 code units. */
export interface TableRead {
    /** As it is written, without quotes: `main.dim_books`. */
    readonly name: string;
    readonly offset: number | undefined;
}

/** What is wrong with a query before any name in it is looked at, or the tables that it reads. */
export type Syntax =
    | { readonly ok: false; readonly message: string; readonly offset: number | undefined }
    | { readonly ok: true; readonly reads: readonly TableRead[] };

/** Functions that read files, or tables by a name in quotes: what they return would come in unseen. */
const unseenReaders =
    /^(query|query_table|read_\w+|parquet_scan|sniff_csv|glob|sqlite_scan|postgres_scan|iceberg_scan|delta_scan)$/;

/** Parses a query with DuckDB's own parser, without binding it. */
export async function parseQuery(database: Database, sql: string): Promise<Syntax> {
    if (sql === "") return { ok: false, message: "there is no query in this file", offset: undefined };
    const second = secondStatement(sql);
    if (second !== undefined) {
        return {
            ok: false,
            message: "a model or test is one SELECT statement, and here begins another",
            offset: second,
        };
    }
    const text = await database.value(`select json_serialize_sql(${literal(sql)})::varchar`);
    const result = JSON.parse(String(text)) as SerializedSql;
    if (result.error) {
        const offset = result.position === undefined ? undefined : toUtf16(sql, Number(result.position));
        const message =
            result.error_type === "not implemented"
                ? "a model or test is one SELECT statement, and this is another kind"
                : (result.error_message ?? "syntax error");
        return { ok: false, message, offset };
    }
    const reads: TableRead[] = [];
    collectReads(result.statements?.[0]?.node, new Set(), sql, reads);
    return { ok: true, reads };
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

/** Comments, and quotes of three kinds, in which a semicolon is none. */
const lexemes = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|\s+|[\s\S]/g;

/** Where the SQL of a file ends, closing semicolons, comments and white space left out; 0 when there is none. */
export function endOfStatement(sql: string): number {
    let end = 0;
    for (const { 0: lexeme, index } of sql.matchAll(lexemes)) {
        if (!/^(--|\/\*|;|\s)/.test(lexeme)) end = index + lexeme.length;
    }
    return end;
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
    readonly catalog_name?: string;
    readonly schema_name?: string;
    readonly table_name?: string;
    readonly function?: { readonly function_name?: string };
    readonly query_location?: number;
}

/** `expressions` are the common table expressions in sight, which a bare table name may mean. */
function collectReads(node: unknown, expressions: ReadonlySet<string>, sql: string, reads: TableRead[]): void {
    if (Array.isArray(node)) {
        for (const item of node) collectReads(item, expressions, sql, reads);
        return;
    }
    if (typeof node !== "object" || node === null) return;
    const { type, cte_map, cte_name, query_location } = node as SyntaxNode;
    const inner = new Set(expressions);
    for (const { key } of cte_map?.map ?? []) inner.add(key.toLowerCase());
    if (cte_name !== undefined) inner.add(cte_name.toLowerCase());
    const offset =
        query_location === undefined || query_location > sql.length * 4 ? undefined : toUtf16(sql, query_location);
    if (type === "BASE_TABLE") {
        const { catalog_name = "", schema_name = "", table_name = "" } = node as SyntaxNode;
        const name = [catalog_name, schema_name, table_name].filter((part) => part !== "").join(".");
        if (!(schema_name === "" && inner.has(table_name.toLowerCase()))) reads.push({ name, offset });
    }
    const functionName = (node as SyntaxNode).function?.function_name;
    if (type === "TABLE_FUNCTION" && functionName !== undefined && unseenReaders.test(functionName)) {
        reads.push({ name: `${functionName}()`, offset });
    }
    for (const value of Object.values(node)) collectReads(value, inner, sql, reads);
}
