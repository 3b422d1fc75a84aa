import { nearest } from "../common/nearest.ts";
import type { Model, Node, Project } from "./nodes.ts";
import { failOn, type Position } from "./problem.ts";
import { tagsOf } from "./template.ts";

/** The nodes in an order in which each comes after all that it reads, and a test right after the last it reads. */
export interface Graph {
    readonly order: readonly Node[];
    readonly parents: ReadonlyMap<string, readonly string[]>;
    readonly children: ReadonlyMap<string, readonly string[]>;
}

/**
 * Orders a project's nodes.
 * @throws ProjectError when models read each other in a circle.
 */
export function buildGraph(project: Project): Graph {
    const nodes = [...project.nodes.values()].sort(byKindThenName);
    const parents = new Map(nodes.map((node) => [node.name, node.parents]));
    const children = new Map<string, string[]>(nodes.map((node) => [node.name, []]));
    for (const node of nodes) for (const parent of node.parents) children.get(parent)?.push(node.name);

    const waitsFor = new Map(nodes.map((node) => [node.name, new Set(node.parents).size]));
    const order: Node[] = [];
    const ready = nodes.filter((node) => node.parents.length === 0);
    const release = (node: Node): void => {
        order.push(node);
        for (const name of new Set(children.get(node.name))) {
            const left = (waitsFor.get(name) ?? 0) - 1;
            waitsFor.set(name, left);
            const child = project.nodes.get(name);
            if (left > 0 || child === undefined) continue;
            if (child.kind === "test") release(child);
            else ready.push(child);
        }
    };
    for (let next = ready.shift(); next !== undefined; next = ready.shift()) release(next);
    if (order.length < nodes.length) {
        const done = new Set(order);
        reportCycle(nodes.filter((node): node is Model => node.kind === "model" && !done.has(node)));
    }
    return { order, parents, children };
}

const kinds = ["source", "seed", "model", "test"];

function byKindThenName(a: Node, b: Node): number {
    return kinds.indexOf(a.kind) - kinds.indexOf(b.kind) || (a.name < b.name ? -1 : 1);
}

/** Of models of which each waits for another: walks up until a model comes again, and names that circle. */
function reportCycle(waiting: readonly Model[]): void {
    const byName = new Map(waiting.map((model) => [model.name, model]));
    const path: Model[] = [];
    let at = waiting[0];
    while (at !== undefined && !path.includes(at)) {
        path.push(at);
        at = at.parents.map((name) => byName.get(name)).find((model) => model !== undefined);
    }
    if (at === undefined) return;
    const circle = [...path.slice(path.indexOf(at)), at];
    const names = circle.map((model) => model.name).join(" reads ");
    failOn([{ message: `models read each other in a circle: ${names}`, at: placeOfRef(at, circle[1]?.name ?? "") }]);
}

function placeOfRef(model: Model, name: string): Position {
    const tag = [...tagsOf(model.template.parts)].find((part) => part.name === `ref.${name}`);
    return { file: model.file, offset: tag?.start ?? 0 };
}

/** All that is reached from the names by following `edges`, the names themselves included. */
export function reach(edges: ReadonlyMap<string, readonly string[]>, names: Iterable<string>): Set<string> {
    const found = new Set<string>();
    const queue = [...names];
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
        if (found.has(name)) continue;
        found.add(name);
        queue.push(...(edges.get(name) ?? []));
    }
    return found;
}

export interface Selection {
    readonly select?: readonly string[];
    readonly exclude?: readonly string[];
}

/** What a selection takes, and the selectors that match nothing, each with the name that may have been meant. */
export interface Selected {
    readonly names: ReadonlySet<string>;
    readonly unmatched: readonly { readonly selector: string; readonly nearest?: string }[];
}

/**
 * dbt's selectors: a node's name, a folder ("marts", "models/marts") or a file, with `+` in front for all that it reads
 * and behind for all that reads it. Several are a union. A test is taken when it reads something that is taken.
 */
export function select(project: Project, graph: Graph, { select: wanted, exclude = [] }: Selection): Selected {
    const unmatched: { selector: string; nearest?: string }[] = [];
    const expand = (selectors: readonly string[]): Set<string> => {
        const names = new Set(selectors.flatMap((selector) => [...matches(selector, project, graph, unmatched)]));
        for (const node of graph.order) {
            if (node.kind === "test" && node.parents.some((parent) => names.has(parent))) names.add(node.name);
        }
        return names;
    };
    const all = graph.order.filter((node) => node.kind !== "source").map((node) => node.name);
    const names = wanted === undefined ? new Set(all) : expand(wanted);
    for (const name of expand(exclude)) names.delete(name);
    return { names, unmatched };
}

function matches(
    selector: string,
    project: Project,
    graph: Graph,
    unmatched: { selector: string; nearest?: string }[],
): Set<string> {
    const [, before, core = "", after] = /^(\+?)(.*?)(\+?)$/.exec(selector) ?? [];
    const name = core.replace(/^(source|path):/, "").replace(/\/$/, "");
    const found = graph.order.filter((node) => node.name === name || isBelow(node, name)).map((node) => node.name);
    if (found.length === 0) {
        const folders = [...project.nodes.values()].flatMap((node) => pathOf(node).split("/").slice(0, -1));
        const close = nearest(name, [...project.nodes.keys(), ...folders]);
        unmatched.push(close === undefined ? { selector } : { selector, nearest: close });
    }
    // Tests are leaves: what a test reads is not selected by what selects the test.
    const relations = found.filter((item) => project.nodes.get(item)?.kind !== "test" || item === name);
    const up = before === "+" ? reach(graph.parents, relations) : [];
    const down = after === "+" ? reach(graph.children, relations) : [];
    return new Set([...relations, ...up, ...down]);
}

function pathOf(node: Node): string {
    if (node.kind === "source") return node.declaredAt.file.path;
    if (node.kind === "test") return node.generic === undefined ? node.template.file.path : "";
    return node.file.path;
}

function isBelow(node: Node, name: string): boolean {
    const path = pathOf(node);
    if (name === "" || path === "") return false;
    return path === name || path.startsWith(`${name}/`) || path.split("/").slice(1, -1).includes(name);
}
