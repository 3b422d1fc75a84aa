// Checks a generated project, then edits one model again and again and checks it anew in the same process. Prints JSON:
// seconds of reading and compiling all of it, and of the check, for each edit.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Checker } from "../runner/check.ts";
import { compile } from "../runner/compile.ts";
import { loadProject } from "../runner/load.ts";
import { openSources } from "../runner/open.ts";

const [folder = "", file = "", edits = "1"] = process.argv.slice(2);
const path = join(folder, file);
const text = readFileSync(path, "utf8");
const first = await loadProject({ projectDir: folder });
const database = await openSources(first.project);
const checker = await Checker.open(database);
const seconds: { read: number; check: number }[] = [];
for (let i = 0; i <= Number(edits); i++) {
    // Each text is another, and all give the same columns.
    writeFileSync(path, text.replace("is not null", `is not null and id <> ${i}`));
    const started = performance.now();
    const { project, graph } = await loadProject({ projectDir: folder });
    const compiled = compile(project, graph);
    const read = performance.now();
    await checker.check(project, { graph, compiled, names: project.nodes.keys() });
    seconds.push({ read: (read - started) / 1000, check: (performance.now() - read) / 1000 });
}
writeFileSync(path, text);
await checker.close();
database.close();
console.log(JSON.stringify(seconds.slice(1)));
