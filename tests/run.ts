// Runs every *.test.ts below tests/ (or those whose path contains an argument), each file in a process of its own, and
// counts: uvu by itself exits 0 when a hook throws or nothing runs. Closes with "N passed, N failed".
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { type Counts, countsMark } from "./counts.ts";

const root = join(import.meta.dirname, "..");
const wanted = process.argv.slice(2);
const files = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts") && !file.startsWith("projects/"))
    .map((file) => relative(root, join(import.meta.dirname, file)))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
    .sort();

let passed = 0;
let failed = 0;
const skipped: string[] = [];

async function runFile(file: string): Promise<void> {
    const started = performance.now();
    const child = spawn(process.execPath, ["--import", "tsx", file], {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe"],
        // What hangs is told with what it had printed; the longest file takes one minute.
        timeout: 15 * 60_000,
        killSignal: "SIGKILL",
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    const exit = await new Promise<string>((resolve) => {
        child.on("close", (code, signal) => resolve(signal ?? String(code)));
    });
    const lines = output.split("\n");
    const last = lines.findLast((line) => line.startsWith(countsMark));
    const counts: Counts =
        last === undefined
            ? { registered: 0, finished: 0, failed: 0, skipped: [] }
            : JSON.parse(last.slice(countsMark.length));
    const lost = counts.registered - counts.finished;
    const nothing = counts.registered === 0 && counts.skipped.length === 0;
    const broken = lost > 0 || nothing || (exit !== "0" && counts.failed === 0);
    passed += counts.finished - counts.failed;
    failed += counts.failed + (broken ? Math.max(lost, 1) : 0);
    skipped.push(...counts.skipped);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (broken || counts.failed > 0) {
        console.log(`FAIL ${file} (${seconds} s)`);
        console.log(lines.filter((line) => !line.startsWith(countsMark)).join("\n"));
        if (nothing) console.log(`${file} ran no test (exit ${exit})`);
        else if (lost > 0) console.log(`${file}: ${lost} of ${counts.registered} tests never finished (exit ${exit})`);
        else if (broken) console.log(`${file} exited with ${exit} although its tests passed`);
    } else {
        console.log(`ok   ${file}: ${counts.finished} tests (${seconds} s)`);
    }
}

const queue = [...files];
await Promise.all(
    Array.from({ length: Math.min(2, availableParallelism()) }, async () => {
        for (let file = queue.shift(); file !== undefined; file = queue.shift()) await runFile(file);
    }),
);
for (const line of skipped) console.log(`skipped  ${line}`);
if (files.length === 0) console.log(`no test file matches ${wanted.join(" ")}`);
console.log(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
