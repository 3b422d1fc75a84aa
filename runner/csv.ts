export interface CsvField {
    /** Without its quotes; what is not quoted is as it stands, spaces included. */
    readonly text: string;
    readonly isQuoted: boolean;
    readonly offset: number;
}

/** What stands between two line ends, line ends in quotes aside. */
export interface CsvRecord {
    readonly fields: readonly CsvField[];
    readonly offset: number;
    /** The line end after it; "" at the end of the file. */
    readonly ending: string;
    /** Why it can't be read. After a quote that is never closed there is no further record. */
    readonly mistake?: { readonly message: string; readonly offset: number };
}

/**
 * The records of a CSV file (RFC 4180), with their places in it. As with DuckDB, a quote counts where a field begins,
 * and spaces around a quoted field do not. An empty line is a record of one empty field.
 */
export function* csvRecords(text: string, delimiter: string): Generator<CsvRecord> {
    for (let at = text.startsWith("\uFEFF") ? 1 : 0; at < text.length; ) {
        const offset = at;
        const fields: CsvField[] = [];
        let mistake: CsvRecord["mistake"];
        for (;;) {
            const { field, end, problem } = readField(text, at, delimiter);
            fields.push(field);
            mistake ??= problem;
            at = end;
            if (!text.startsWith(delimiter, at)) break;
            at += delimiter.length;
        }
        const ending = text.startsWith("\r\n", at) ? "\r\n" : text.slice(at, at + 1);
        at += ending.length;
        yield { fields, offset, ending, ...(mistake === undefined ? {} : { mistake }) };
    }
}

interface Read {
    readonly field: CsvField;
    readonly end: number;
    readonly problem?: CsvRecord["mistake"];
}

function readField(text: string, offset: number, delimiter: string): Read {
    const start = delimiter === " " ? offset : skipSpaces(text, offset);
    if (text[start] !== '"') {
        const end = fieldEnd(text, offset, delimiter);
        return { field: { text: text.slice(offset, end), isQuoted: false, offset }, end };
    }
    let close = text.indexOf('"', start + 1);
    while (close >= 0 && text[close + 1] === '"') close = text.indexOf('"', close + 2);
    const inner = text.slice(start + 1, close < 0 ? undefined : close).replaceAll('""', '"');
    const field = { text: inner, isQuoted: true, offset: start };
    if (close < 0) {
        return { field, end: text.length, problem: { message: "this quote is never closed", offset: start } };
    }
    const after = delimiter === " " ? close + 1 : skipSpaces(text, close + 1);
    const end = fieldEnd(text, after, delimiter);
    if (end === after) return { field, end };
    const message = 'there is text after the closing quote: a quote inside a quoted field is written ""';
    return { field, end, problem: { message, offset: after } };
}

function skipSpaces(text: string, offset: number): number {
    let at = offset;
    while (text[at] === " ") at++;
    return at;
}

function fieldEnd(text: string, offset: number, delimiter: string): number {
    let at = offset;
    while (at < text.length && text[at] !== "\n" && text[at] !== "\r" && !text.startsWith(delimiter, at)) at++;
    return at;
}

/** The rows of a CSV text with a header, by column; an empty field is null. */
export function csvObjects(text: string): Record<string, string | null>[] {
    const [header, ...records] = [...csvRecords(`${text.trim()}\n`, ",")].map((record) =>
        record.fields.map((field) => field.text),
    );
    return records.map((fields) =>
        Object.fromEntries(
            (header ?? []).map((name, i) => [name.trim(), fields[i] === "" ? null : (fields[i] ?? null)]),
        ),
    );
}
