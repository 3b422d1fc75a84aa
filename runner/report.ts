import picocolors from "picocolors";
import { relationOf } from "./compile.ts";
import type { Row } from "./duckdb.ts";
import type { Event, PlannedNode } from "./events.ts";
import { originLines } from "./failures.ts";
import { type FreshnessResult, type FreshnessStatus, freshnessText } from "./freshness.ts";
import type { Published } from "./publish.ts";
import type { Result, Status } from "./run.ts";
import { count, counted, valueText } from "./text.ts";

// What a person reads while and after a run: one line a node, what went wrong, and dbt's closing line.

// By itself picocolors also colours where CI is set, and with it what is written to a file or a pipe.
const colors = picocolors.createColors(process.stdout.isTTY === true && picocolors.isColorSupported);

const paint: Record<Status, (text: string) => string> = {
    success: colors.green,
    pass: colors.green,
    warn: colors.yellow,
    fail: colors.red,
    error: colors.red,
    skip: colors.yellow,
    reused: colors.dim,
};

/** ` 3 of 42  OK     table main.stg_works  1,204 rows  0.12 s` */
export function resultLine(result: Result, { index, total }: { index: number; total: number }): string {
    const { node, status, seconds, rows, newRows, failures, message } = result;
    const number = `${String(index).padStart(String(total).length)} of ${total}`;
    const word = status === "success" ? "OK" : status.toUpperCase();
    const kind = node.kind === "model" ? node.materialized : node.kind;
    const name = node.kind === "test" ? node.name : relationOf(node);
    const facts = [
        ...(rows === undefined ? [] : [counted(rows, "row")]),
        ...(newRows === undefined ? [] : [`${count(newRows)} of them from this run`]),
        ...(failures === undefined || failures === 0 ? [] : [counted(failures, "failure")]),
        ...(status === "skip" ? [message ?? ""] : [`${seconds.toFixed(2)} s`]),
    ];
    return `${number}  ${paint[status](word.padEnd(5))}  ${kind.padEnd(5)}  ${name}  ${colors.dim(facts.join("  "))}`;
}

/** `WARN   source openlibrary.search_pages  loaded 9 days ago (2026-11-13T10:00:00.000Z); warn after 7 days` */
export function freshnessLine(result: FreshnessResult): string {
    const status = result.status === "runtime error" ? "error" : result.status;
    return `${paint[status](status.toUpperCase().padEnd(5))}  source  ${result.source}  ${freshnessText(result)}`;
}

/** dbt's closing line, of source tables. */
export function freshnessClosingLine(results: readonly FreshnessResult[]): string {
    const of = (...statuses: FreshnessStatus[]): number =>
        results.filter(({ status }) => statuses.includes(status)).length;
    const counts = `PASS=${of("pass")} WARN=${of("warn")} ERROR=${of("error", "runtime error")} TOTAL=${results.length}`;
    return results.length === 0 ? `No source that is selected has a freshness\nDone. ${counts}` : `Done. ${counts}`;
}

/** What went wrong with each node that failed or warned: the message, or the first failing rows and where all are. */
export function details(results: readonly Result[]): string {
    return results
        .filter(({ status }) => status === "warn" || status === "fail" || status === "error")
        .map((result) => {
            const { node, status, message, failures = 0, sample = [], stored, compiled } = result;
            const head = `${paint[status](status.toUpperCase())} ${node.name}`;
            if (message !== undefined) return `${head}\n${indent(message)}`;
            const description =
                node.kind === "test" && node.description !== "" ? `\n${indent(node.description.trim())}` : "";
            if (stored === undefined && node.kind === "test") {
                const [name, condition] = status === "fail" ? ["error_if", node.errorIf] : ["warn_if", node.warnIf];
                return `${head}${description}\n${indent(`no failing rows, and ${name} is "${condition}"`)}`;
            }
            const found = counted(failures, "failing row");
            const first = sample.length < failures ? `, the first ${sample.length}` : "";
            const lines = [
                `${found}${first} (${stored}):`,
                ...sample.map(rowText),
                `compiled: ${compiled}`,
                ...originLines(result),
            ];
            return `${head}${description}\n${indent(lines.join("\n"))}`;
        })
        .join("\n\n");
}

