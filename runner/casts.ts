import type { Column, Database } from "./duckdb.ts";
import { type Comparison, serializeQueries } from "./syntax.ts";

// DuckDB's binder takes `date = integer` with a cast that there is not: the run fails. That a type can't become another is
// known of their families; which of the two would have to, and that it is so, the plan tells.

/** Types between which DuckDB has no cast; of what has no family nothing is known. */
function familyOf(type: string): "number" | "time" | "nested" | undefined {
    if (/(\[\d*\]|^STRUCT.*|^MAP.*)$/.test(type)) return "nested";
    if (/^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*|DOUBLE|FLOAT|BOOLEAN)$/.test(type)) return "number";
    return /^(DATE|TIMESTAMP.*)$/.test(type) ? "time" : undefined;
}

/**
 * The first column of a query that is compared with one to whose type it can't be cast, which only a run would tell.
 * `read` are the columns of all that the query reads; a name that means several things is left alone.
 * `explain_output` must be "all".
 */
export async function impossibleCast(
    database: Database,
    sql: string,
    { comparisons, read }: { comparisons: readonly Comparison[]; read: readonly Column[] },
): Promise<{ message: string; offset: number | undefined } | undefined> {
    const typeOf = (name: string): string | undefined => {
        const types = new Set(read.filter((column) => isName(column.name, name)).map((column) => column.type));
        return types.size === 1 ? [...types][0] : undefined;
    };
    for (const sides of comparisons) {
        const types = sides.map(({ name }) => typeOf(name));
        const [a, b] = types.map((type) => (type === undefined ? undefined : familyOf(type)));
        if (a === undefined || b === undefined || a === b) continue;
        if (await isRenamed(database, sql, sides)) continue;
        const plans = await database.rows(`explain (format json)\n${sql}`);
        const plan = String(plans.find(({ explain_key: key }) => key === "logical_plan")?.explain_value);
        const cast = sides.findIndex(({ name }) => plan.toLowerCase().includes(`cast(${name.toLowerCase()} as `));
        const [side, type, other] = [sides[cast], types[cast], types[1 - cast]];
        if (side === undefined || type === undefined || other === undefined) continue;
        return {
            message: `"${side.name}" is ${type}, and can't become ${other}, with which it is compared`,
            offset: side.offset,
        };
    }
    return undefined;
}

/** Whether the query gives something else the name of one of the columns. */
async function isRenamed(database: Database, sql: string, sides: Comparison): Promise<boolean> {
    const tree = (await serializeQueries(database, new Map([["", sql]]))).get("") ?? "";
    const lists = [...tree.matchAll(/"(?:column_name_alias|aliases)":(\[[^\]]*\])/g)].flatMap(
        ([, list = "[]"]) => JSON.parse(list) as unknown[],
    );
    const single = [...tree.matchAll(/"alias":("(?:[^"\\]|\\.)*")/g)].map(
        ([, text = '""']) => JSON.parse(text) as unknown,
    );
    return [...lists, ...single].some((alias) => sides.some(({ name }) => isName(String(alias), name)));
}

function isName(a: string, b: string): boolean {
    return a.toLowerCase() === b.toLowerCase();
}
