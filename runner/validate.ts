import * as v from "valibot";
import { didYouMean } from "../common/nearest.ts";

/** A mistake in data that has a schema: where (`models.0.columns.2`), and a sentence about it. */
export interface Mistake {
    readonly path: readonly (string | number)[];
    readonly message: string;
}

type Schema = v.BaseSchema<unknown, unknown, v.BaseIssue<unknown>>;

/** The data as its schema types it, or what is wrong with it, each mistake in one sentence. */
export function validate<T extends Schema>(
    schema: T,
    data: unknown,
): { ok: true; value: v.InferOutput<T> } | { ok: false; mistakes: Mistake[] } {
    const result = v.safeParse(schema, data);
    if (result.success) return { ok: true, value: result.output };
    const mistakesOf = (issue: v.BaseIssue<unknown>, above: Mistake["path"] = []): Mistake[] => {
        const path = [...above, ...(issue.path ?? []).map((item) => item.key as string | number)];
        // Of several shapes it is the one that the author began, where the mistake lies further in.
        const inside = issue.type === "union" ? (issue.issues ?? []).filter((inner) => inner.path !== undefined) : [];
        if (inside.length > 0) return inside.flatMap((inner) => mistakesOf(inner, path));
        if (issue.type === "strict_object" && issue.expected === "never") {
            return [{ path, message: unknownKey(String(path.at(-1)), knownKeys(schema, path.slice(0, -1))) }];
        }
        if (issue.type === "never") return [{ path, message: issue.message }];
        if (issue.received === "undefined") return [{ path, message: `"${path.join(".")}" is missing` }];
        return [{ path, message: `${path.join(".")} is ${show(issue.input)}; expected ${expectation(issue)}` }];
    };
    const mistakes = result.issues.flatMap((issue) => mistakesOf(issue));
    return { ok: false, mistakes };
}

function unknownKey(key: string, known: readonly string[]): string {
    return `unknown key "${key}".${didYouMean(key, known) || ` Known here: ${[...new Set(known)].join(", ")}`}`;
}

function expectation(issue: v.BaseIssue<unknown>): string {
    if (issue.kind === "validation") return issue.message;
    return (issue.expected ?? "another value")
        .replace(/[()]/g, "")
        .replaceAll(" | ", ", ")
        .replace("Array", "a list")
        .replace("Object", "keys with values");
}

function show(input: unknown): string {
    return typeof input === "function" ? "a function" : (JSON.stringify(input) ?? String(input));
}

/** The keys that an object may have at `path`, for suggestions. */
function knownKeys(schema: unknown, path: readonly (string | number)[]): string[] {
    const node = schema as { type?: string; entries?: Record<string, unknown>; wrapped?: unknown; options?: unknown[] };
    if (node.wrapped !== undefined) return knownKeys(node.wrapped, path);
    if (node.options !== undefined) return node.options.flatMap((option) => knownKeys(option, path));
    const pipe = (schema as { pipe?: unknown[] }).pipe;
    if (path.length === 0) return Object.keys(node.entries ?? {});
    const [head, ...rest] = path;
    const next =
        node.entries?.[String(head)] ??
        (schema as { item?: unknown }).item ??
        (schema as { value?: unknown }).value ??
        (schema as { rest?: unknown }).rest ??
        (pipe?.[0] === schema ? undefined : pipe?.[0]);
    return next === undefined || next === null ? [] : knownKeys(next, rest);
}
