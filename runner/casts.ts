import type { Column, Database } from "./duckdb.ts";
import { serializeQueries } from "./syntax.ts";

// DuckDB's binder takes `date = integer` with a cast that there is not: the run fails. The casts show in the plan; that a
// type can't become the other is known of their families. Those of a union do not show.

/** Types between which DuckDB has no cast; of what has no family nothing is known. */
function familyOf(type: string): "number" | "time" | "nested" | undefined {
    if (/(\[\d*\]|^STRUCT.*|^MAP.*)$/.test(type)) return "nested";
    if (/^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*|DOUBLE|FLOAT|BOOLEAN)$/.test(type)) return "number";
    return /^(DATE|TIMESTAMP.*)$/.test(type) ? "time" : undefined;
}

/**
 * The first column of a query that would have to be cast to a type that it can't become, which only a run would tell.
 * `explain_output` must be "all". `read` are the columns of all that the query reads; a name that means several things there is left alone.
 */
export async function impossibleCast(
    database: Database,
    sql: string,
    read: readonly Column[],
): Promise<{ message: string; offset: number | undefined } | undefined> {
    if (new Set(read.map(({ type }) => familyOf(type)).filter((family) => family !== undefined)).size < 2)
        return undefined;
    const plans = await database.rows(`explain (format json)\n${sql}`);
    const plan = plans.find(({ explain_key: key }) => key === "logical_plan");
    for (const [, name = "", type = ""] of String(plan?.explain_value).matchAll(/CAST\(([^()]+?) AS ([^()]+?)\)/g)) {
        const types = [...new Set(read.filter((column) => column.name === name).map((column) => column.type))];
        const [own] = types;
        if (own === undefined || types.length > 1 || !isImpossible(own, type)) continue;
        if (await isRenamed(database, sql, name)) continue;
        const message = `"${name}" is ${own}, and can't become ${type}, with which it is compared`;
        return { message, offset: placeOf(sql, name) };
    }
    return undefined;
}

function isImpossible(from: string, to: string): boolean {
    const [a, b] = [familyOf(from), familyOf(to)];
    return a !== undefined && b !== undefined && a !== b;
}

/** Whether the query gives something else the name of the column. */
async function isRenamed(database: Database, sql: string, name: string): Promise<boolean> {
    const tree = (await serializeQueries(database, new Map([["", sql]]))).get("") ?? "";
    const lists = [...tree.matchAll(/"(?:column_name_alias|aliases)":(\[[^\]]*\])/g)].flatMap(
        ([, list = "[]"]) => JSON.parse(list) as unknown[],
    );
    const single = [...tree.matchAll(/"alias":("(?:[^"\\]|\\.)*")/g)].map(
        ([, text = '""']) => JSON.parse(text) as unknown,
    );
    return [...lists, ...single].some((alias) => String(alias).toLowerCase() === name.toLowerCase());
}

/** Where the column is compared; where it stands first, if it is not. */
function placeOf(sql: string, name: string): number | undefined {
    const word = `(?:\\w+\\.)?"?${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}"?`;
    const compared = new RegExp(`\\b${word}\\s*(?:=|<>|!=|in\\b|is\\b)|(?:=|<>|!=)\\s*(?=${word}(?!\\w))`, "i").exec(
        sql,
    );
    if (compared !== null) {
        const [text] = compared;
        return compared.index + (/^[=<!]/.test(text) ? text.length : 0);
    }
    const first = new RegExp(`\\b${word}(?!\\w)`, "i").exec(sql);
    return first?.index;
}