/** What is checked, and how long reading and checking took. */
export function checkedLine({
    nodes,
    unit_tests,
    is_anew,
    seconds,
    target,
}: Extract<Event, { type: "checked" }>): string {
    const also = unit_tests === 0 ? "" : ` and ${counted(unit_tests, "unit test")}`;
    const verb = is_anew ? "Checked" : "Nothing to check anew in";
    return `${verb} ${counted(nodes, "node")}${also} in ${seconds.toFixed(2)} s, target ${target}`;
}

/** Each node with why it would run, or that it would not. */
export function explanation(nodes: readonly PlannedNode[]): string {
    const width = Math.max(...nodes.map(({ node }) => node.length));
    const lines = nodes.map(
        ({ node, fate, reason = "nothing it is made of has changed" }) => `${node.padEnd(width)}  ${fate}: ${reason}`,
    );
    const running = nodes.filter(({ fate }) => fate !== "reused").length;
    return [...lines, "", `${running} of ${nodes.length} nodes would run`].join("\n");
}

/** What a run came to: what went wrong, what was reused, what was published or why nothing was. */
export function conclusion(
    results: readonly Result[],
    { publication, standingRun, reasons }: Published,
    { command, sampleRows, keepsPublication }: ConclusionOptions,
): string {
    const text = details(results);
    const lines = text === "" ? [""] : ["", text, ""];
    const reused = results.filter(({ status }) => status === "reused").length;
    if (reused > 0) {
        lines.push(
            `Reused ${count(reused)} of ${count(results.length)} nodes: nothing that they are made of has changed`,
        );
    }
    if (standingRun !== undefined) {
        lines.push(`Nothing new to publish: what run ${standingRun} published stands`);
    } else if (publication !== undefined) {
        const { runId, relations, warehouse, exports, files, seconds } = publication;
        const what = `${counted(relations.length, "table")} in ${warehouse} and ${counted(files.length, "file")} in ${exports}/`;
        lines.push(`Published ${what} in ${seconds.toFixed(2)} s, run ${runId}`);
        if (publication.leftBehind !== undefined)
            lines.push(`Old publications could not be removed: ${publication.leftBehind}`);
    } else if (sampleRows !== undefined) {
        const rows = sampleRows === 0 ? "no rows" : `no more than ${counted(sampleRows, "row")}`;
        lines.push(`This ran in memory on ${rows} of each source: nothing was kept, nothing was published`);
    } else if (command === "build" && keepsPublication !== true) {
        const why = reasons.length === 0 ? "" : `:\n${reasons.map(indent).join("\n")}`;
        lines.push(`Nothing was published, what people read is as it was${why}`);
    }
    return lines.join("\n");
}

interface ConclusionOptions {
    readonly command: string;
    readonly sampleRows?: number | undefined;
    readonly keepsPublication?: boolean | undefined;
}

/** dbt's closing line. A failed test counts as an error, as in dbt; what was reused counts as passed. */
export function closingLine(results: readonly Result[]): string {
    const of = (...statuses: Status[]): number => results.filter(({ status }) => statuses.includes(status)).length;
    const pass = of("success", "pass", "reused");
    const total = results.length;
    return `Done. PASS=${pass} WARN=${of("warn")} ERROR=${of("error", "fail")} SKIP=${of("skip")} TOTAL=${total}`;
}

function rowText(row: Row): string {
    return Object.entries(row)
        .slice(0, 8)
        .map(([name, value]) => `${name}=${valueText(value)}`)
        .join("  ");
}

function indent(text: string): string {
    return text.replace(/^/gm, "    ");
}
