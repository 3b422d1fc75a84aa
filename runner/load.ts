import { PipelineError } from "../common/errors.ts";
import type { Compiled } from "./compile.ts";
import { inputsOf } from "./fingerprint.ts";
import { buildGraph, type Graph } from "./graph.ts";
import type { Node, Project } from "./nodes.ts";
import { type ParseOptions, parse } from "./parse.ts";
import { readPast } from "./past.ts";
import { type Selection, select } from "./selectors.ts";

/** What a command writes: `out` is the result that was asked for, `note` is for the person who waits. */
export interface Output {
    out(text: string): void;
    note(text: string): void;
}

export interface ProjectOptions extends ParseOptions, Selection {
    readonly projectDir: string;
}

/** A project with its graph. @throws ProjectError with every mistake found in its files. */
export async function loadProject(options: ProjectOptions): Promise<{ project: Project; graph: Graph }> {
    const project = await parse(options.projectDir, options);
    return { project, graph: buildGraph(project) };
}

/** The nodes of the given kinds that the selection takes; selectors that match nothing are noted. */
export async function selectNodes(
    project: Project,
    graph: Graph,
    { options, compiled, kinds, output }: SelectOptions,
): Promise<Set<string>> {
    const asksPast = [...(options.select ?? []), ...(options.exclude ?? [])].some((s) => /\b(state|result):/.test(s));
    const past = asksPast ? await readPast(project, { onWait: output.note }) : undefined;
    // Which engine runs it is no matter of the node's own.
    const now = past === undefined ? undefined : inputsOf(project, graph, { compiled, engine: "" });
    const { names, unmatched } = select(project, graph, { ...options, past, now });
    for (const { selector, nearest, problem } of unmatched) {
        if (problem !== undefined) throw new PipelineError(`selector "${selector}": ${problem}`, { exitCode: 2 });
        const remedy = nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
        output.note(`nothing matches the selector "${selector}".${remedy}`);
    }
    return new Set([...names].filter((name) => kinds.includes(project.nodes.get(name)?.kind ?? "source")));
}

interface SelectOptions {
    readonly options: Selection;
    readonly compiled: Compiled;
    readonly kinds: readonly Node["kind"][];
    readonly output: Output;
}
