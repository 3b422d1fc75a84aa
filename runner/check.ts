import { inParallel } from "../common/parallel.ts";
import { checkNode, named } from "./check-node.ts";
import { type Compiled, readsOf, relationOf } from "./compile.ts";
import { mistakesIn } from "./contract.ts";
import { type Column, type Database, SqlError } from "./duckdb.ts";
import { type Inputs, sourceInputs, withoutComments } from "./fingerprint.ts";
import { type Graph, reach } from "./graph.ts";
import type { Node, Project } from "./nodes.ts";
import { failOn, type Problem } from "./problem.ts";
import { seedProblems } from "./seeds.ts";
import { parseQueries, type Syntax } from "./syntax.ts";

/** The columns of every relation that was checked, by the node's name. */
export type Columns = ReadonlyMap<string, readonly Column[]>;

export interface CheckOptions {
    readonly graph: Graph;
    readonly compiled: Compiled;
    readonly names: Iterable<string>;
    /** The columns of tables that go on from what stands: what reads them finds those, changed as decided. */
    readonly kept?: ReadonlyMap<string, readonly Column[]>;
}

/**
 * Binds every model and test among `names`, and all that they read, against empty tables, with DuckDB's own binder:
 * what passes can't fail later on a name or a type. Nothing of the target is touched.
 * The files that sources live in must be attached to `database`; a source whose file is absent is taken from the
 * columns that its YAML declares.
 * @throws ProjectError with every mistake found, except those that only follow from another.
 */
export async function check(
    database: Database,
    project: Project,
    { graph, compiled, names, kept = new Map() }: CheckOptions,
): Promise<Columns> {
    const checker = await Checker.open(database);
    try {
        return await checker.check(project, { graph, compiled, names, kept });
    } finally {
        await checker.close();
    }
}

/** What was found of a node without a mistake. It holds as long as all that it goes by is as it was. */
interface Sound {
    readonly basis: string;
    readonly read: readonly (readonly Column[])[];
    readonly columns: readonly Column[];
}

/**
 * A check that is kept for a project that is checked again and again. What was sound, is as it was, and reads columns that
 * are as they were, is not asked again.
 */
export class Checker {
    readonly database: Database;
    /** What binds: one takes a model while the other has another. Nothing runs there, and so nothing is optimized. */
    private readonly binders: readonly [Database, Database];
    private readonly sound = new Map<string, Sound>();
    /** The thresholds that DuckDB took, and what it calls types, by their text. */
    private readonly conditions = new Set<string>();
    private readonly types = new Map<string, string>();

    private constructor(database: Database, binders: readonly [Database, Database]) {
        this.database = database;
        this.binders = binders;
    }

    /** The files that sources live in must be attached to `database` whenever it checks. */
    static async open(database: Database): Promise<Checker> {
        await database.run("attach ':memory:' as shelfmark_check");
        const binders = [await database.beside(), await database.beside()] as const;
        for (const connection of binders) {
            await connection.run("use shelfmark_check");
            await connection.run("pragma disable_optimizer");
            // The plan as it is before DuckDB drops what is empty anyway.
            await connection.run("set explain_output = 'all'");
        }
        return new Checker(database, binders);
    }

    async close(): Promise<void> {
        for (const connection of this.binders) connection.close();
        await this.database.run("detach shelfmark_check");
    }

    /** As {@link check}, of the project as it is now. */
    async check(project: Project, { graph, compiled, names, kept = new Map() }: CheckOptions): Promise<Columns> {
        const { binders, sound, conditions, types } = this;
        const needed = reach(graph.parents, names);
        const nodes = graph.order.filter((node) => needed.has(node.name));
        const bases = new Map(
            nodes.map((node) => {
                const file = node.kind === "source" ? sourceInputs(project, node.database) : {};
                return [node.name, basisOf(project, node, { compiled, kept, source: file })];
            }),
        );
        // SQL does not tell a name that is gone from a new one in another case, and so the table is no longer its own.
        for (const name of sound.keys()) if (!project.nodes.has(name)) sound.delete(name);
        const problems = new Map<Node, readonly Problem[]>();
        const columns = new Map<string, readonly Column[]>();
        const failed = new Set<string>();
        const isBlocked = (node: Node): boolean => node.parents.some((parent) => failed.has(parent));
        const news = nodes.filter((node) => sound.get(node.name)?.basis !== bases.get(node.name));
        const syntaxes = await syntaxesOf(binders[0], news, compiled);
        const visit = async (node: Node, { on = binders[0], isBound = false } = {}): Promise<void> => {
            if (isBlocked(node)) {
                failed.add(node.name);
                return;
            }
            const basis = bases.get(node.name) ?? "";
            const read = node.parents.map((parent) => columns.get(parent) ?? []);
            const before = sound.get(node.name);
            if (before?.basis === basis && before.read.every((list, i) => isSame(list, read[i] ?? []))) {
                columns.set(node.name, before.columns);
                return;
            }
            sound.delete(node.name);
            const unreadable = node.kind === "seed" ? seedProblems(node) : [];
            if (unreadable.length > 0) {
                failed.add(node.name);
                problems.set(node, unreadable);
                return;
            }
            const facts = { compiled, columns, kept, syntax: syntaxes.get(node.name), conditions, isBound };
            const found = named(node, await checkNode(on, project, node, facts));
            const wrong = "problem" in found ? [found.problem] : await mistakesIn(on, node, { found, types });
            if (!("problem" in found)) columns.set(node.name, found);
            if (wrong.length > 0) failed.add(node.name);
            else if (!("problem" in found)) sound.set(node.name, { basis, read, columns: found });
            problems.set(node, wrong);
        };
        const [first = [], ...levels] = levelsOf(nodes);
        // Two that make one schema at the same time are in each other's way.
        for (const node of first) await visit(node);
        for (const level of levels)
            await inParallel(level, binders.length, (node, slot) => visit(node, { on: binders[slot] ?? binders[0] }));
        // Nothing reads a test: all can wait until many can be bound together.
        const ready = news.filter((node) => node.kind === "test" && !isBlocked(node) && syntaxes.get(node.name)?.ok);
        const bound = await boundTogether(binders, ready, compiled);
        for (const node of nodes) if (node.kind === "test") await visit(node, { isBound: bound.has(node.name) });
        const all = nodes.flatMap((node) =>
            (problems.get(node) ?? []).map((problem) => ({ ...problem, subject: node })),
        );
        failOn(distinct(all));
        // In the order of the nodes, and not in that in which two connections were done with them.
        const found = nodes.map(({ name }): [string, readonly Column[] | undefined] => [name, columns.get(name)]);
        return new Map(found.filter((entry): entry is [string, readonly Column[]] => entry[1] !== undefined));
    }
}

