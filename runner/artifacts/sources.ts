import type { FreshnessResult } from "../freshness.ts";
import type { Project } from "../nodes.ts";
import { uniqueIdOf } from "./dbt-names.ts";
import { type Invocation, metadataOf } from "./invocation.ts";

/** dbt's source freshness (schema v3). `seconds` is how long all of it took. */
export function sourcesOf(
    project: Project,
    results: readonly FreshnessResult[],
    { invocation, seconds }: { invocation: Invocation; seconds: number },
): object {
    return {
        metadata: metadataOf("sources/v3", invocation),
        results: results.map(({ source: name, status, criteria, message, ...result }) => {
            const source = project.nodes.get(name);
            if (source?.kind !== "source") throw new Error(`${name} is no source`);
            const { maxLoadedAt, snapshottedAt, ageSeconds } = result;
            const id = { unique_id: uniqueIdOf(project, source) };
            // dbt has no words for a table without rows, which has no newest one.
            if (maxLoadedAt === undefined || status === "runtime error") {
                return { ...id, error: message ?? "the table has no rows", status: "runtime error" };
            }
            const { warnAfter = null, errorAfter = null, filter = null } = criteria;
            return {
                ...{ ...id, status, max_loaded_at: maxLoadedAt, snapshotted_at: snapshottedAt },
                max_loaded_at_time_ago_in_s: ageSeconds,
                criteria: { warn_after: warnAfter, error_after: errorAfter, filter },
                // The questions are asked together.
                ...{ adapter_response: {}, timing: [], thread_id: "main", execution_time: seconds / results.length },
            };
        }),
        elapsed_time: seconds,
    };
}
