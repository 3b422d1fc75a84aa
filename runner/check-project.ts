import { basisOf, type Checker, type Columns, check } from "./check.ts";
import { type Compiled, compile, compileCall, relationOf } from "./compile.ts";
import { type Column, type Database, SqlError } from "./duckdb.ts";
import { fingerprint, hash, type Inputs, inputsOf, withoutComments } from "./fingerprint.ts";
import { type Graph, reach } from "./graph.ts";
import { type Edge, traceLineage } from "./lineage.ts";
import { loadProject, type Output, type ProjectOptions, selectNodes } from "./load.ts";
import { macroTestsOf, runMacroTests } from "./macro-tests.ts";
import type { Memory } from "./memory.ts";
import type { Project } from "./nodes.ts";
import { openSources } from "./open.ts";
import { failOn } from "./problem.ts";
import type { MacroTest } from "./properties.ts";
import { runUnitTests, testedSql, withFixtures } from "./unit-tests.ts";

/** A selection of a project, compiled. */
export interface Selected {
    readonly project: Project;
    readonly graph: Graph;
    readonly compiled: Compiled;
    readonly names: ReadonlySet<string>;
}

/**
 * Compiles and checks what a selection takes, without touching the target's files.
 * @throws ProjectError with every mistake that a step finds.
 */
export async function checkProject(options: ProjectOptions, output: Output): Promise<Selected> {
    const { project, graph } = await loadProject(options);
    const compiled = compile(project, graph);
    const names = await selectNodes(project, graph, { options, compiled, kinds: ["seed", "model", "test"], output });
    const selected = { project, graph, compiled, names };
    const database = await openSources(project, { onWait: output.note });
    try {
        await checkAndTest(database, selected);
    } finally {
        database.close();
    }
    return selected;
}

/** What a check goes by, and, where it was made, the lineage that comes out of it. */
export interface Checked {
    /** False where just this was found sound before. */
    readonly isAnew: boolean;
    /** What is sound now. Tables that this run is the first to make are in it as those that the next run goes on from. */
    readonly content: string;
    readonly edges?: readonly Edge[];
    /** The models whose lineage it is or would be, with the fingerprints of what they are made of. */
    readonly traced: ReadonlyMap<string, string>;
    /** How many unit tests, of models and macros, belong to it. */
    readonly unitTests: number;
}

interface CheckOnceOptions {
    readonly memory: Memory;
    readonly engine: string;
    readonly kept: ReadonlyMap<string, readonly Column[]>;
    readonly checker?: Checker | undefined;
}

/** Checks what is selected, unless just this was found sound before and its lineage is the one that is written down. */
export async function checkOnce(
    database: Database,
    selected: Selected,
    { memory, engine, kept, checker }: CheckOnceOptions,
): Promise<Checked> {
    const { project, graph, compiled, names } = selected;
    const sources = await sourceColumns(database, selected);
    const inputs = inputsOf(project, graph, { compiled, engine, standing: sources });
    const macroTests = macroTestsOf(project, names);
    const contentWith = (tables: Columns): string =>
        checkedContent(selected, { engine, sources, kept: tables, macroTests });
    const content = contentWith(kept);
    const traced = new Map(
        tracedModels(project, graph, names).map((name) => [name, fingerprint(inputs.get(name) ?? {})]),
    );
    const isTraced = [...traced].every(([name, made]) => memory.traced.get(name) === made);
    const unitTests = unitTestsOf(selected).length + macroTests.length;
    if (isTraced && memory.checked.has(content)) {
        // One that is kept is to know the project before it changes.
        await checker?.check(project, { graph, compiled, names, kept });
        return { isAnew: false, content, traced, unitTests };
    }
    const columns = await checkAndTest(database, selected, { kept, checker });
    const edges = await traceLineage(database, project, { graph, compiled, columns, names: traced.keys() });
    return { isAnew: true, content: contentWith(keptAfter(selected, { kept, columns })), traced, unitTests, edges };
}

