import { PipelineError } from "../common/errors.ts";
import { buildGraph, type Graph } from "./graph.ts";
import type { Node, Project } from "./nodes.ts";
import { type ParseOptions, parse } from "./parse.ts";
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
export function selectNodes(
    project: Project,
    graph: Graph,
    { options, kinds, output }: { options: Selection; kinds: readonly Node["kind"][]; output: Output },
): Set<string> {
    const { names, unmatched } = select(project, graph, options);
    for (const { selector, nearest, problem } of unmatched) {
        if (problem !== undefined) throw new PipelineError(`selector "${selector}": ${problem}`, { exitCode: 2 });
        const remedy = nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
        output.note(`nothing matches the selector "${selector}".${remedy}`);
    }
    return new Set([...names].filter((name) => kinds.includes(project.nodes.get(name)?.kind ?? "source")));
}
