import { join } from "node:path";
import { didYouMean } from "../common/nearest.ts";
import { type CsvRecord, csvRecords } from "./csv.ts";
import { literal, type SqlError } from "./duckdb.ts";
import type { Project, Seed } from "./nodes.ts";
import type { Problem } from "./problem.ts";
import { counted } from "./text.ts";

/**
 * The call that reads a seed's file: the first line is the header, an empty field is no value, types are guessed from all
 * rows where none is given. Nothing else is guessed: DuckDB's sniffer takes lines for comments, for notes above the
 * header, or for rows to leave out. What it then can't read is for {@link seedProblems} to explain.
 */
export function readSeed(project: Project, seed: Seed): string {
    const names = columnNames(seed);
    const types = Object.entries(seed.columnTypes).map(([name, type]) => {
        // DuckDB overlooks a type whose column is written in another case.
        const column = names.find((known) => known.toLowerCase() === name.toLowerCase()) ?? name;
        return `${literal(column)}: ${literal(type)}`;
    });
    const options = [
        "header = true",
        "skip = 0",
        `names = [${names.map(literal).join(", ")}]`,
        `delim = ${literal(delimiterOf(seed))}`,
        `quote = '"'`,
        `escape = '"'`,
        "comment = ''",
        "strict_mode = true",
        "null_padding = false",
        "ignore_errors = false",
        "sample_size = -1",
        ...(types.length === 0 ? [] : [`types = {${types.join(", ")}}`]),
    ];
    return `read_csv(${literal(join(project.root, seed.file.path))}, ${options.join(", ")})`;
}

