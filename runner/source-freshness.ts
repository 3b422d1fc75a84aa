import { uniqueIdOf } from "./dbt-names.ts";
import { type Invocation, metadataOf } from "./invocation.ts";
import type { Project, Source } from "./nodes.ts";

/** An age that is too old: `{ count: 12, period: "hour" }` */
export interface Age {
    readonly count: number;
    readonly period: "minute" | "hour" | "day";
}

/** How old a source's newest row was, or why that could not be found out. Times are ISO 8601 in UTC. */
export type Freshness =
    | {
          readonly source: Source;
          readonly status: "pass" | "warn" | "error";
          readonly maxLoadedAt: string;
          /** When it was asked. */
          readonly snapshottedAt: string;
          readonly ageSeconds: number;
          readonly warnAfter?: Age | undefined;
          readonly errorAfter?: Age | undefined;
          readonly filter?: string | undefined;
          /** How long the question took. */
          readonly seconds: number;
      }
    | { readonly source: Source; readonly status: "runtime error"; readonly message: string };

/** dbt's source freshness (schema v3). `seconds` is how long all of it took. */
export function sourcesOf(
    project: Project,
    results: readonly Freshness[],
    { invocation, seconds }: { invocation: Invocation; seconds: number },
): object {
    return {
        metadata: metadataOf("sources/v3", invocation),
        results: results.map((result) => {
            const id = { unique_id: uniqueIdOf(project, result.source), status: result.status };
            if (result.status === "runtime error") return { ...id, error: result.message };
            const { maxLoadedAt, snapshottedAt, ageSeconds, warnAfter, errorAfter, filter } = result;
            return {
                ...id,
                max_loaded_at: maxLoadedAt,
                snapshotted_at: snapshottedAt,
                max_loaded_at_time_ago_in_s: ageSeconds,
                criteria: { warn_after: warnAfter ?? null, error_after: errorAfter ?? null, filter: filter ?? null },
                ...{ adapter_response: {}, timing: [], thread_id: "main", execution_time: result.seconds },
            };
        }),
        elapsed_time: seconds,
    };
}
