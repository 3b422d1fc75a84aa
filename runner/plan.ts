import type { Compiled } from "./compile.ts";
import type { Column } from "./duckdb.ts";
import { fingerprint, type Inputs, inputsOf, keepsHistory, volatileFunction } from "./fingerprint.ts";
import type { Graph } from "./graph.ts";
import type { Memory, Remembered } from "./memory.ts";
import type { Node, Project } from "./nodes.ts";
import { isRun } from "./run.ts";

/** For each selected node why it has to run, or that what it gave last stands. */
export interface Plan {
    readonly inputs: ReadonlyMap<string, Inputs>;
    /** In the order of running. No reason: reused. */
    readonly reasons: ReadonlyMap<string, string | undefined>;
    /** The columns of the tables that go on from what stands, by node. */
    readonly kept: ReadonlyMap<string, readonly Column[]>;
}

export interface PlanOptions {
    readonly compiled: Compiled;
    /** The version of what runs the SQL. */
    readonly engine: string;
    readonly memory: Memory;
    readonly kept: Plan["kept"];
    /** Why everything that is selected has to run, whatever has changed. */
    readonly all?: string | undefined;
}

/** Decides what has to run of the nodes `names`. */
export function makePlan(
    project: Project,
    graph: Graph,
    { names, compiled, engine, memory, kept, all }: PlanOptions & { names: ReadonlySet<string> },
): Plan {
    const others = graph.order.filter((node) => node.kind !== "test" && isRun(node) && !names.has(node.name));
    const standing = new Map(
        others.flatMap(({ name }): [string, Inputs][] => {
            const before = memory.nodes.get(name);
            return before === undefined ? [] : [[name, before.inputs]];
        }),
    );
    const inputs = inputsOf(project, graph, { compiled, engine, standing });
    const reasons = new Map<string, string | undefined>();
    const reruns = new Map<string, Rerun>();
    for (const node of graph.order) {
        const parents = node.parents.flatMap((name) => reruns.get(name) ?? []);
        const rerun = parents.find(({ isRemade }) => !isRemade) ?? parents[0];
        // An ephemeral model is run where it is written into.
        if (!isRun(node)) {
            if (rerun !== undefined) reruns.set(node.name, rerun);
            continue;
        }
        if (!names.has(node.name)) continue;
        const { text = "", increment } = compiled.get(node.name) ?? {};
        const sql = `${text}\n${increment?.text ?? ""}`;
        const reason = all ?? reasonToRun(node, { inputs: inputs.get(node.name) ?? {}, sql, memory, rerun });
        reasons.set(node.name, reason);
        if (reason === undefined) continue;
        const isLost = rerun?.isRemade !== false && [notThere, rerun && runs(rerun)].includes(reason);
        reruns.set(node.name, { name: node.name, isRemade: isLost && volatileFunction(sql) === undefined });
    }
    return { inputs, reasons, kept };
}

/** A node that runs. */
interface Rerun {
    readonly name: string;
    /** Whether all there is to it is that it was lost: of equal inputs it is made as it was. */
    readonly isRemade: boolean;
}

interface Facts {
    readonly inputs: Inputs;
    readonly sql: string;
    readonly memory: Memory;
    /** What it reads that runs. */
    readonly rerun: Rerun | undefined;
}

const notThere = "it has not run yet";

function reasonToRun(node: Node, { inputs, sql, memory, rerun }: Facts): string | undefined {
    const before = memory.nodes.get(node.name);
    const isThere = node.kind === "test" || memory.relations.has(node.name);
    if (before === undefined || !isThere) return notThere;
    if (before.state === "failed") return "it failed";
    if (before.state === "stale") return "it was skipped";
    if (before.state === "outdated") return "what it reads was made anew";
    if (before.state === "warned") return "it warned, and is asked again";
    // History has taken in already what is only made again, and would hold it twice.
    const isTakenIn = rerun?.isRemade === true && keepsHistory in inputs;
    return (
        changes(before, inputs) ?? volatileReason(sql) ?? (rerun === undefined || isTakenIn ? undefined : runs(rerun))
    );
}

function runs({ name }: Rerun): string {
    return `${name} runs`;
}

/** Which of the inputs are other than they were. */
function changes(before: Remembered, now: Inputs): string | undefined {
    if (fingerprint(before.inputs) === fingerprint(now)) return undefined;
    const names = [...new Set([...Object.keys(before.inputs), ...Object.keys(now)])];
    const changed = names.filter((name) => before.inputs[name] !== now[name] && name !== keepsHistory);
    const own = changed.filter((name) => name.startsWith("its "));
    // What a parent reads is the parent's own story: the first cause is enough.
    const told = own.length > 0 ? own : changed;
    return `${told.slice(0, 3).join(", ")} ${told.length === 1 ? "has" : "have"} changed`;
}

function volatileReason(sql: string): string | undefined {
    const name = volatileFunction(sql);
    return name === undefined ? undefined : `${name} changes by itself`;
}
