import Mustache from "mustache";
import type { Position, Problem, SourceFile } from "./problem.ts";

/**
 * A piece of a parsed template. `start` and `end` are offsets in the file; a call's arguments are already split.
 * Templates are data: what a file refers to is read from these parts, nothing is executed to find out.
 */
export type Part =
    | { readonly kind: "text"; readonly start: number; readonly end: number }
    | { readonly kind: "value"; readonly name: string; readonly start: number }
    | {
          /** Text for incremental runs only; `isInverted`: for all others only. */
          readonly kind: "section";
          readonly name: typeof incrementalSection;
          readonly isInverted: boolean;
          readonly start: number;
          readonly parts: readonly Part[];
      }
    | { readonly kind: "call"; readonly name: string; readonly start: number; readonly args: readonly Part[][] };

/** `{{#incremental}}...{{/incremental}}` is no macro. */
export const incrementalSection = "incremental";

export interface Template {
    readonly file: SourceFile;
    readonly parts: readonly Part[];
}

/**
 * Reads the Mustache tags of a file: `{{ref.x}}` is a value, `{{#macro}}a, b{{/macro}}` a call with two arguments.
 * Mistakes are added to `problems`, and what could be read is returned.
 */
export function parseTemplate(file: SourceFile, problems: Problem[]): Template {
    let tokens: unknown[][];
    try {
        tokens = Mustache.parse(file.text) as unknown[][];
    } catch (error) {
        problems.push(unreadable(file, error instanceof Error ? error.message : String(error)));
        return { file, parts: [] };
    }
    const inComment = commentRanges(file.text);
    const problem = (offset: number, message: string): void => {
        problems.push({ message, at: { file, offset } });
    };
    const read = (list: unknown[][]): Part[] =>
        list.flatMap((token): Part[] => {
            const [type, value, start, end, inner] = token as [string, string, number, number, unknown[][]];
            if (type === "text") return [{ kind: "text", start, end }];
            if (type === "!") return [];
            if (inComment(start)) {
                problem(
                    start,
                    `a tag inside a SQL comment is still a tag: "{{${value}}}". Use {{! ... }} to comment it out`,
                );
                return [];
            }
            if (value.includes("{{")) {
                problem(start, unclosedTag(file, start));
                return [];
            }
            if (type === "name" || type === "&") return [{ kind: "value", name: value, start }];
            if ((type === "#" || type === "^") && value === incrementalSection)
                return [{ kind: "section", name: value, isInverted: type === "^", start, parts: read(inner) }];
            if (type === "#")
                return [{ kind: "call", name: value, start, args: splitArguments(read(inner), file.text) }];
            const what = type === "^" ? "an inverted section" : type === ">" ? "a partial" : "a change of delimiters";
            problem(start, `${what} ("{{${type}${value}}}") has no meaning in a model`);
            return [];
        });
    return { file, parts: read(tokens) };
}

/** Mustache tells where it gave up; what is not closed begins further up. */
function unreadable(file: SourceFile, said: string): Problem {
    const [, message = said, place = "0"] = /^(.*) at (\d+)$/s.exec(said) ?? [];
    const text = message.replace(/^U/, "u");
    const gaveUp = Math.min(Number(place), file.text.length);
    const [, section] = /^unclosed section "(.*)"$/.exec(text) ?? [];
    const closing = /^\{\{\/\s*([^}]*?)\s*\}\}/.exec(file.text.slice(gaveUp))?.[1];
    if (section !== undefined && closing !== undefined) {
        return { message: `section "${section}" is closed as "${closing}"`, at: { file, offset: gaveUp } };
    }
    const opening = section === undefined ? "{{" : `{{#${section}`;
    const begin = text.startsWith("unclosed") ? file.text.lastIndexOf(opening, gaveUp) : gaveUp;
    const offset = begin < 0 ? gaveUp : begin;
    return { message: text === "unclosed tag" ? unclosedTag(file, offset) : text, at: { file, offset } };
}

function unclosedTag(file: SourceFile, offset: number): string {
    return `this tag is not closed: "${file.text.slice(offset).split("\n")[0]}"`;
}

