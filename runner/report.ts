import colors from "picocolors";
import { relationOf } from "./compile.ts";
import type { Row, Value } from "./duckdb.ts";
import type { Result, Status } from "./run.ts";

// What a person reads while and after a run: one line a node, what went wrong, and dbt's closing line.

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
    const { node, status, seconds, rows, failures, message } = result;
    const number = `${String(index).padStart(String(total).length)} of ${total}`;
    const word = status === "success" ? "OK" : status.toUpperCase();
    const kind = node.kind === "model" ? node.materialized : node.kind;
    const name = node.kind === "test" ? node.name : relationOf(node);
    const facts = [
        ...(rows === undefined ? [] : [`${count(rows)} row${rows === 1 ? "" : "s"}`]),
        ...(failures === undefined || failures === 0 ? [] : [`${count(failures)} failure${failures === 1 ? "" : "s"}`]),
        ...(status === "skip" ? [message ?? ""] : [`${seconds.toFixed(2)} s`]),
    ];
    return `${number}  ${paint[status](word.padEnd(5))}  ${kind.padEnd(5)}  ${name}  ${colors.dim(facts.join("  "))}`;
}

/** What went wrong with each node that failed or warned: the message, or the first failing rows and where all are. */
export function details(results: readonly Result[]): string {
    return results
        .filter(({ status }) => status === "warn" || status === "fail" || status === "error")
        .map(({ node, status, message, failures = 0, sample = [], stored }) => {
            const head = `${paint[status](status.toUpperCase())} ${node.name}`;
            if (message !== undefined) return `${head}\n${indent(message)}`;
            const description =
                node.kind === "test" && node.description !== "" ? `\n${indent(node.description.trim())}` : "";
            const shown =
                sample.length < failures
                    ? ` (first ${sample.length} of ${count(failures)}; ${stored})`
                    : ` (${stored})`;
            return `${head}${description}\n${indent(`failing rows${shown}:\n${sample.map(rowText).join("\n")}`)}`;
        })
        .join("\n\n");
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

/** A value in one short line. */
export function valueText(value: Value): string {
    if (value === null) return "null";
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const oneLine = text.replace(/\s+/g, " ");
    return oneLine.length > 60 ? `${oneLine.slice(0, 59)}…` : oneLine;
}

function indent(text: string): string {
    return text.replace(/^/gm, "    ");
}

/** `1,234,567` */
export function count(n: number): string {
    return n.toLocaleString("en-US");
}
