import { didYouMean } from "../common/nearest.ts";
import { type Column, type Database, SqlError } from "./duckdb.ts";
import { freshnessMistakes } from "./freshness.ts";
import type { Model, Node } from "./nodes.ts";
import type { Problem } from "./problem.ts";
import type { ColumnProperty } from "./properties.ts";

/** Where a node whose SQL is right is not what its YAML says of it. */
export async function mistakesIn(
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
export function misnamed(
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
export async function canonicalType(database: Database, type: string): Promise<string | undefined> {
    try {
        const [row] = await database.rows(`describe select cast(null as ${type}) as c`);
        return String(row?.column_type);
    } catch (error) {
        if (error instanceof SqlError) return undefined;
        throw error;
    }
}
