import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type DumpPaths, dumpFiles } from "./dumps-files.ts";
import { type Cost, measure, median, summary, time } from "./measure.ts";

// A made-up dump of a tenth of the size, or of --scale times 2 million works, 1 million authors and 3 million editions:
// one subject and all works of it, beside unpacking the same files with gzip and reading their lines packed by zstd and as
// Parquet; then the memory at a quarter of the size. The ways take turns; medians.

export async function bench(flags: string[]): Promise<void> {
    const { values } = parseArgs({
        args: flags,
        options: {
            scale: { type: "string", default: "0.1" },
            repeat: { type: "string", default: "5" },
            folder: { type: "string", default: join(tmpdir(), "shelfmark-dumps") },
        },
    });
    const scale = Number(values.scale);
    const files = await sized(values.folder, scale);
    const quarter = await sized(values.folder, scale / 4);
    const costs = new Map<string, Cost[]>();
    const add = (name: string, cost: Cost): void => {
        costs.set(name, [...(costs.get(name) ?? []), cost]);
    };
    for (let i = 0; i < Number(values.repeat); i++) {
        add("gzip -dc", {
            ...(await time("sh", ["-c", 'gzip -dc "$@" | wc -c', "sh", files.works, files.authors])),
            peakMb: 0,
        });
        add("one subject", await land(files, "--subject"));
        add("one subject, with editions", await land(files, "--subject", "--editions"));
        add("all works", await land(files, "--all"));
        add("all works, with editions", await land(files, "--all", "--editions"));
        add("all works, with editions, a quarter", await land(quarter, "--all", "--editions"));
        for (const format of ["zst", "parquet"]) add(`lines from .${format}`, await reread(files, format));
    }
    console.log(
        `${2e6 * scale} works, ${1e6 * scale} authors, ${3e6 * scale} editions, ` +
            `${availableParallelism()} cores, Node ${process.version}, medians of ${values.repeat}`,
    );
    for (const [name, list] of costs) {
        const seconds = list.map((cost) => cost.seconds);
        const peaks = list.map((cost) => cost.peakMb);
        const lines = (name.includes("editions") ? 6e6 : 3e6) * scale * (name.includes("quarter") ? 0.25 : 1);
        const rate = Math.round(lines / median(seconds)).toLocaleString("en-US");
        const peak = median(peaks) === 0 ? "" : `, peak ${summary(peaks, "MB", 0)}`;
        console.log(`${name.padEnd(36)} ${summary(seconds, "s")}, ${rate} lines/s${peak}`);
    }
    for (const path of Object.values(files)) console.log(`${path} ${(statSync(path).size / 1e6).toFixed(1)} MB`);
}

function sized(folder: string, scale: number): Promise<DumpPaths> {
    return dumpFiles(folder, { works: 2e6 * scale, authors: 1e6 * scale, editions: 3e6 * scale });
}

async function land(files: DumpPaths, what: "--subject" | "--all", editions?: "--editions"): Promise<Cost> {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-bench-"));
    try {
        const landing = join(folder, "landing.duckdb");
        return await measure("bench/dumps-land.ts", [
            landing,
            what === "--all" ? "*" : "science_fiction",
            files.works,
            files.authors,
            ...(editions === undefined ? [] : [files.editions]),
        ]);
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/** The lines of works and authors out of another packing, which is made when it is not there. */
async function reread(files: DumpPaths, format: string): Promise<Cost> {
    const paths = [files.works, files.authors].map((path) => path.replace(/gz$/, format));
    for (const [index, path] of paths.entries()) {
        const from = [files.works, files.authors][index];
        if (from !== undefined && !existsSync(path))
            execFileSync(process.execPath, ["--import", "tsx", "bench/dumps-pack.ts", from, path]);
    }
    return measure("bench/dumps-pack.ts", paths);
}
