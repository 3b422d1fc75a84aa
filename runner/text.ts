import type { Value } from "./duckdb.ts";

// Values and numbers in what people read.

/** `1,234,567`. Not by toLocaleString, which takes 20 ms to load what it knows of languages. */
export function count(n: number): string {
    return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 row`, `1,204 rows` */
export function counted(n: number, noun: string): string {
    return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}

/** A value in one short line, without what a terminal would take for a command. */
export function valueText(value: Value): string {
    if (value === null) return "null";
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const oneLine = text.replace(/\s+/g, " ").replace(/\p{Cc}/gu, "\ufffd");
    // Not through the middle of a character that takes two code units.
    return oneLine.length > 60 ? `${oneLine.slice(0, 59).replace(/[\ud800-\udbff]$/, "")}…` : oneLine;
}
