import { type Database, identifier, type Row, type Value } from "./duckdb.ts";
import { valueText } from "./text.ts";

export interface Comparison {
    /** Relations, as SQL names them, that both have `columns`. */
    readonly before: string;
    readonly after: string;
    /** The columns by which rows are paired. Where they are none, a row that differs anywhere is gone and another added. */
    readonly key: readonly string[];
    readonly columns: readonly string[];
    /** How many differing rows to return. */
    readonly limit: number;
}

/** A row that is not the same in both; `before` is absent where it was added, `after` where it is gone. */
export interface RowDifference {
    readonly before?: Row;
    readonly after?: Row;
}

/** How two relations differ. */
export interface Difference {
    readonly added: number;
    readonly gone: number;
    readonly changed: number;
    /** Of the changed rows, how many differ in a column; columns that differ nowhere are left out. */
    readonly changedColumns: Readonly<Record<string, number>>;
    /** The first differing rows in the order of the key. */
    readonly rows: readonly RowDifference[];
}

/** A model's unique key as `columns` spell it, or nothing where they don't hold all of it: rows can't be paired by it then. */
export function keyAmong(columns: readonly string[], uniqueKey: readonly string[]): readonly string[] {
    const key = uniqueKey.flatMap(
        (name) => columns.find((column) => column.toLowerCase() === name.toLowerCase()) ?? [],
    );
    return key.length === uniqueKey.length ? key : [];
}

/** Compares the rows of two relations as multisets, NULL being a value like any other. */
export async function compareRelations(
    database: Database,
    { before, after, key, columns, limit }: Comparison,
): Promise<Difference> {
    const by = (key.length > 0 ? key : columns).map(identifier);
    const rest = key.length > 0 ? columns.filter((name) => !key.includes(name)) : [];
    const all = columns.map(identifier).join(", ");
    // Rows of one key are paired one by one, in the order of their values.
    const numbered = (relation: string): string =>
        `select ${all}, row_number() over (partition by ${by.join(", ")} order by ${all}) as shelfmark_n from ${relation}`;
    // A whole row is read by its relation's name, which no column must have.
    const [a, b] = ["shelfmark_before", "shelfmark_after"];
    const isSame = [...by, "shelfmark_n"].map((name) => `${a}.${name} is not distinct from ${b}.${name}`).join(" and ");
    const isOther = (name: string): string => `${a}.${identifier(name)} is distinct from ${b}.${identifier(name)}`;
    const changed = rest.length === 0 ? "false" : `(${rest.map(isOther).join(" or ")})`;
    await database.run(
        `create or replace temp table shelfmark_pairs as
         select ${a} as before, ${b} as after,
             case when ${a}.shelfmark_n is null then 'added' when ${b}.shelfmark_n is null then 'gone' else 'changed' end as kind
         from (${numbered(before)}) as ${a} full join (${numbered(after)}) as ${b} on ${isSame}
         where ${a}.shelfmark_n is null or ${b}.shelfmark_n is null or ${changed}`,
    );
    try {
        const counts = rest.map(
            (name) =>
                `count(*) filter (where kind = 'changed' and before.${identifier(name)} is distinct from after.${identifier(name)})`,
        );
        const [totals = {}] = await database.rows(
            `select count(*) filter (where kind = 'added') as a, count(*) filter (where kind = 'gone') as g,
                 count(*) filter (where kind = 'changed') as c, [${counts.join(", ")}]::bigint[] as columns
             from temp.main.shelfmark_pairs`,
        );
        const perColumn = (totals.columns as Value[]).map(Number);
        const order = by.map((name) => `coalesce(before.${name}, after.${name})`).join(", ");
        const found = await database.rows(
            `select kind, before, after from temp.main.shelfmark_pairs order by ${order}, kind limit ${limit}`,
        );
        const strip = (value: Value | undefined): Row => {
            const { shelfmark_n: _, ...row } = value as Row;
            return row;
        };
        return {
            added: Number(totals.a),
            gone: Number(totals.g),
            changed: Number(totals.c),
            changedColumns: Object.fromEntries(
                rest.map((name, i): [string, number] => [name, perColumn[i] ?? 0]).filter(([, n]) => n > 0),
            ),
            rows: found.map((row) => ({
                ...(row.kind === "added" ? {} : { before: strip(row.before) }),
                ...(row.kind === "gone" ? {} : { after: strip(row.after) }),
            })),
        };
    } finally {
        await database.run("drop table if exists temp.main.shelfmark_pairs");
    }
}

/** A differing row in a line: `+` added, `-` gone, `~` changed, which has the key and each cell that is other. */
export function differenceText({ before, after }: RowDifference, key: readonly string[]): string {
    if (before === undefined) return `+ ${rowText(after ?? {})}`;
    if (after === undefined) return `- ${rowText(before)}`;
    const cells = Object.keys(before)
        .filter((name) => !key.includes(name) && JSON.stringify(before[name]) !== JSON.stringify(after[name]))
        .map((name) => `${cell(name, before)} but ${valueText(after[name] ?? null)}`);
    return `~ ${[...key.map((name) => cell(name, before)), ...cells].join("  ")}`;
}

function cell(name: string, row: Row): string {
    return `${name}=${valueText(row[name] ?? null)}`;
}

function rowText(row: Row): string {
    return Object.keys(row)
        .map((name) => cell(name, row))
        .join("  ");
}
