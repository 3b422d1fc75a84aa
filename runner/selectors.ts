import { nearest } from "../common/nearest.ts";
import { type Inputs, ownFingerprint } from "./fingerprint.ts";
import { type Graph, reach } from "./graph.ts";
import { type Node, type Project, resourceType } from "./nodes.ts";
import type { Past } from "./past.ts";
import type { Status } from "./run.ts";

// dbt's node selection: `tag:nightly,marts+` takes what is tagged and also stands in marts or reads from there.

/** Which tests come along with the nodes that they test, see docs/commands.md. */
export const indirectSelections = ["eager", "cautious", "buildable", "empty"] as const;
export type IndirectSelection = (typeof indirectSelections)[number];

export interface Selection {
    /** Selectors of which any may match; undefined takes everything. */
    readonly select?: readonly string[];
    readonly exclude?: readonly string[];
    /** Default: eager */
    readonly indirectSelection?: IndirectSelection | undefined;
    /** What `result:` and `state:` go by: what became of earlier runs, and what the nodes are made of now. */
    readonly past?: Past | undefined;
    readonly now?: ReadonlyMap<string, Inputs> | undefined;
}

/** What a selection takes, and the selectors that match nothing, each with the name that may have been meant. */
export interface Selected {
    readonly names: ReadonlySet<string>;
    readonly unmatched: readonly Unmatched[];
}

export interface Unmatched {
    readonly selector: string;
    readonly nearest?: string;
    /** Why it can't match anything, where that is more than a slip. */
    readonly problem?: string;
}

/** Selects nodes of a project. Never throws: what matches nothing is in `unmatched`. */
export function select(project: Project, graph: Graph, selection: Selection): Selected {
    const { select: wanted, exclude = [], indirectSelection = "eager", past, now } = selection;
    const unmatched: Unmatched[] = [];
    const expand = (selectors: readonly string[]): Set<string> => {
        const names = new Set(
            selectors.flatMap((selector) => [
                ...intersection(selector, { project, graph, unmatched, indirectSelection, past, now }),
            ]),
        );
        return withTests(names, indirectSelection, graph);
    };
    const names = wanted === undefined ? new Set(graph.order.map((node) => node.name)) : expand(wanted);
    for (const name of expand(exclude)) names.delete(name);
    return { names, unmatched };
}

interface Context {
    readonly project: Project;
    readonly graph: Graph;
    readonly unmatched: Unmatched[];
    readonly indirectSelection: IndirectSelection;
    readonly past: Past | undefined;
    readonly now: ReadonlyMap<string, Inputs> | undefined;
}

/** `a,b`: what both take. */
function intersection(selector: string, context: Context): Set<string> {
    const [first = new Set<string>(), ...others] = selector.split(",").map((criterion) => {
        const names = matches(criterion.trim(), context);
        return context.indirectSelection === "eager" ? withTests(names, "eager", context.graph) : names;
    });
    return new Set([...first].filter((name) => others.every((other) => other.has(name))));
}

/** Adds the tests of the nodes among `names`: those that read any of them, or only them, or what they read besides. */
function withTests(names: ReadonlySet<string>, mode: IndirectSelection, graph: Graph): Set<string> {
    const all = new Set(names);
    if (mode === "empty") return all;
    const within = mode === "buildable" ? reach(graph.parents, names) : names;
    for (const { kind, name, parents } of graph.order) {
        if (kind !== "test" || !parents.some((parent) => names.has(parent))) continue;
        if (mode === "eager" || parents.every((parent) => within.has(parent))) all.add(name);
    }
    return all;
}

const form = /^(?<at>@)?(?:(?<up>\d*)(?<before>\+))?(?<core>.*?)(?:(?<after>\+)(?<down>\d*))?$/;

