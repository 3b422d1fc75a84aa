import { literal } from "../tables.ts";

/** SQL for the key of a label, as macros/subject_key_of.sql has it for the models. */
export function keyOfSql(label: string): string {
    return `translate(lower(trim(${label})), ${literal(' ;/?:@&=+$,<>#%"{}|\\^[]`\n\r')}, '_')`;
}

/** What is dropped from a label to make its key, as it stands in JSON. */
const dropped = '(?:[;/?:@&=+$,<>#%"{}|\\\\^\\[\\]`]|\\\\[nr])*';

/**
 * A regular expression that matches each JSON list of labels of which one has one of these keys, and few others: the letters
 * of a key with whatever is dropped between them. Looking for it takes a fraction of the time of reading the labels.
 */
export function mentionOf(keys: readonly string[]): string {
    // A letter may be written as its code, which takes reading.
    return ["\\\\u00[0-7]", ...keys.map((key) => [...key].map(spellings).join(dropped))].join("|");
}

/** Spelled out: RE2 takes twice the time when it is told not to mind the case. */
function spellings(char: string): string {
    if (char === "_") return "[ _]";
    // Lower case makes an i and a k also of two letters that are not ASCII.
    if (char === "i") return "(?:[iI]|\u0130|\\\\u0130)";
    if (char === "k") return "(?:[kK]|\u212a|\\\\u212[aA])";
    if (/[a-z]/.test(char)) return `[${char}${char.toUpperCase()}]`;
    if (/[0-9]/.test(char)) return char;
    if (/[!-~]/.test(char)) return `\\${char}`;
    // A control character has a name or a code in JSON, any other character a code or two, and both may be one in upper case.
    return char < " " ? "\\\\." : "(?:\\\\u[0-9a-fA-F]{4}|[^\\x00-\\x7f])+";
}
