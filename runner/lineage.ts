import type { Columns } from "./check.ts";
import { type Compiled, relationOf } from "./compile.ts";
import type { Database } from "./duckdb.ts";
import type { Graph } from "./graph.ts";
import type { Model, Project } from "./nodes.ts";
import { type Outputs, originOf, outputsOf, type Readable, splitOrigin } from "./origins.ts";
import { serializeQueries, treeOf } from "./syntax.ts";

/**
 * One column that another's value is made of. `pass-through`: the very same value, perhaps under another name, or NULL
 * where an outer join found nothing. `parentColumn` is "*" where the value follows from which rows there are, as that of
 * `count(*)` does. Where it can't be told what a value is made of, there are edges from all that it could be.
 */
export interface Edge {
    readonly node: string;
    readonly column: string;
    readonly parent: string;
    readonly parentColumn: string;
    readonly kind: "pass-through" | "transformed";
}

/** A column of a node; "*" is which rows it has. */
export interface ColumnRef {
    readonly node: string;
    readonly column: string;
}

/**
 * The edges into every column of the models among `names`, in the order of the graph and of the columns. `columns` are
 * those of all that they read, and their own.
 */
export async function traceLineage(
    database: Database,
    project: Project,
    {
        graph,
        compiled,
        columns,
        names,
    }: { graph: Graph; compiled: Compiled; columns: Columns; names: Iterable<string> },
): Promise<readonly Edge[]> {
    const queries = new Map<string, string>();
    for (const name of names) {
        const sql = project.nodes.get(name)?.kind === "model" ? compiled.get(name) : undefined;
        if (sql !== undefined) queries.set(name, sql.text);
    }
    return lineageOf(project, graph, { serialized: await serializeQueries(database, queries), columns });
}

/** The same, out of the models' syntax trees as `serializeQueries` gives them. */
export function lineageOf(
    project: Project,
    graph: Graph,
    { serialized, columns }: { serialized: ReadonlyMap<string, string>; columns: Columns },
): readonly Edge[] {
    const readable = new Map<string, Readable>();
    for (const node of project.nodes.values()) {
        if (node.kind === "test") continue;
        const names = (columns.get(node.name) ?? []).map((column) => column.name);
        readable.set(relationOf(node).replaceAll('"', "").toLowerCase(), { node: node.name, columns: names });
    }
    return graph.order.flatMap((node) => {
        const json = serialized.get(node.name);
        if (node.kind !== "model" || json === undefined) return [];
        return edgesInto(node, outputsOf(treeOf(json), readable), columns);
    });
}

function edgesInto(model: Model, { columns: found, rest }: Outputs, columns: Columns): Edge[] {
    const bound = columns.get(model.name) ?? [];
    const isSound =
        rest === undefined &&
        found.length === bound.length &&
        found.every(({ name }, i) => name === undefined || name === bound[i]?.name.toLowerCase());
    const anything = new Set(
        model.parents.flatMap((parent) =>
            ["*", ...(columns.get(parent) ?? []).map(({ name }) => name)].map((name) => originOf(parent, name)),
        ),
    );
    const unknown = { origins: rest === undefined || rest.origins.size === 0 ? anything : rest.origins, same: false };
    return bound.flatMap(({ name: column, type }, i) => {
        const { origins, same } = isSound ? (found[i]?.value ?? unknown) : unknown;
        return [...origins].map((origin): Edge => {
            const { node: parent, column: parentColumn } = splitOrigin(origin);
            // A union or a recursion may cast without a word.
            const isSame = same && columns.get(parent)?.find(({ name }) => name === parentColumn)?.type === type;
            return { node: model.name, column, parent, parentColumn, kind: isSame ? "pass-through" : "transformed" };
        });
    });
}

/** Lineage to walk along: the edges that lead to a column, and those that lead on from it. */
export interface Lineage {
    /** The edges whose column this is: what it is made of. */
    into(ref: ColumnRef): readonly Edge[];
    /** The edges whose parent this is: what is made of it. */
    outOf(ref: ColumnRef): readonly Edge[];
}