/** Splits a macro call's body on the commas that are inside no bracket and no quotes. A blank body is no argument. */
function splitArguments(body: Part[], text: string): Part[][] {
    const args: Part[][] = [[]];
    let depth = 0;
    let quote = "";
    let isEscaping = false;
    for (const part of body) {
        if (part.kind !== "text") {
            args.at(-1)?.push(part);
            continue;
        }
        let from = part.start;
        for (let i = part.start; i < part.end; i++) {
            const char = text[i] ?? "";
            const comment = quote === "" ? /^(--[^\n]*|\/\*[\s\S]*?\*\/)/.exec(text.slice(i, part.end)) : null;
            if (comment !== null) {
                i += comment[0].length - 1;
            } else if (quote !== "") {
                if ((isEscaping && char === "\\") || (quote === "'" && text.startsWith("''", i))) i++;
                else if (text.startsWith(quote, i)) {
                    i += quote.length - 1;
                    quote = "";
                }
            } else if (char === "'" || char === '"' || char === "$") {
                isEscaping = char === "'" && /\be$/i.test(text.slice(Math.max(part.start, i - 2), i));
                quote = char === "$" ? (/^\$\w*\$/.exec(text.slice(i, part.end))?.[0] ?? "") : char;
                i += Math.max(0, quote.length - 1);
            } else if ("([{".includes(char)) depth++;
            else if (")]}".includes(char)) depth--;
            else if (char === "," && depth === 0) {
                args.at(-1)?.push({ kind: "text", start: from, end: i });
                args.push([]);
                from = i + 1;
            }
        }
        args.at(-1)?.push({ kind: "text", start: from, end: part.end });
    }
    const trimmed = args.map((arg) => trim(arg, text));
    return trimmed.length === 1 && trimmed[0]?.length === 0 ? [] : trimmed;
}

function trim(parts: Part[], text: string): Part[] {
    const result = [...parts];
    for (let part = result[0]; part?.kind === "text"; part = result[0]) {
        const start = part.end - text.slice(part.start, part.end).trimStart().length;
        if (start < part.end) {
            result[0] = { ...part, start };
            break;
        }
        result.shift();
    }
    for (let part = result.at(-1); part?.kind === "text"; part = result.at(-1)) {
        const end = part.start + text.slice(part.start, part.end).trimEnd().length;
        if (end > part.start) {
            result[result.length - 1] = { ...part, end };
            break;
        }
        result.pop();
    }
    return result;
}