/**
 * All that the check of a node looks at, but for the columns that it reads. `source` is what a source is known by: the
 * state of its file, or its columns.
 */
export function basisOf(
    project: Project,
    node: Node,
    { compiled, kept, source }: { compiled: Compiled; kept: Columns; source: Inputs },
): string {
    const declared =
        node.kind === "test" ? [node.warnIf, node.errorIf] : node.columns.map(({ name, dataType }) => [name, dataType]);
    const { text = "", increment } = compiled.get(node.name) ?? {};
    const own =
        node.kind === "source"
            ? [relationOf(node), source, node.freshness?.loadedAtField, node.freshness?.filter]
            : node.kind === "seed"
              ? [node.file.text, node.columnTypes, node.delimiter]
              : [
                    withoutComments(text),
                    increment && withoutComments(increment.text),
                    [...readsOf(node, project)].map(relationOf),
                ];
    const settings =
        node.kind === "model"
            ? [
                  node.uniqueKey,
                  node.export?.partitionBy,
                  node.hasContract,
                  node.incremental,
                  node.snapshot,
                  kept.get(node.name),
              ]
            : [];
    return JSON.stringify([node.kind, declared, own, settings]);
}

function isSame(a: readonly Column[], b: readonly Column[]): boolean {
    return (
        a === b || (a.length === b.length && a.every(({ name, type }, i) => name === b[i]?.name && type === b[i]?.type))
    );
}

/** The syntax of models and tests, by name. */
async function syntaxesOf(
    database: Database,
    nodes: readonly Node[],
    compiled: Compiled,
): Promise<ReadonlyMap<string, Syntax>> {
    const names = nodes.map((node) => node.name).filter((name) => compiled.has(name));
    const syntaxes = await parseQueries(
        database,
        names.map((name) => compiled.get(name)?.text ?? ""),
    );
    return new Map(syntaxes.map((syntax, i) => [names[i] ?? "", syntax]));
}

/** Sources and seeds, then the models that read nothing else, those that read these, and so on. Tests are left out. */
function levelsOf(nodes: readonly Node[]): readonly (readonly Node[])[] {
    const levels: Node[][] = [[]];
    const depths = new Map<string, number>();
    for (const node of nodes) {
        if (node.kind === "test") continue;
        const depth = node.kind === "model" ? 1 + Math.max(0, ...node.parents.map((name) => depths.get(name) ?? 0)) : 0;
        depths.set(node.name, depth);
        // A model reads one of the level before, or nothing.
        const level = levels[depth] ?? [];
        level.push(node);
        levels[depth] = level;
    }
    return levels;
}

/** The names of those tests that DuckDB binds as one query: 20 at a time take it 0.15 ms each, alone 0.35. */
async function boundTogether(
    connections: readonly [Database, Database],
    tests: readonly Node[],
    compiled: Compiled,
): Promise<ReadonlySet<string>> {
    const bound = new Set<string>();
    const together = 20;
    const starts = Array.from({ length: Math.ceil(tests.length / together) }, (_, i) => i * together);
    await inParallel(starts, connections.length, async (i, slot) => {
        const some = tests.slice(i, i + together).map((test) => test.name);
        const queries = some.map((name) => `select 1 from (\n${compiled.get(name)?.text}\n)`);
        try {
            await (connections[slot] ?? connections[0]).bind(queries.join("\nunion all\n"));
            for (const name of some) bound.add(name);
        } catch (error) {
            // Each is bound by itself then, which tells which of them is wrong, and where.
            if (!(error instanceof SqlError)) throw error;
        }
    });
    return bound;
}

/** A mistake in a macro shows in all that call it. */
function distinct(problems: readonly Problem[]): Problem[] {
    const isSame = (a: Problem, b: Problem): boolean =>
        a.message === b.message && a.at?.file === b.at?.file && a.at?.offset === b.at?.offset;
    return problems.filter((problem, i) => problems.findIndex((other) => isSame(other, problem)) === i);
}
