import { fingerprint, type Inputs } from "./fingerprint.ts";
import { type Graph, reach } from "./graph.ts";
import type { Memory } from "./memory.ts";
import type { DataTest, Model, Node, Project, Seed } from "./nodes.ts";
import { isRun } from "./run.ts";

/** What readers get to see. */
export function publishedNodes(project: Project): (Model | Seed)[] {
    return relationsOf(project).filter((node) => node.publish);
}

/** What has a relation in the work file, or would have one if it were not written into others. */
export function relationsOf(project: Project): (Model | Seed)[] {
    return [...project.nodes.values()].filter((node) => node.kind === "model" || node.kind === "seed");
}

/**
 * Why the work file can't be published as it stands, one sentence each, or nothing. What readers see, and all that it was
 * made of, must have been built, each on what its parents hold now, and every test on any of it must have passed on that.
 */
export function obstacles(
    project: Project,
    graph: Graph,
    { memory, inputs }: { memory: Memory; inputs: ReadonlyMap<string, Inputs> },
): readonly string[] {
    const published = publishedNodes(project).map((node) => node.name);
    const needed = reach(graph.parents, published);
    const facts: Facts = { project, memory, inputs };
    return graph.order.flatMap((node) => {
        const concerned = node.kind === "test" ? node.parents.some((name) => needed.has(name)) : needed.has(node.name);
        if (!concerned) return [];
        const reason =
            node.kind === "test" ? againstTest(node, facts) : isRun(node) ? againstRelation(node, facts) : undefined;
        return reason === undefined ? [] : [reason];
    });
}

interface Facts {
    readonly project: Project;
    readonly memory: Memory;
    readonly inputs: ReadonlyMap<string, Inputs>;
}

function againstRelation(node: Node, { project, memory, inputs }: Facts): string | undefined {
    const { name, kind } = node;
    const last = memory.nodes.get(name);
    if (last?.state === "failed") return `${name} failed in run ${last.runId}`;
    if (last?.state === "stale") return `${name} was skipped in run ${last.runId}, because of a failure before it`;
    const isOfItsKind = last !== undefined && "its file" in last.inputs === (kind === "seed");
    if (!isOfItsKind || !memory.relations.has(name)) return `${name} has not been built yet`;
    const older = node.parents.find((parent) => {
        const other = project.nodes.get(parent);
        if (other === undefined || other.kind === "source") return false;
        const now = isRun(other) ? memory.nodes.get(parent)?.inputs : inputs.get(parent);
        return last.inputs[parent] !== fingerprint(now ?? {});
    });
    if (older !== undefined) return `${name} was built on an older ${older}: take it in with --select "${older}+"`;
    if (last.state !== "outdated") return undefined;
    return `${name} was built on what was made anew since: take it in with --select "${name}"`;
}

function againstTest(test: DataTest, { project, memory, inputs }: Facts): string | undefined {
    const last = memory.nodes.get(test.name);
    if (last?.state === "failed") return `the test ${test.name} failed in run ${last.runId}`;
    // What stands was made of the source as it was then, and so was this verdict on it.
    const isOfSources = test.parents.every((parent) => project.nodes.get(parent)?.kind === "source");
    const isCurrent =
        last?.state !== "outdated" &&
        (isOfSources || fingerprint(last?.inputs ?? {}) === fingerprint(inputs.get(test.name) ?? {}));
    return last !== undefined && isCurrent ? undefined : `the test ${test.name} has not run on what stands now`;
}
