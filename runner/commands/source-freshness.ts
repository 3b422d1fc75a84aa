import { newInvocation } from "../artifacts/invocation.ts";
import { writeSources } from "../artifacts/write.ts";
import { check } from "../check.ts";
import { compile } from "../compile.ts";
import { checkFreshness, type FreshnessResult, withFreshness } from "../freshness.ts";
import { loadProject, type Output, type ProjectOptions, selectNodes } from "../load.ts";
import { openSources, requireSources } from "../open.ts";
import { freshnessClosingLine, freshnessLine } from "../report.ts";

/**
 * Prints, and writes to sources.json, how fresh the selected sources are that say how fresh they must be; false when one is too old.
 * @throws PipelineError when the file of a source is not there, or its freshness has a mistake.
 */
export async function sourceFreshness(
    options: ProjectOptions,
    output: Output,
): Promise<{ ok: boolean; results: readonly FreshnessResult[] }> {
    const [invocation, started] = [newInvocation("freshness", options), performance.now()];
    const { project, graph } = await loadProject(options);
    const compiled = compile(project, graph);
    const selected = await selectNodes(project, graph, { options, compiled, kinds: ["source"], output });
    const sources = withFreshness(project.nodes.values(), selected);
    const names = new Set(sources.map((source) => source.name));
    requireSources(project, graph, names);
    const database = await openSources(project, { onWait: output.note });
    try {
        await check(database, project, { graph, compiled: new Map(), names });
        const results = await checkFreshness(database, sources);
        for (const result of results) output.out(freshnessLine(result));
        output.out(freshnessClosingLine(results));
        writeSources(project, results, { invocation, seconds: (performance.now() - started) / 1000 });
        return { ok: results.every(({ status }) => !status.endsWith("error")), results };
    } finally {
        database.close();
    }
}
