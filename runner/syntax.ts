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

/** How many queries are sent to be parsed at a time: one by one, each costs a round trip of 0.5 ms. */
const batch = 100;

/** Parses queries with DuckDB's own parser, without binding them; the answers are in the order of the queries. */
export async function parseQueries(database: Database, queries: readonly string[]): Promise<Syntax[]> {
    const all: Syntax[] = [];
    for (let i = 0; i < queries.length; i += batch) {
        const some = queries.slice(i, i + batch);
        const parsed = await database.rows(
            `select json_serialize_sql(query)::varchar as tree from (values ${some.map((sql) => `(${literal(sql)})`).join(", ")}) as queries(query)`,
        );
        all.push(...some.map((sql, k) => syntaxOf(sql, String(parsed[k]?.tree))));
    }
    return all;
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

/** Comments, and quotes of three kinds, in which a semicolon is none. */
const lexemes = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|\s+|\w+|[\s\S]/g;

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
