import type { Row } from "./duckdb.ts";
import type { Failure } from "./failures.ts";
import type { FreshnessResult } from "./freshness.ts";
import { resourceType } from "./nodes.ts";
import type { Plan } from "./plan.ts";
import { lineAndColumn, type Problem } from "./problem.ts";
import type { Published } from "./publish.ts";
import type { Result, Status } from "./run.ts";

// What happens in a build, as data. The lines of the terminal are one rendering of it (report.ts), the lines of
// artifacts/<target>/events.ndjson another. A field that changes its meaning raises the version.
export const eventSchema = "shelfmark.events/1";

/** One thing that happened. Times are seconds; what does not apply is absent. */
export type Event =
    | {
          readonly type: "checked";
          readonly nodes: number;
          readonly unit_tests: number;
          /** False where just this was found sound before. */
          readonly is_anew: boolean;
          readonly seconds: number;
          readonly target: string;
      }
    | { readonly type: "refused"; readonly problems: readonly ProblemRecord[] }
    | { readonly type: "plan"; readonly nodes: readonly PlannedNode[] }
    | ({ readonly type: "freshness" } & FreshnessRecord)
    | ({ readonly type: "node"; readonly index: number; readonly total: number } & NodeRecord)
    | {
          readonly type: "finished";
          readonly command: string;
          readonly status: RunStatus;
          readonly seconds: number;
          readonly counts: Readonly<Partial<Record<Status, number>>>;
          readonly published?: { readonly run_id: string; readonly tables: number; readonly files: number };
          /** Why nothing was published. */
          readonly reasons: readonly string[];
      };

export type RunStatus = "success" | "error" | "interrupted";

/** What would become of a node, and why it would run. */
export interface PlannedNode {
    readonly node: string;
    readonly fate: "runs" | "goes on" | "reused";
    readonly reason?: string;
}

export interface ProblemRecord {
    readonly message: string;
    readonly file?: string;
    readonly line?: number;
    readonly column?: number;
}

/** What became of a node. */
export interface NodeRecord {
    readonly node: string;
    readonly resource_type: string;
    readonly materialized?: string;
    readonly status: Status;
    readonly seconds: number;
    readonly rows?: number;
    readonly new_rows?: number;
    readonly failures?: number;
    /** The first failing rows. */
    readonly sample?: readonly Row[];
    readonly stored?: string;
    /** Where the test's SQL is. */
    readonly compiled?: string;
    /** The columns furthest up in which the test finds the same values failing, or the one that makes them. */
    readonly already_in?: Failure["alreadyIn"];
    readonly made_in?: Failure["madeIn"];
    /** What of this could not be found out, and why. */
    readonly unclear?: string;
    readonly message?: string;
}

export function nodeRecord({ node, ...result }: Result): NodeRecord {
    const { status, seconds, rows, newRows, failures, sample, stored, compiled, alreadyIn, madeIn, unclear, message } =
        result;
    const facts = {
        rows,
        new_rows: newRows,
        failures,
        sample,
        stored,
        compiled,
        already_in: alreadyIn,
        made_in: madeIn,
        unclear,
        message,
    };
    const present = Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
    const kind = node.kind === "model" ? { materialized: node.materialized } : {};
    return { node: node.name, resource_type: resourceType(node), ...kind, status, seconds, ...present };
}

/** How fresh a source is. */
export interface FreshnessRecord {
    readonly source: string;
    readonly status: string;
    /** ISO 8601, in UTC. */
    readonly max_loaded_at?: string;
    readonly age_seconds?: number;
    readonly message?: string;
}

export function freshnessRecord({
    source,
    status,
    maxLoadedAt,
    ageSeconds,
    message,
}: FreshnessResult): FreshnessRecord {
    return {
        ...{ source, status },
        ...(maxLoadedAt === undefined ? {} : { max_loaded_at: maxLoadedAt }),
        ...(ageSeconds === undefined || !Number.isFinite(ageSeconds) ? {} : { age_seconds: ageSeconds }),
        ...(message === undefined ? {} : { message }),
    };
}

export function problemRecord({ message, at }: Problem): ProblemRecord {
    if (at === undefined) return { message };
    const { line, column } = lineAndColumn(at);
    return { message, file: at.file.path, line, column };
}

export function plannedNodes({ reasons, kept }: Plan): readonly PlannedNode[] {
    return [...reasons].map(([node, reason]) => {
        if (reason === undefined) return { node, fate: "reused" };
        return { node, fate: kept.has(node) ? "goes on" : "runs", reason };
    });
}

/** How a run ended. */
export function finishedEvent(
    { command, status, seconds }: { command: string; status: RunStatus; seconds: number },
    results: readonly Result[],
    { publication, reasons }: Published,
): Event {
    const counts: Partial<Record<Status, number>> = {};
    for (const result of results) counts[result.status] = (counts[result.status] ?? 0) + 1;
    const published =
        publication === undefined
            ? {}
            : {
                  published: {
                      run_id: publication.runId,
                      tables: publication.relations.length,
                      files: publication.files.length,
                  },
              };
    return { type: "finished", command, status, seconds, counts, ...published, reasons };
}

/** An event as a line of JSON. */
export function eventLine(runId: string, event: Event): string {
    const { type, ...facts } = event;
    return JSON.stringify({ schema: eventSchema, time: new Date().toISOString(), run_id: runId, type, ...facts });
}