/** One criterion: what it names, with `+`, `2+`, `+3` and `@` around it. */
function matches(criterion: string, context: Context): Set<string> {
    const { project, graph, unmatched } = context;
    const { at, up, before, core = "", after, down } = form.exec(criterion)?.groups ?? {};
    const [, method, value = core] = /^([a-z_]+(?:\.[\w.]+)?):(.*)$/.exec(core) ?? [];
    const isMatch = pastMatcher(method, value, context) ?? matcher(method, value);
    if (typeof isMatch === "string") {
        unmatched.push({ selector: criterion, problem: isMatch });
        return new Set();
    }
    const found = graph.order.filter(isMatch).map((node) => node.name);
    if (found.length === 0) {
        const close = nearest(value, candidates(project, method));
        unmatched.push(close === undefined ? { selector: criterion } : { selector: criterion, nearest: close });
    }
    const depth = (text: string | undefined): number =>
        text === undefined || text === "" ? Number.POSITIVE_INFINITY : Number(text);
    const result = new Set(found);
    if (before !== undefined) for (const name of walk(graph.parents, found, depth(up))) result.add(name);
    if (after !== undefined) for (const name of walk(graph.children, found, depth(down))) result.add(name);
    // `@`: all that reads it, and whatever that takes to build.
    if (at !== undefined) for (const name of reach(graph.parents, reach(graph.children, found))) result.add(name);
    return result;
}

/** What is reached along `edges` in at most `depth` steps. */
function walk(edges: ReadonlyMap<string, readonly string[]>, from: readonly string[], depth: number): Set<string> {
    const found = new Set(from);
    let edge: readonly string[] = from;
    for (let step = 0; step < depth && edge.length > 0; step++) {
        edge = edge.flatMap((name) => edges.get(name) ?? []).filter((name) => !found.has(name));
        for (const name of edge) found.add(name);
    }
    return found;
}

/** dbt's words for what came of a node. */
const results: Readonly<Record<string, Status>> = {
    ...{ success: "success", pass: "pass", warn: "warn", fail: "fail", error: "error" },
    ...{ skipped: "skip", reused: "reused" },
};
const states = ["new", "old", "modified", "unmodified"];

/** `result:fail` is what came of the last run, `state:modified` what is other than what is published. */
function pastMatcher(
    method: string | undefined,
    value: string,
    { past, now }: Context,
): ((node: Node) => boolean) | string | undefined {
    if (method !== "result" && method !== "state") return undefined;
    if (method === "result") {
        const status = results[value];
        if (status === undefined) return `result is "${value}"; expected ${Object.keys(results).join(", ")}`;
        return ({ name }) => past?.results.get(name) === status;
    }
    if (!states.includes(value)) return `state is "${value}"; expected ${states.join(", ")}`;
    return (node) => {
        if (node.kind === "source") return false;
        const published = past?.published?.get(node.name);
        if (published === undefined) return value === "new" || value === "modified";
        if (value === "new" || value === "old") return value === "old";
        const isSame = ownFingerprint(published.inputs) === ownFingerprint(now?.get(node.name) ?? {});
        return isSame === (value === "unmodified");
    };
}

const testMethods = [
    "fqn",
    "tag",
    "source",
    "path",
    "file",
    "resource_type",
    "test_name",
    "test_type",
    "config",
    "state",
    "result",
];

