// What every column of every mart is made of, down to what was landed: tests/models/lineage.expected.txt.
// UPDATE=1 writes what it is now; read the difference before you commit it.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { check } from "../../runner/check.ts";
import { compile } from "../../runner/compile.ts";
import { farEnd, traceLineage, walk, walkable } from "../../runner/lineage.ts";
import { loadProject } from "../../runner/load.ts";
import { openSources } from "../../runner/open.ts";
import { suite } from "../suite.ts";

const test = suite("models/lineage");
const root = join(import.meta.dirname, "..", "..");
const file = join(import.meta.dirname, "lineage.expected.txt");

async function traced() {
    // The target of the automated check has no landing file of its own here: sources are as their YAML declares them.
    const { project, graph } = await loadProject({ projectDir: root, target: "ci" });
    const compiled = compile(project, graph);
    const names = [...project.nodes.values()].filter((node) => node.kind === "model").map((node) => node.name);
    const database = await openSources(project, {});
    try {
        const columns = await check(database, project, { graph, compiled, names });
        const edges = await traceLineage(database, project, { graph, compiled, columns, names });
        return { project, graph, columns, edges };
    } finally {
        database.close();
    }
}

test("is what is expected of every column of every mart", async () => {
    const { project, graph, columns, edges } = await traced();
    const lineage = walkable(graph, edges);
    const lines: string[] = [];
    for (const node of graph.order) {
        if (node.kind !== "model") continue;
        for (const { name: column } of columns.get(node.name) ?? []) {
            const direct = lineage
                .into({ node: node.name, column })
                .map((edge) => `${edge.kind === "transformed" ? "~" : ""}${edge.parent}.${edge.parentColumn}`);
            lines.push(`${node.name}.${column} = ${direct.sort().join(" ")}`.trimEnd());
            if (!node.publish) continue;
            const landed = walk(lineage, { node: node.name, column }, "upstream")
                .map((edge) => farEnd(edge, "upstream"))
                .filter((end) => project.nodes.get(end.node)?.kind !== "model")
                .map((end) => `${end.node}.${end.column}`);
            lines.push(`${node.name}.${column} <- ${[...new Set(landed)].sort().join(" ")}`.trimEnd());
        }
    }
    const text = `${lines.join("\n")}\n`;
    if (process.env.UPDATE === "1") writeFileSync(file, text);
    assert.fixture(text, readFileSync(file, "utf8"));
});

test.run();
