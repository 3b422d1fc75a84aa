import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Cost, measure, summary } from "./measure.ts";

// The main job on a made-up subject: extract it from the stand-in (pace off), then build, test and publish it; then a
// build that has nothing to do but to publish. Medians.

const root = join(import.meta.dirname, "..");

export async function bench(flags: string[]): Promise<void> {
    const { values } = parseArgs({
        args: flags,
        options: { works: { type: "string", default: "20000" }, repeat: { type: "string", default: "5" } },
    });
    const costs: Record<"extract" | "build" | "publish", Cost[]> = { extract: [], build: [], publish: [] };
    const phases = { check: [] as number[], publish: [] as number[] };
    const sizes: Record<string, number> = {};
    const { url, stop } = await standIn(values.works);
    try {
        for (let i = 0; i < Number(values.repeat); i++) {
            const folder = copyProject();
            try {
                const service = ["--base-url", url, "--contact", "bench@shelfmark.example", "--pace", "off"];
                const subject = ["--subject", "science_fiction", "--project-dir", folder];
                costs.extract.push(await measure("extract/cli.ts", [...subject, ...service]));
                const build = await measure("runner/cli.ts", ["build", "--project-dir", folder]);
                costs.build.push(build);
                phases.check.push(secondsIn(build.stdout, /^Checked .* in ([\d.]+) s/m));
                phases.publish.push(secondsIn(build.stdout, /^Published .* in ([\d.]+) s/m));
                // Without its link, what was built is published again, and nothing else is done.
                rmSync(join(folder, "data", "warehouse.duckdb"));
                costs.publish.push(await measure("runner/cli.ts", ["build", "--project-dir", folder]));
                for (const file of ["landing.duckdb", "work.duckdb", "warehouse.duckdb", "exports/books.csv"]) {
                    sizes[file] = statSync(join(folder, "data", file)).size / 1e6;
                }
            } finally {
                rmSync(folder, { recursive: true });
            }
        }
    } finally {
        stop();
    }
    console.log(
        `${values.works} works, ${availableParallelism()} cores, Node ${process.version}, medians of ${values.repeat}`,
    );
    for (const [name, list] of Object.entries(costs)) {
        const seconds = summary(
            list.map((cost) => cost.seconds),
            "s",
        );
        console.log(
            `${name.padEnd(8)} ${seconds}, peak ${summary(
                list.map((cost) => cost.peakMb),
                "MB",
                0,
            )}`,
        );
    }
    for (const [name, list] of Object.entries(phases))
        console.log(`within the build: ${name.padEnd(8)} ${summary(list, "s")}`);
    console.log(
        Object.entries(sizes)
            .map(([file, mb]) => `${file} ${mb.toFixed(1)} MB`)
            .join(", "),
    );
}

function secondsIn(text: string, pattern: RegExp): number {
    return Number(pattern.exec(text)?.[1]);
}

/** The stand-in in a process of its own, so that its work is not counted. */
async function standIn(works: string): Promise<{ url: string; stop: () => void }> {
    const args = ["--import", "tsx", "demo/server-cli.ts", "--generate", works];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    const url = await new Promise<string>((resolve, reject) => {
        let text = "";
        child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk;
            const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? [];
            if (found !== undefined) resolve(found);
        });
        child.on("close", () => reject(new Error(`the stand-in ended: ${text}`)));
    });
    return { url, stop: () => child.kill() };
}

/** This project in a folder of its own, without anything that it built. */
function copyProject(): string {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-bench-"));
    for (const name of ["models", "macros", "seeds", "targets", "tests", "pipeline.config.ts", "package.json"]) {
        cpSync(join(root, name), join(folder, name), {
            recursive: true,
            filter: (path) => !/\.test\.ts$|tests\/projects/.test(path),
        });
    }
    if (!existsSync(join(folder, "data"))) mkdirSync(join(folder, "data"));
    return folder;
}
