import { PipelineError } from "../../common/errors.ts";
import { didYouMean } from "../../common/nearest.ts";
import { type Columns, check } from "../check.ts";
import { compile } from "../compile.ts";
import { reach } from "../graph.ts";
import { type ColumnRef, type Edge, farEnd, type Lineage, traceLineage, walk, walkable } from "../lineage.ts";
import { loadProject, type Output, type ProjectOptions } from "../load.ts";
import type { Project } from "../nodes.ts";
import { openSources } from "../open.ts";

export type LineageFormat = "text" | "json" | "mermaid";

export interface LineageOptions extends ProjectOptions {
    readonly direction: "upstream" | "downstream";
    readonly format: LineageFormat;
}

/**
 * Prints what a column, or each column of a node, is made of, or what is made of it. `name` is "dim_books" or
 * "dim_books.title". The models are checked for it, nothing of the target is touched.
 * @throws PipelineError with exit code 2 for a name that is none.
 */
export async function showLineage(name: string, options: LineageOptions, output: Output): Promise<void> {
    const { project, graph } = await loadProject(options);
    const wanted = splitName(project, name);
    const isModel = (other: string): boolean => project.nodes.get(other)?.kind !== "test";
    const names =
        options.direction === "upstream" ? [wanted.node] : [...reach(graph.children, [wanted.node])].filter(isModel);
    const compiled = compile(project, graph);
    const database = await openSources(project, { onWait: output.note });
    try {
        const columns = await check(database, project, { graph, compiled, names });
        const starts = startsOf(wanted, columns);
        const edges = await traceLineage(database, project, { graph, compiled, columns, names: columns.keys() });
        output.out(formatted(walkable(graph, edges), starts, options));
    } finally {
        database.close();
    }
}

/** A node's name may have a point in it: openlibrary.search_pages.body. */
function splitName(project: Project, name: string): { node: string; column: string | undefined } {
    const known = [...project.nodes.values()].filter((node) => node.kind !== "test").map((node) => node.name);
    if (known.includes(name)) return { node: name, column: undefined };
    const dot = name.lastIndexOf(".");
    const node = name.slice(0, Math.max(dot, 0));
    if (known.includes(node)) return { node, column: name.slice(dot + 1) };
    const unknown = dot < 0 ? name : node;
    throw new PipelineError(`no model, seed or source is called "${unknown}".${didYouMean(unknown, known)}`, {
        exitCode: 2,
    });
}

function startsOf({ node, column }: { node: string; column: string | undefined }, columns: Columns): ColumnRef[] {
    const names = (columns.get(node) ?? []).map((known) => known.name);
    const found = names.filter((known) => column === undefined || known.toLowerCase() === column.toLowerCase());
    if (found.length > 0) return found.map((known) => ({ node, column: known }));
    throw new PipelineError(`"${node}" has no column "${column}".${didYouMean(column ?? "", names)}`, { exitCode: 2 });
}

function formatted(lineage: Lineage, starts: readonly ColumnRef[], { direction, format }: LineageOptions): string {
    if (format === "text") return tree(lineage, starts, direction);
    const edges = new Map<string, Edge>();
    for (const start of starts) {
        for (const edge of walk(lineage, start, direction)) edges.set(JSON.stringify(edge), edge);
    }
    if (format === "json") return JSON.stringify([...edges.values()], undefined, 2);
    return flowchart([...edges.values()], starts);
}

/** One line a column, below it what it is made of; what stands above already is not repeated. */
function tree(lineage: Lineage, starts: readonly ColumnRef[], direction: LineageOptions["direction"]): string {
    const lines: string[] = [];
    const shown = new Set<string>();
    const add = (ref: ColumnRef, { depth, note }: { depth: number; note: string }): void => {
        const name = nameOf(ref);
        const edges = direction === "upstream" ? lineage.into(ref) : lineage.outOf(ref);
        const isRepeated = shown.has(name) && edges.length > 0;
        shown.add(name);
        lines.push(`${"  ".repeat(depth)}${name}${note}${isRepeated ? ", see above" : ""}`);
        if (isRepeated) return;
        for (const edge of edges) add(farEnd(edge, direction), { depth: depth + 1, note: ` (${edge.kind})` });
    };
    for (const start of starts) add(start, { depth: 0, note: "" });
    return lines.join("\n");
}

function nameOf({ node, column }: ColumnRef): string {
    return `${node}.${column}`;
}

/** Arrows lead from a column to what is made of it, dotted ones where it is transformed. */
function flowchart(edges: readonly Edge[], starts: readonly ColumnRef[]): string {
    const ids = new Map<string, string>();
    const boxes: string[] = [];
    const idOf = (ref: ColumnRef): string => {
        const name = nameOf(ref);
        const known = ids.get(name);
        if (known !== undefined) return known;
        const id = `c${ids.size}`;
        ids.set(name, id);
        boxes.push(`    ${id}["${label(name)}"]`);
        return id;
    };
    for (const start of starts) idOf(start);
    const arrows = edges.map((edge) => {
        const [from, to] = [idOf({ node: edge.parent, column: edge.parentColumn }), idOf(edge)];
        return `    ${from} ${edge.kind === "pass-through" ? "-->" : "-.->"} ${to}`;
    });
    return ["flowchart LR", ...boxes, ...arrows].join("\n");
}

/** Letters that mean something to Mermaid, or to the HTML that it makes, by their numbers. */
function label(name: string): string {
    return name.replace(/[^\p{L}\p{N}_. *-]/gu, (letter) => `#${letter.codePointAt(0)};`);
}
