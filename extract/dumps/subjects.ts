import { literal } from "./scratch.ts";

/** SQL for the key of a label, as macros/subject_key_of.sql has it for the models. */
export function keyOfSql(label: string): string {
    return `translate(lower(trim(${label})), ${literal(' ;/?:@&=+$,<>#%"{}|\\^[]`\n\r')}, '_')`;
}

/** What is dropped from a label to make its key, as it stands in JSON. */
const dropped = '(?:[;/?:@&=+$,<>#%"{}|\\\\^\\[\\]`]|\\\\[nr])*';

/**
 * A regular expression that matches each line of JSON in which a label has one of these keys, and few others: no more than
 * letters of the key, whatever is dropped between them. Looking for it takes a fraction of the time of reading the JSON.
 */
export function mentionOf(keys: readonly string[]): string {
    // A letter may be written as its code, which takes reading.
    return `(?i)\\\\u00[0-7]|${keys.map((key) => [...key].map(spellings).join(dropped)).join("|")}`;
}

function spellings(char: string): string {
    if (char === "_") return "[ _]";
    // Lower case makes an i and a k also of two letters that are not ASCII.
    if (char === "i") return "(?:[iİ]|\\\\u0130)";
    if (char === "k") return "(?:[k\u212a]|\\\\u212a)";
    if (/[a-z0-9]/.test(char)) return char;
    if (/[!-~]/.test(char)) return `\\${char}`;
    // A control character has a name or a code in JSON, any other character a code or two, and both may be one in upper case.
    return char < " " ? "\\\\." : "(?:\\\\u[0-9a-f]{4}|[^\\x00-\\x7f])+";
}
