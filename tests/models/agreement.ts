import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Row, Warehouse } from "../warehouse.ts";
import { type KindWord, recompute, type Settings } from "./recomputed.ts";

/** The columns that tell the rows of a mart apart. */
export const grains: Readonly<Record<string, readonly string[]>> = {
    dim_authors: ["author_key"],
    dim_books: ["work_key"],
    bridge_authors_books: ["author_key", "work_key"],
    bridge_subjects_books: ["subject", "work_key"],
    fct_author_year: ["subject", "author_key", "publish_year"],
    author_productivity: ["subject", "author_key"],
    subject_summary: ["subject"],
    extract_coverage: ["run_id", "subject"],
    data_quality: ["subject", "check_name"],
    work_changes: ["run_id", "subject", "work_key", "change"],
    demand_change: ["run_id", "subject", "work_key"],
    author_merges: ["author_key", "into_author_key"],
};

export type Published = Readonly<Record<string, readonly Row[]>>;

/** The rows of all marts as they are published. */
export async function publishedMarts(warehouse: Warehouse): Promise<Published> {
    const marts: Record<string, readonly Row[]> = {};
    for (const mart of Object.keys(grains)) marts[mart] = await warehouse.rows(`from ${mart}`);
    return marts;
}

/**
 * Compares what a warehouse published with what its landing file says when it is read without SQL.
 * @throws Error that lists the first differences of each mart.
 */
export async function agree(warehouse: Warehouse, settings: Partial<Settings> = {}): Promise<Published> {
    const published = await publishedMarts(warehouse);
    same(published, recompute(await warehouse.landed(), { kindWords: kindWords(), ...settings }));
    return published;
}

/** @throws Error unless both have the same rows in the same columns, in any order; numbers may differ by 1e-6. */
export function same(actual: Published, expected: Published): void {
    const problems = Object.entries(grains).flatMap(([mart, key]) =>
        differences(actual[mart] ?? [], expected[mart] ?? [], key).map((line) => `${mart}: ${line}`),
    );
    if (problems.length > 0) throw new Error(problems.join("\n"));
}

/** What differs, a line each, the first ten and how many there are. */
function differences(actual: readonly Row[], expected: readonly Row[], key: readonly string[]): string[] {
    const keyOf = (row: Row): string => key.map((name) => String(row[name])).join(" ");
    const others = new Map(expected.map((row) => [keyOf(row), row]));
    const lines = actual.length === expected.length ? [] : [`${actual.length} rows, expected ${expected.length}`];
    for (const row of actual) {
        const other = others.get(keyOf(row));
        if (other === undefined) lines.push(`unexpected row ${JSON.stringify(row)}`);
        else if (!others.delete(keyOf(row))) lines.push(`repeated row ${JSON.stringify(row)}`);
        else {
            for (const name of new Set([...Object.keys(row), ...Object.keys(other)])) {
                if (equal(row[name], other[name])) continue;
                lines.push(`${keyOf(row)}: ${name} is ${show(row[name])}, expected ${show(other[name])}`);
            }
        }
    }
    for (const row of others.values()) lines.push(`missing row ${JSON.stringify(row)}`);
    return lines.length > 10 ? [...lines.slice(0, 10), `... ${lines.length} differences`] : lines;
}

function equal(a: Row[string] | undefined, b: Row[string] | undefined): boolean {
    if (typeof a === "number" && typeof b === "number") return Math.abs(a - b) <= 1e-6;
    return a === b;
}

function show(value: Row[string] | undefined): string {
    return value === undefined ? "no column" : JSON.stringify(value);
}

/** The seed that the models read too. */
function kindWords(): KindWord[] {
    const file = join(import.meta.dirname, "..", "..", "seeds", "author_kind_words.csv");
    const [, ...lines] = readFileSync(file, "utf8").trim().split("\n");
    return lines.map((line) => {
        const [word = "", author_kind = "", match = ""] = line.split(",");
        return { word, author_kind, match };
    });
}
