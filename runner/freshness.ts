import { didYouMean } from "../common/nearest.ts";
import { relationOf } from "./compile.ts";
import { type Database, SqlError } from "./duckdb.ts";
import type { Node, Source } from "./nodes.ts";
import type { Problem } from "./problem.ts";
import type { Freshness, Threshold } from "./properties.ts";
import { counted } from "./text.ts";

export type FreshnessStatus = "pass" | "warn" | "error" | "runtime error";

/** How old the newest row of a source table is. Times are ISO 8601 in UTC. */
export interface FreshnessResult {
    /** "source.table" */
    readonly source: string;
    /** When the newest row was loaded; absent when there is none. */
    readonly maxLoadedAt?: string;
    readonly snapshottedAt: string;
    /** Negative when the newest row is of a time to come. */
    readonly ageSeconds?: number;
    readonly criteria: Freshness;
    readonly status: FreshnessStatus;
    /** Why it could not be asked. */
    readonly message?: string;
}

/** Those of `names` that say how fresh they must be. */
export function withFreshness(nodes: Iterable<Node>, names: ReadonlySet<string>): Source[] {
    return [...nodes].filter(
        (node): node is Source => node.kind === "source" && node.freshness !== undefined && names.has(node.name),
    );
}

/**
 * Asks each source for its newest row and compares its age at `now` with the thresholds: older than `error_after` is an
 * error, than `warn_after` a warning. As in dbt, a source without rows was loaded infinitely long ago.
 * The files that the sources live in must be attached.
 */
export async function checkFreshness(
    database: Database,
    sources: readonly Source[],
    now = new Date(),
): Promise<readonly FreshnessResult[]> {
    const results: FreshnessResult[] = [];
    for (const source of sources) {
        const { freshness: criteria } = source;
        if (criteria === undefined) continue;
        const facts = { source: source.name, snapshottedAt: now.toISOString(), criteria };
        try {
            const loadedAt = await newest(database, source, criteria);
            const age = loadedAt === undefined ? Number.POSITIVE_INFINITY : (now.getTime() - loadedAt) / 1000;
            results.push({
                ...facts,
                status: statusOf(age, criteria),
                ...(loadedAt === undefined ? {} : { maxLoadedAt: new Date(loadedAt).toISOString(), ageSeconds: age }),
            });
        } catch (error) {
            if (!(error instanceof SqlError)) throw error;
            results.push({ ...facts, status: "runtime error", message: error.message });
        }
    }
    return results;
}

/** Milliseconds since 1970 in UTC. A timestamp without a zone is UTC, a date its beginning. */
async function newest(database: Database, source: Source, criteria: Freshness): Promise<number | undefined> {
    const type = await typeOfNewest(database, source, criteria);
    const value = type === "TIMESTAMP WITH TIME ZONE" ? "loaded_at" : "cast(loaded_at as timestamp)";
    const found = await database.value(`select epoch_ms(${value}) from (${queryOf(source, criteria)})`);
    return found === null ? undefined : Number(found);
}

async function typeOfNewest(database: Database, source: Source, criteria: Sql): Promise<string> {
    const [row] = await database.rows(`describe ${queryOf(source, criteria)}`);
    return String(row?.column_type);
}

type Sql = Pick<Freshness, "loadedAtField" | "filter">;

function queryOf(source: Source, { loadedAtField, filter }: Sql): string {
    const where = filter === undefined ? "" : `\nwhere (${filter}\n)`;
    return `select max(${loadedAtField}\n) as loaded_at from ${relationOf(source)}${where}`;
}

function statusOf(age: number, { warnAfter, errorAfter }: Freshness): FreshnessStatus {
    if (errorAfter !== undefined && age > secondsOf(errorAfter)) return "error";
    return warnAfter !== undefined && age > secondsOf(warnAfter) ? "warn" : "pass";
}

const seconds = { minute: 60, hour: 3600, day: 86_400 };

function secondsOf({ count, period }: Threshold): number {
    return count * seconds[period];
}

/** What is wrong with the SQL of a source's freshness; the source must be there in `database`, empty or not. */
export async function freshnessMistakes(
    database: Database,
    node: Node,
    columns: readonly string[],
): Promise<Problem[]> {
    if (node.kind !== "source" || node.freshness === undefined) return [];
    const { loadedAtField, filter, loadedAtFieldAt, filterAt } = node.freshness;
    const said = (error: unknown, key: string): string => {
        if (!(error instanceof SqlError)) throw error;
        const { unknownColumn, message } = error;
        const unknown =
            unknownColumn && `unknown column "${unknownColumn.name}".${didYouMean(unknownColumn.name, columns)}`;
        return `${key} of "${node.name}": ${unknown ?? message}`;
    };
    try {
        const type = await typeOfNewest(database, node, { loadedAtField });
        if (!/^(TIMESTAMP|DATE)/.test(type)) {
            const message = `loaded_at_field of "${node.name}" is "${loadedAtField}", which is ${type}; expected a timestamp or a date`;
            return [{ message, at: loadedAtFieldAt }];
        }
    } catch (error) {
        return [{ message: said(error, "loaded_at_field"), at: loadedAtFieldAt }];
    }
    if (filter === undefined) return [];
    try {
        await typeOfNewest(database, node, node.freshness);
        return [];
    } catch (error) {
        return [{ message: said(error, "freshness.filter"), at: filterAt }];
    }
}

/** `loaded 9 days ago (2026-11-13T10:00:00.000Z); warn after 7 days` */
export function freshnessText({ maxLoadedAt, ageSeconds, criteria, status, message }: FreshnessResult): string {
    if (message !== undefined) return message;
    const limit = status === "error" ? criteria.errorAfter : status === "warn" ? criteria.warnAfter : undefined;
    const late = limit === undefined ? "" : `; ${status} after ${counted(limit.count, limit.period)}`;
    if (maxLoadedAt === undefined || ageSeconds === undefined) return `no row tells when it was loaded${late}`;
    const when = ageSeconds < 0 ? `in ${words(-ageSeconds)}` : `${words(ageSeconds)} ago`;
    return `loaded ${when} (${maxLoadedAt})${late}`;
}

/** In the largest unit of which there are two. */
function words(age: number): string {
    if (age < 2 * seconds.minute) return counted(Math.floor(age), "second");
    if (age < 2 * seconds.hour) return counted(Math.floor(age / seconds.minute), "minute");
    if (age < 2 * seconds.day) return counted(Math.floor(age / seconds.hour), "hour");
    return counted(Math.floor(age / seconds.day), "day");
}