/** Indexes edges. Which rows a model has follows from which rows its parents have. */
export function walkable(graph: Graph, edges: readonly Edge[]): Lineage {
    const into = grouped(edges, ({ node, column }) => originOf(node, column));
    const outOf = grouped(edges, ({ parent, parentColumn }) => originOf(parent, parentColumn));
    const rowsOf = (node: string, parent: string): Edge => ({
        ...{ node, column: "*", parent, parentColumn: "*" },
        kind: "transformed",
    });
    return {
        into: ({ node, column }) =>
            column === "*"
                ? (graph.parents.get(node) ?? []).map((parent) => rowsOf(node, parent))
                : (into.get(originOf(node, column)) ?? []),
        outOf: ({ node, column }) => outOf.get(originOf(node, column)) ?? [],
    };
}

/** All edges on the way up from a column to the sources, or down to what is made of it, the nearest first. */
export function walk(lineage: Lineage, start: ColumnRef, direction: "upstream" | "downstream"): readonly Edge[] {
    const edges: Edge[] = [];
    const seen = new Set([originOf(start.node, start.column)]);
    let level: readonly ColumnRef[] = [start];
    while (level.length > 0) {
        const next: ColumnRef[] = [];
        for (const ref of level) {
            const steps = direction === "upstream" ? lineage.into(ref) : lineage.outOf(ref);
            edges.push(...steps);
            for (const step of steps) {
                const reached = farEnd(step, direction);
                const key = originOf(reached.node, reached.column);
                if (!seen.has(key)) next.push(reached);
                seen.add(key);
            }
        }
        level = next;
    }
    return edges;
}

/** The column that an edge leads to. */
export function farEnd(edge: Edge, direction: "upstream" | "downstream"): ColumnRef {
    return direction === "upstream" ? { node: edge.parent, column: edge.parentColumn } : edge;
}

/** A description that a column has from the column whose value it passes on. */
export interface Inherited {
    readonly description: string;
    /** The column that it was written for: "int_books.title". */
    readonly from: string;
}

/** By node and column. */
export type Descriptions = ReadonlyMap<string, ReadonlyMap<string, Inherited>>;

/**
 * The descriptions of columns that have none of their own but pass one single column on unchanged: that column's, or
 * the nearest on the way up that has one.
 */
export function inheritedDescriptions(project: Project, edges: readonly Edge[]): Descriptions {
    const own = new Map<string, string>();
    for (const node of project.nodes.values()) {
        if (node.kind === "test") continue;
        for (const { name, description } of node.columns) {
            if (description.trim() !== "") own.set(originOf(node.name, name.toLowerCase()), description.trim());
        }
    }
    const into = grouped(edges, ({ node, column }) => originOf(node, column));
    const inherited = new Map<string, Map<string, Inherited>>();
    for (const key of into.keys()) {
        const { node, column } = splitOrigin(key);
        const found = own.has(originOf(node, column.toLowerCase())) ? undefined : nearestDescription({ node, column });
        if (found === undefined) continue;
        inherited.set(node, (inherited.get(node) ?? new Map<string, Inherited>()).set(column, found));
    }
    return inherited;

    function nearestDescription({ node, column }: ColumnRef): Inherited | undefined {
        const [edge, ...others] = into.get(originOf(node, column)) ?? [];
        if (edge?.kind !== "pass-through" || others.length > 0) return undefined;
        const { parent, parentColumn } = edge;
        const description = own.get(originOf(parent, parentColumn.toLowerCase()));
        return description === undefined
            ? nearestDescription({ node: parent, column: parentColumn })
            : { description, from: `${parent}.${parentColumn}` };
    }
}

function grouped(edges: readonly Edge[], keyOf: (edge: Edge) => string): ReadonlyMap<string, readonly Edge[]> {
    const groups = new Map<string, Edge[]>();
    for (const edge of edges) {
        const key = keyOf(edge);
        const group = groups.get(key);
        if (group === undefined) groups.set(key, [edge]);
        else group.push(edge);
    }
    return groups;
}
