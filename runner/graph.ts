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