/** Every mistake in the shape of a seed's file, and names in `column_types` that it has not. */
export function seedProblems(seed: Seed): Problem[] {
    const problem = (message: string, offset = 0): Problem => ({ message, at: { file: seed.file, offset } });
    const delimiter = delimiterOf(seed);
    if (delimiter === "" || /["\r\n]/.test(delimiter)) {
        return [problem(`the delimiter of "${seed.name}" is "${delimiter}"; expected "," or another character`)];
    }
    const [header, ...rows] = csvRecords(seed.file.text, delimiter);
    if (header === undefined || seed.file.text.trim() === "") {
        return [problem("the file is empty; its first line must name the columns")];
    }
    const found = headerProblems(header, delimiter).map(({ message, offset }) => problem(message, offset));
    if (found.length > 0) return found;
    const names = columnNames(seed);
    const untyped = Object.keys(seed.columnTypes)
        .filter((name) => !names.some((known) => known.toLowerCase() === name.toLowerCase()))
        .map((name): Problem => {
            const remedy = didYouMean(name, names) || ` Its columns: ${names.join(", ")}`;
            const message = `column_types names a column "${name}" that "${seed.name}" has not.${remedy}`;
            return { message, at: seed.columnTypesAt };
        });
    const broken = rows.flatMap((row) => {
        const wrong = rowProblem(row, header);
        return wrong === undefined ? [] : [problem(wrong.message, wrong.offset)];
    });
    const mixed = rows.find((row) => row.ending !== "" && row.ending !== header.ending);
    if (mixed !== undefined) {
        const [first, other] = [header.ending, mixed.ending].map((ending) => JSON.stringify(ending).slice(1, -1));
        broken.unshift(problem(`this line ends in ${other}, the first in ${first}; end all alike`, mixed.offset));
    }
    const shown = broken.slice(0, shownProblems);
    const [next] = broken.slice(shownProblems);
    if (next?.at !== undefined) {
        shown.push(problem(`and ${broken.length - shown.length} more from here on`, next.at.offset));
    }
    return [...untyped, ...shown];
}

/** How many rows of a file are reported: a wrong header makes all of them wrong. */
const shownProblems = 5;

interface Wrong {
    readonly message: string;
    readonly offset: number;
}

function headerProblems(header: CsvRecord, delimiter: string): Wrong[] {
    if (header.mistake !== undefined) return [header.mistake];
    if (isBlank(header)) return [{ message: "the first line is empty; it must name the columns", offset: 0 }];
    const [only] = header.fields;
    if (only !== undefined && header.fields.length === 1 && !only.isQuoted) {
        const other = [",", ";", "\t", "|"].find((char) => char !== delimiter && only.text.includes(char));
        if (other !== undefined) {
            const message =
                `the header is one column "${only.text}": ` +
                `set the seed's delimiter to ${JSON.stringify(other)}, or put the name in quotes`;
            return [{ message, offset: 0 }];
        }
    }
    const names = header.fields.map(({ text }) => text.trim().toLowerCase());
    return header.fields.flatMap(({ text, offset }, i): Wrong[] => {
        const name = text.trim();
        if (name === "") return [{ message: `column ${i + 1} has no name`, offset }];
        const first = names.indexOf(name.toLowerCase());
        if (first === i) return [];
        const earlier = header.fields[first]?.text.trim() ?? name;
        const why = earlier === name ? "" : ` (SQL takes "${earlier}" for the same)`;
        return [{ message: `there are two columns "${name}"${why}: name one of them otherwise`, offset }];
    });
}

function rowProblem(row: CsvRecord, header: CsvRecord): Wrong | undefined {
    if (row.mistake !== undefined) return row.mistake;
    const [wanted, given] = [header.fields.length, row.fields.length];
    if (isBlank(row)) {
        if (wanted > 1) return undefined;
        return { message: 'an empty line in a file of one column: write "" for no value', offset: row.offset };
    }
    if (given === wanted) return undefined;
    const names = header.fields.map(({ text }) => text.trim()).join(", ");
    const note = row.fields[0]?.text.startsWith("#") ? ". A CSV file has no comments" : "";
    const message = `${counted(given, "field")}, but the first line names ${counted(wanted, "column")} (${names})${note}`;
    return { message, offset: row.fields[wanted]?.offset ?? row.offset };
}

/** How many rows there must be once the file is read. */
export function seedRows(seed: Seed): number {
    const [, ...rows] = csvRecords(seed.file.text, delimiterOf(seed));
    return rows.filter((row) => !isBlank(row)).length;
}

/** What DuckDB said against a seed whose shape is right, which is about a value or a type, at its line where it tells one. */
export function seedProblemOf({ message }: SqlError, seed: Seed): Problem {
    // What follows are hints in DuckDB's terms and all options of the call.
    const [, record, said = message] =
        /^CSV Error on Line: (\d+) (?:Original Line: .*?)?((?:Error when converting|Invalid unicode|Maximum line).*?)(?: Column \S+ is being| Possible | {2}file = |$)/s.exec(
            message,
        ) ?? [];
    // DuckDB counts records, not lines: a quoted field may hold line ends.
    const place = [...csvRecords(seed.file.text, delimiterOf(seed))][Number(record ?? 1) - 1];
    const text = said.replace(/^[A-Z]/, (char) => char.toLowerCase());
    // Without a line it is about the types.
    if (place === undefined || record === undefined) return { message: text, at: seed.columnTypesAt };
    const [, column] = /^error when converting column "(.*?)"/.exec(text) ?? [];
    const field = place.fields[column === undefined ? -1 : columnNames(seed).indexOf(column)];
    const remedy = column === undefined ? "" : ". Mend it, or give the column another column_types";
    return { message: `${text}${remedy}`, at: { file: seed.file, offset: field?.offset ?? place.offset } };
}

function columnNames(seed: Seed): string[] {
    const [header] = csvRecords(seed.file.text, delimiterOf(seed));
    return (header?.fields ?? []).map(({ text }) => text.trim());
}

/** `\t` stands for a tab, as in DuckDB. */
function delimiterOf({ delimiter }: Seed): string {
    return delimiter === "\\t" ? "\t" : delimiter;
}

function isBlank({ fields: [first, ...others] }: CsvRecord): boolean {
    return others.length === 0 && first?.text === "" && !first.isQuoted;
}
