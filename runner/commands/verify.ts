import { PipelineError } from "../../common/errors.ts";
import { check } from "../check.ts";
import { compareRelations, differenceText, keyAmong } from "../compare.ts";
import { compile, relationOf } from "../compile.ts";
import { type Database, SqlError } from "../duckdb.ts";
import { loadProject, type Output, type ProjectOptions, selectNodes } from "../load.ts";
import { readMemory } from "../memory.ts";
import type { Model } from "../nodes.ts";
import { attachWork, openSources } from "../open.ts";
import { count } from "../text.ts";

export interface VerifyOptions extends ProjectOptions {
    /** How many differing rows of each model to show. */
    readonly limit: number;
}

/**
 * Makes the selected incremental models anew, beside what stands and from what their parents hold now, and shows the rows
 * that differ. Nothing is kept or changed. Returns whether all are as a full refresh would make them. Models of
 * `full_refresh: false` are compared only when they are selected by name: their past may be nowhere else.
 */
export async function verify({ limit, ...options }: VerifyOptions, output: Output): Promise<boolean> {
    const { project, graph } = await loadProject(options);
    const compiled = compile(project, graph);
    const selected = await selectNodes(project, graph, { options, compiled, kinds: ["model"], output });
    const models = graph.order.filter(
        (node): node is Model => node.kind === "model" && selected.has(node.name) && node.incremental !== undefined,
    );
    const isKept = ({ incremental }: Model): boolean =>
        options.select === undefined && incremental?.fullRefresh === false;
    if (models.length === 0 && options.select === undefined) {
        output.out("Nothing to verify: no model is incremental");
        return true;
    }
    if (models.length === 0) throw new PipelineError("none of what is selected is an incremental model");
    const database = await openSources(project, { onWait: output.note });
    try {
        await check(database, project, { graph, compiled, names: models.map((model) => model.name) });
        await attachWork(database, project, { write: false, onWait: output.note });
        const { relations } = await readMemory(database);
        let ok = true;
        for (const model of models) {
            if (isKept(model)) {
                output.out(
                    `${model.name}: keeps what can't be made again (full_refresh: false); name it to compare it`,
                );
                continue;
            }
            const isThere = relations.get(model.name)?.kind === "table";
            const sql = compiled.get(model.name)?.text ?? "";
            const text = isThere ? await difference(database, model, { sql, limit }) : "it has not been built yet";
            output.out(`${model.name}: ${text ?? "as a full refresh would make it"}`);
            ok &&= text === undefined;
        }
        return ok;
    } finally {
        database.close();
    }
}

/** How what stands differs from what a full refresh would make, or nothing. */
async function difference(
    database: Database,
    model: Model,
    { sql, limit }: { sql: string; limit: number },
): Promise<string | undefined> {
    const anew = "temp.main.shelfmark_anew";
    try {
        await database.run(`create or replace temp table shelfmark_anew as\n${sql}`);
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        return `it can't be made anew: ${error.message}`;
    }
    const [kept, made] = [await database.columns(relationOf(model)), await database.columns(anew)];
    const names = new Set(made.map(({ name }) => name));
    const columns = kept.map(({ name }) => name).filter((name) => names.has(name));
    const key = keyAmong(columns, model.uniqueKey);
    const found = await compareRelations(database, { before: relationOf(model), after: anew, key, columns, limit });
    await database.run("drop table temp.main.shelfmark_anew");
    const other = [...kept, ...made].filter(({ name }) => !columns.includes(name)).map(({ name }) => name);
    const unlike = other.length === 0 ? "" : `; not in both: ${other.join(", ")}`;
    const { added, gone, changed, rows } = found;
    if (added + gone + changed === 0 && other.length === 0) return undefined;
    const facts = `a full refresh would add ${count(added)} rows, remove ${count(gone)} and change ${count(changed)}`;
    return [facts + unlike, ...rows.map((row) => `    ${differenceText(row, key)}`)].join("\n");
}
