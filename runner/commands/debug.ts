import { existsSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../common/errors.ts";
import { livingHolder, processText } from "../../common/lock.ts";
import { loadProject, type Output, type ProjectOptions } from "../load.ts";
import { attachWork, openSources, placesOf } from "../open.ts";
import { currentPublication } from "../publish.ts";
import { counted } from "../text.ts";

/** Prints what the project, the target and this machine are, a line each; false when something can't be used. */
export async function debug(options: ProjectOptions, { out }: Output): Promise<boolean> {
    let ok = true;
    const line = (name: string, text: string): void => out(`${name.padEnd(12)}${text}`);
    const failed = (name: string, error: unknown): void => {
        ok = false;
        line(name, `ERROR ${messageOf(error)}`);
    };
    line("node", process.version);
    try {
        const { project } = await loadProject(options);
        const { root, config, target } = project;
        const kinds = ["model", "seed", "source", "test"].map((kind) => {
            const n = [...project.nodes.values()].filter((node) => node.kind === kind).length;
            return counted(n, kind);
        });
        line("project", `${config.name}: ${kinds.join(", ")}, ${project.macros.size} macros`);
        const places = placesOf(project);
        line("target", `${target.name}: ${target.folder}/warehouse.duckdb`);
        const published = await currentPublication(places);
        line("published", published ?? "nothing yet");
        const holder = livingHolder(places.lock);
        if (holder !== undefined)
            line("running", `"${holder.command}", ${processText(holder)}, since ${holder.startedAt}`);
        const database = await openSources(project, { patience: 0 });
        try {
            line("duckdb", String(await database.value("select version()")));
            for (const [name, file] of Object.entries(target.attach)) {
                line("source file", `${name}: ${file}${existsSync(join(root, file)) ? "" : " (does not exist yet)"}`);
            }
            if (existsSync(places.work)) await attachWork(database, project, { write: false, patience: 0 });
            line("work file", existsSync(places.work) ? "can be opened" : "does not exist yet");
        } finally {
            database.close();
        }
    } catch (error) {
        failed("problem", error);
    }
    line("result", ok ? "all is well" : "see above");
    return ok;
}
