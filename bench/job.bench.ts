import { rmSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Cost, measure, summary } from "./measure.ts";
import { copyProject, extraction, standIn } from "./project.ts";

// The main job on a made-up subject: extract it from the stand-in (pace off), then build, test and publish it; then a
// build that has nothing to do but to publish. Medians.

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
                costs.extract.push(await measure("extract/cli.ts", extraction(folder, url)));
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
