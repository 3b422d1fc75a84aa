import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Compiled } from "./compile.ts";
import type { Graph } from "./graph.ts";
import type { Project } from "./nodes.ts";
import { placesOf } from "./open.ts";

/**
 * Writes the SQL of every model and test to artifacts/, ready to be pasted into the engine's shell. Files that say the
 * same already are left alone, those of nodes that are gone are removed.
 */
export function writeCompiled(project: Project, graph: Graph, compiled: Compiled): void {
    const folder = join(placesOf(project).artifacts, "compiled");
    const wanted = new Map<string, string>();
    for (const node of graph.order) {
        const sql = compiled.get(node.name);
        if (sql === undefined) continue;
        const ofModel =
            node.kind === "model" ? (node.snapshot ? `snapshots/${node.name}.sql` : node.file.path) : undefined;
        const path = join(folder, ofModel ?? `tests/${node.name}.sql`);
        wanted.set(path, `${sql.text}\n`);
        const { increment } = sql;
        if (increment !== undefined) wanted.set(path.replace(/\.sql$/, ".incremental.sql"), `${increment.text}\n`);
    }
    mkdirSync(folder, { recursive: true });
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const standing = new Set(files.map((entry) => join(entry.parentPath, entry.name)));
    // First, because a file system may take the old name of a node for its new one.
    for (const path of standing) if (!wanted.has(path)) rmSync(path);
    for (const [path, text] of wanted) {
        if (standing.has(path) && readFileSync(path, "utf8") === text) continue;
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, text);
    }
}
