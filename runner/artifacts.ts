import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Compiled } from "./compile.ts";
import type { Graph } from "./graph.ts";
import type { Project } from "./nodes.ts";
import { placesOf } from "./open.ts";

/** Writes the SQL of every model and test to artifacts/, ready to be pasted into the engine's shell. */
export function writeCompiled(project: Project, graph: Graph, compiled: Compiled): void {
    const folder = join(placesOf(project).artifacts, "compiled");
    rmSync(folder, { recursive: true, force: true });
    for (const node of graph.order) {
        const sql = compiled.get(node.name);
        if (sql === undefined) continue;
        const { increment } = sql;
        const ofModel =
            node.kind === "model" ? (node.snapshot ? `snapshots/${node.name}.sql` : node.file.path) : undefined;
        const path = join(folder, ofModel ?? `tests/${node.name}.sql`);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, `${sql.text}\n`);
        if (increment !== undefined) writeFileSync(path.replace(/\.sql$/, ".incremental.sql"), `${increment.text}\n`);
    }
}
