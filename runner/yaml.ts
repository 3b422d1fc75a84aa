import { type Document, isMap, type Node, parseDocument, visit } from "yaml";
import { messageOf } from "../common/errors.ts";
import type { Position, Problem, SourceFile } from "./problem.ts";

/** `["models", 0, "columns", 2, "name"]` */
export type Path = readonly (string | number)[];

export type Side = "key" | "value";

/** What a YAML file says. */
export interface YamlFile {
    readonly data: object;
    /** Where the value at a path begins, or its key; of a path that is not there, the deepest node on the way that is. */
    readonly at: (path: Path, side?: Side) => Position;
}

/** Reads a YAML file of keys and values. Mistakes are added to `problems`; a file that is empty, or has any, gives nothing. */
export function readYaml(file: SourceFile, problems: Problem[]): YamlFile | undefined {
    // What is only worth a warning is not for Node.js to print: a key that is a list is unknown all the same.
    const document = parseDocument(file.text, { merge: true, logLevel: "error" });
    // What follows on the first is the reader's confusion, not the author's mistake.
    const [mistake] = [...document.errors.map(toMistake), ...aliasMistakes(document, file.text)];
    const fail = ({ message, offset }: Mistake): undefined => {
        problems.push({ message, at: { file, offset } });
    };
    if (mistake !== undefined) return fail(mistake);
    if (/\d{16}/.test(file.text.replaceAll(".", ""))) keepDigits(document);
    let data: unknown;
    try {
        data = document.toJS();
    } catch (error) {
        // Merge keys of what has no keys, and aliases that would give millions of values.
        return fail({ message: inSentence(messageOf(error)), offset: 0 });
    }
    if (data === null || data === undefined) return undefined;
    if (typeof data !== "object" || Array.isArray(data)) {
        const found = Array.isArray(data) ? "a list" : JSON.stringify(data);
        return fail({ message: `the file is ${found}; expected keys with values`, offset: startOf(document) });
    }
    const at = (path: Path, side: Side = "value"): Position => {
        return { file, offset: offsetOf(document.contents, path, side) };
    };
    return { data, at };
}

interface Mistake {
    readonly message: string;
    readonly offset: number;
}

function toMistake({ code, message, pos }: Document.Parsed["errors"][number]): Mistake {
    const [text = message] = message.split(" at line ");
    const told = code === "MULTIPLE_DOCS" ? `"---" begins another document: a file has one` : inSentence(text);
    return { message: told, offset: pos[0] };
}

/** What the reader would fail on, or never come to the end of, without saying where. */
function aliasMistakes(document: Document, text: string): readonly Mistake[] {
    const mistakes: Mistake[] = [];
    // Few files have any, and a look at each node takes as long as a tenth of reading it.
    if (!text.includes("*")) return mistakes;
    visit(document, {
        Alias: (_, alias) => {
            const [offset = 0] = alias.range ?? [];
            const source = alias.resolve(document)?.range;
            if (source === undefined || source === null) {
                mistakes.push({ message: `no anchor "&${alias.source}" stands before "*${alias.source}"`, offset });
            } else if (source[0] <= offset && offset < source[1]) {
                mistakes.push({ message: `"*${alias.source}" stands inside of what it is to repeat`, offset });
            }
        },
    });
    return mistakes;
}

function inSentence(message: string): string {
    return message.replace(/^[A-Z](?=[a-z])/, (char) => char.toLowerCase());
}

/** A number of more digits than JavaScript's have stays the text that it is: SQL knows it whole. */
function keepDigits(document: Document): void {
    visit(document, {
        Scalar: (_, scalar) => {
            const text = typeof scalar.value === "number" ? (scalar.source ?? "") : "";
            const digits = /^[-+]?([\d.]+)/.exec(text)?.[1]?.replace(".", "").replace(/^0+/, "") ?? "";
            if (digits.length > 15) scalar.value = text;
        },
    });
}

function startOf({ contents }: Document): number {
    return contents?.range?.[0] ?? 0;
}

function offsetOf(contents: Node | null, path: Path, side: Side): number {
    let node: unknown = contents;
    let offset = contents?.range?.[0] ?? 0;
    path.forEach((key, i) => {
        const last = i === path.length - 1;
        if (isMap(node)) {
            const pair = node.items.find((item) => String((item.key as { value?: unknown })?.value) === String(key));
            const keyOffset = (pair?.key as Node | undefined)?.range?.[0];
            if (keyOffset !== undefined) offset = keyOffset;
            node = pair?.value;
            if (last && side === "value") offset = (node as Node | undefined)?.range?.[0] ?? offset;
        } else {
            node = (node as { get?: (key: unknown, keep: boolean) => unknown } | undefined)?.get?.(key, true);
            offset = (node as Node | undefined)?.range?.[0] ?? offset;
        }
    });
    return offset;
}
