import { existsSync } from "node:fs";
import * as v from "valibot";
import type { LandingOptions } from "../landing.ts";
import { count } from "../progress.ts";
import type { DumpKind } from "./dump-file.ts";
import type { Account } from "./lines.ts";
import type { Scratch } from "./scratch.ts";

const pastFile = v.object({
    kind: v.picklist(["works", "authors", "editions", "ratings", "reading_log"]),
    file_name: v.string(),
    lines: v.pipe(v.string(), v.transform(Number)),
    last_modified: v.nullable(v.string()),
});

/** Of each kind, the file that landed last. */
export type Past = ReadonlyMap<DumpKind, v.InferOutput<typeof pastFile>>;

export async function findPast(scratch: Scratch, landing: string, options: LandingOptions): Promise<Past> {
    if (!existsSync(landing)) return new Map();
    const files = await scratch.withLanding(landing, { ...options, readOnly: true }, async () => {
        const known = `select 1 as one from duckdb_tables()
            where database_name = 'landing' and schema_name = 'openlibrary' and table_name = 'dump_files'`;
        if ((await scratch.rows(v.object({ one: v.number() }), known)).length === 0) return [];
        return scratch.rows(
            pastFile,
            `select kind, file_name, lines, last_modified::varchar as last_modified
            from landing.openlibrary.dump_files
            inner join landing.openlibrary.extract_runs using (run_id)
            qualify row_number() over (partition by kind order by started_at desc, run_id desc) = 1`,
        );
    });
    return new Map(files.map((file) => [file.kind, file]));
}

/** A dump is made within some weeks of its date; its newest works are of the night before. */
const oldestDays = 45;
const fewestLines = 0.9;

/** What speaks against landing a file that is sound: it is old, or has far fewer lines than the one before it. */
export function judge({ file, lines, newest }: Account, past: Past): string[] {
    const doubts: string[] = [];
    const before = past.get(file.kind);
    if (file.kind === "works" && newest !== null) {
        const isAsOf = file.date === undefined ? new Date() : new Date(file.date);
        const days = (isAsOf.getTime() - new Date(`${newest.replace(" ", "T")}Z`).getTime()) / 86_400_000;
        const dateBefore = before && /\d{4}-\d{2}-\d{2}/.exec(before.file_name)?.[0];
        if (days > oldestDays) {
            doubts.push(
                `is stale: its newest work is of ${newest.slice(0, 10)}, ${count(Math.floor(days))} days before its date`,
            );
        } else if (
            before?.last_modified != null &&
            dateBefore !== undefined &&
            file.date !== undefined &&
            file.date > dateBefore &&
            newest <= before.last_modified
        ) {
            doubts.push(`is stale: its newest work is of ${newest.slice(0, 10)}, as in ${before.file_name}`);
        }
    }
    if (before !== undefined && lines < before.lines * fewestLines) {
        doubts.push(`has ${count(lines)} lines, where ${before.file_name} had ${count(before.lines)}`);
    }
    return doubts;
}