/** What a check goes by of each source that is read: its columns, whatever its rows are. */
async function sourceColumns(
    database: Database,
    { project, graph, names }: Selected,
): Promise<ReadonlyMap<string, Inputs>> {
    const found = new Map<string, Inputs>();
    for (const name of reach(graph.parents, names)) {
        const node = project.nodes.get(name);
        if (node?.kind !== "source") continue;
        try {
            found.set(name, { "its columns": JSON.stringify(await database.columns(relationOf(node))) });
        } catch (error) {
            // The check says so, or takes the columns that its YAML declares, which are part of the content too.
            if (!(error instanceof SqlError)) throw error;
            found.set(name, { "its columns": error.message });
        }
    }
    return found;
}

interface ContentOptions {
    readonly engine: string;
    readonly sources: ReadonlyMap<string, Inputs>;
    /** The columns of tables that go on from what stands. */
    readonly kept: Columns;
    readonly macroTests: readonly MacroTest[];
}

/** A hash of everything that the check of what is selected, and of what that reads, looks at, unit tests included. */
function checkedContent(selected: Selected, { engine, sources, kept, macroTests }: ContentOptions): string {
    const { project, graph, compiled, names } = selected;
    const needed = reach(graph.parents, names);
    const nodes = graph.order.filter((node) => needed.has(node.name));
    const bases = nodes.map((node) => {
        const source = sources.get(node.name) ?? {};
        return [node.name, node.parents, basisOf(project, node, { compiled, kept, source })];
    });
    const tests = unitTestsOf(selected).map(({ at: _, expectedAt: __, description: ___, ...test }) => ({
        ...test,
        given: test.given.map(({ input, rows }) => [input, rows]),
        sql: withoutComments(testedSql(withFixtures(project, test.vars), graph, test)),
    }));
    const calls = macroTests.map(({ name, macro, rows, types, vars, at }) => {
        const args = Object.fromEntries(project.macros.get(macro)?.parameters.map((key) => [key, key]) ?? []);
        const { text } = compileCall({ ...project, vars: { ...project.vars, ...vars } }, macro, { args, at });
        return [name, rows, types, text];
    });
    return hash(JSON.stringify([engine, bases, tests, calls]));
}

/** The tables that go on from what stands, with those that did not stand yet and will as they were checked. */
function keptAfter({ project, names }: Selected, { kept, columns }: { kept: Columns; columns: Columns }): Columns {
    const after = new Map(kept);
    for (const name of names) {
        const node = project.nodes.get(name);
        const goesOn = node?.kind === "model" && (node.incremental !== undefined || node.snapshot !== undefined);
        const made = columns.get(name);
        if (goesOn && made !== undefined && !kept.has(name)) after.set(name, made);
    }
    return after;
}

/** Binds what is selected, then runs the unit tests of its macros and models. @throws ProjectError */
async function checkAndTest(
    database: Database,
    selected: Selected,
    { kept, checker }: Partial<Pick<CheckOnceOptions, "kept" | "checker">> = {},
): Promise<Columns> {
    const { project, graph, compiled, names } = selected;
    const what = { graph, compiled, names, ...(kept === undefined ? {} : { kept }) };
    const columns = await (checker === undefined ? check(database, project, what) : checker.check(project, what));
    const beside = await database.beside();
    try {
        const connections = [database, beside] as const;
        failOn([
            ...(await runMacroTests(connections, project, macroTestsOf(project, names))),
            ...(await runUnitTests(connections, project, { graph, columns, tests: unitTestsOf(selected) })),
        ]);
    } finally {
        beside.close();
    }
    return columns;
}

function unitTestsOf({ project, names }: Selected): Project["unitTests"] {
    return project.unitTests.filter((test) => names.has(test.model));
}

/** The models that are selected, and the ephemeral ones that are written into them. */
function tracedModels(project: Project, graph: Graph, names: ReadonlySet<string>): readonly string[] {
    return [...reach(graph.parents, names)].filter((name) => {
        const node = project.nodes.get(name);
        return node?.kind === "model" && (names.has(name) || node.materialized === "ephemeral");
    });
}