/** The condition that a method makes of its value, or what is wrong with the method. */
function matcher(method: string | undefined, value: string): ((node: Node) => boolean) | string {
    const is = wildcard(value);
    switch (method) {
        case undefined:
            return (node) => isNamed(node, value, is);
        case "fqn":
            return (node) => is(node.name) || is(fqn(node)) || fqn(node).startsWith(`${value}.`);
        case "tag":
            return (node) => node.kind === "model" && node.tags.some(is);
        case "source":
            return (node) => node.kind === "source" && (is(node.name) || is(node.name.split(".")[0] ?? ""));
        case "path":
            return (node) => isBelow(pathOf(node), value);
        case "file":
            return (node) => is(fileOf(node)) || is(fileOf(node).replace(/\.\w+$/, ""));
        case "resource_type":
            return (node) => is(resourceType(node));
        case "test_name":
            return (node) => node.kind === "test" && is(node.generic ?? node.name);
        case "test_type":
            return (node) => node.kind === "test" && testTypes(node.generic !== undefined).some(is);
        default: {
            const [head, key = ""] = method.split(".");
            if (head === "config" && key in configs) return (node) => is(String(configs[key]?.(node)));
            const known = head === "config" ? Object.keys(configs).map((name) => `config.${name}`) : testMethods;
            return `"${method}:" is no method of selection. Known: ${known.join(", ")}`;
        }
    }
}

const configs: Readonly<Record<string, (node: Node) => unknown>> = {
    materialized: (node) => (node.kind === "model" ? node.materialized : node.kind === "seed" ? "seed" : undefined),
    publish: (node) => (node.kind === "model" || node.kind === "seed" ? node.publish : undefined),
    severity: (node) => (node.kind === "test" ? node.severity : undefined),
};

function testTypes(isGeneric: boolean): string[] {
    return ["data", isGeneric ? "generic" : "singular"];
}

/** Without a method: a name, a folder, a path or a file, as dbt guesses. */
function isNamed(node: Node, value: string, is: (text: string) => boolean): boolean {
    if (is(node.name)) return true;
    const path = pathOf(node);
    if (path === "") return false;
    if (value.includes("/") || value.endsWith(".sql") || value.endsWith(".csv")) {
        return isBelow(path, value) || is(fileOf(node));
    }
    return is(fqn(node)) || path.split("/").slice(0, -1).some(is);
}

/** Whether a path is the one of a file or stands below the one of a folder, as a shell completes them. */
function isBelow(path: string, value: string): boolean {
    const place = value.replace(/^\.\//, "").replace(/\/$/, "");
    return path !== "" && (wildcard(place)(path) || path.startsWith(`${place}/`));
}

/** `marts.dim_books`: the folders below models/, then the name. */
function fqn(node: Node): string {
    return [...pathOf(node).split("/").slice(1, -1), node.name].join(".");
}

function pathOf(node: Node): string {
    if (node.kind === "source") return node.declaredAt.file.path;
    if (node.kind === "test") return node.generic === undefined ? node.template.file.path : "";
    return node.file.path;
}

function fileOf(node: Node): string {
    return pathOf(node).split("/").at(-1) ?? "";
}

/** Whole-text match with `*`, `?` and `[...]` as a shell has them. */
function wildcard(pattern: string): (text: string) => boolean {
    if (!/[*?[]/.test(pattern)) return (text) => text === pattern;
    const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    // A range from behind to before holds nothing.
    const members = (set: string): string =>
        set.replace(/(.)-(.)|./g, (text, from?: string, to?: string) =>
            from === undefined || to === undefined ? escaped(text) : from > to ? "" : `${escaped(from)}-${escaped(to)}`,
        );
    const source = pattern.replace(/\[(!?)([^\]]+)\]|[\s\S]/g, (text, not?: string, set?: string) => {
        if (set !== undefined) return `[${not === "!" ? "^" : ""}${members(set)}]`;
        return text === "*" ? ".*" : text === "?" ? "." : escaped(text);
    });
    const regex = new RegExp(`^${source}$`);
    return (text) => regex.test(text);
}

/** The words that a value could have been meant for. */
function candidates(project: Project, method: string | undefined): string[] {
    const nodes = [...project.nodes.values()];
    if (method === "tag") return nodes.flatMap((node) => (node.kind === "model" ? node.tags : []));
    if (method === "source") return nodes.filter((node) => node.kind === "source").map((node) => node.name);
    return nodes.flatMap((node) => [node.name, ...pathOf(node).split("/").slice(0, -1)]);
}