/** Mustache's comments, SQL's comments, and SQL's quotes of three kinds, in which nothing else counts. */
const lexemes =
    /\{\{![\s\S]*?\}\}|--[^\n]*|\/\*[\s\S]*?\*\/|\b[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$/g;

/** A test whether an offset lies in a `--` or a block comment of the SQL text. */
function commentRanges(text: string): (offset: number) => boolean {
    const ranges: [number, number][] = [];
    for (const match of text.matchAll(lexemes)) {
        if (/^(--|\/\*)/.test(match[0])) ranges.push([match.index, match.index + match[0].length]);
    }
    return (offset) => ranges.some(([start, end]) => offset >= start && offset < end);
}

/** Every tag of a template, those inside sections and arguments included, in the order of the file. */
export function* tagsOf(parts: readonly Part[]): Generator<Exclude<Part, { kind: "text" }>> {
    for (const part of parts) {
        if (part.kind === "text") continue;
        yield part;
        if (part.kind === "call") for (const arg of part.args) yield* tagsOf(arg);
        if (part.kind === "section") yield* tagsOf(part.parts);
    }
}

/** The macros that a template calls, directly or through one another. */
export function macrosCalled(
    { parts }: Template,
    macros: ReadonlyMap<string, { readonly template: Template }>,
    found = new Set<string>(),
): ReadonlySet<string> {
    for (const tag of tagsOf(parts)) {
        const called = tag.kind === "call" && !found.has(tag.name) ? macros.get(tag.name) : undefined;
        if (called === undefined) continue;
        found.add(tag.name);
        macrosCalled(called.template, macros, found);
    }
    return found;
}

/** A template that is one call of a macro on what its parameters are called, as if it stood at a place. */
export function callOf(name: string, parameters: readonly string[], { file, offset: start }: Position): Template {
    const args = parameters.map((parameter): Part[] => [{ kind: "value", name: parameter, start }]);
    return { file, parts: [{ kind: "call", name, start, args }] };
}

/** A stretch of rendered text and where it came from: letter by letter (`verbatim`), or as a whole from one tag. */
interface Segment {
    readonly start: number;
    readonly end: number;
    readonly at: Position;
    readonly verbatim: boolean;
    readonly calls: readonly Position[];
}

/** Rendered text that knows, for each of its offsets, the author's own file and place. */
export interface Rendered {
    readonly text: string;
    readonly segments: readonly Segment[];
}

/** What a template's tags stand for. Both are told where the tag stands. */
export interface Scope {
    value(name: string, at: Position): string | Rendered;
    macro(name: string): { readonly template: Template; readonly parameters: readonly string[] };
    /** Whether the text is for an incremental run. */
    readonly isIncremental: boolean;
}

/** Renders a template whose names have been checked. */
export function render(template: Template, scope: Scope): Rendered {
    return renderParts(template.parts, template.file, scope, []);
}

function renderParts(parts: readonly Part[], file: SourceFile, scope: Scope, calls: readonly Position[]): Rendered {
    return concatenate(
        parts.map((part): Rendered => {
            const at = { file, offset: part.start };
            if (part.kind === "text") return fromSource(file.text.slice(part.start, part.end), at, true, calls);
            if (part.kind === "value") {
                const value = scope.value(part.name, at);
                return typeof value === "string" ? fromSource(value, at, false, calls) : value;
            }
            if (part.kind === "section") {
                const isWanted = part.isInverted !== scope.isIncremental;
                return renderParts(isWanted ? part.parts : [], file, scope, calls);
            }
            const { template, parameters } = scope.macro(part.name);
            const argument = (i: number): Rendered => closed(renderParts(part.args[i] ?? [], file, scope, calls));
            const given = new Map(parameters.map((name, i) => [name, argument(i)]));
            const inner: Scope = {
                value: (name, place) => given.get(name) ?? scope.value(name, place),
                macro: (name) => scope.macro(name),
                isIncremental: scope.isIncremental,
            };
            return trimEnd(renderParts(template.parts, template.file, inner, [at, ...calls]));
        }),
    );
}

/** Text that stands for the place `at`: letter by letter (`verbatim`) or as a whole. */
export function fromSource(text: string, at: Position, verbatim: boolean, calls: readonly Position[] = []): Rendered {
    return { text, segments: [{ start: 0, end: text.length, at, verbatim, calls }] };
}

/** Rendered pieces one after the other. */
export function concatenate(pieces: readonly Rendered[]): Rendered {
    let length = 0;
    const segments: Segment[] = [];
    for (const piece of pieces) {
        for (const s of piece.segments) segments.push({ ...s, start: s.start + length, end: s.end + length });
        length += piece.text.length;
    }
    return { text: pieces.map((piece) => piece.text).join(""), segments };
}

/** The text from one offset to another, with its places. */
export function slice(rendered: Rendered, from: number, to = rendered.text.length): Rendered {
    const segments = rendered.segments
        .filter((s) => s.end > from && s.start < to)
        .map((s): Segment => {
            const start = Math.max(s.start, from);
            const at = s.verbatim ? { ...s.at, offset: s.at.offset + start - s.start } : s.at;
            return { ...s, at, start: start - from, end: Math.min(s.end, to) - from };
        });
    return { text: rendered.text.slice(from, to), segments };
}

/** A macro's file ends in a newline; the fragment it stands for does not. */
function trimEnd(rendered: Rendered): Rendered {
    return closed(slice(rendered, 0, rendered.text.trimEnd().length));
}

/** A fragment that ends in a `--` comment must not swallow what comes behind it. */
function closed(rendered: Rendered): Rendered {
    const last = [...rendered.text.matchAll(lexemes)].at(-1);
    const isOpen = last?.[0].startsWith("--") && last.index + last[0].length === rendered.text.length;
    const at = rendered.segments.at(-1)?.at;
    return isOpen && at !== undefined ? concatenate([rendered, fromSource("\n", at, false)]) : rendered;
}

/** Where the text at `offset` was written, and through which macro calls it came. */
export function locate(rendered: Rendered, offset: number): { at: Position; calls: readonly Position[] } | undefined {
    const segment = rendered.segments.find((s) => offset >= s.start && offset < s.end) ?? rendered.segments.at(-1);
    if (segment === undefined) return undefined;
    const within = segment.verbatim ? Math.min(offset, segment.end) - segment.start : 0;
    return { at: { file: segment.at.file, offset: segment.at.offset + within }, calls: segment.calls };
}
