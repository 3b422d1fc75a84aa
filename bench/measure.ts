import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** What one process took: wall-clock seconds and the peak of its resident memory in MB. */
export interface Cost {
    readonly seconds: number;
    readonly peakMb: number;
    readonly stdout: string;
}

/** Runs a TypeScript program of this project in a process of its own. @throws when it ends with anything but 0 */
export async function measure(program: string, args: readonly string[]): Promise<Cost> {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-bench-"));
    const report = join(folder, "peak");
    try {
        const node = ["--import", "tsx", "--import", join(import.meta.dirname, "peak.mjs"), program, ...args];
        const started = performance.now();
        const child = spawn(process.execPath, node, {
            cwd: root,
            env: { ...process.env, SHELFMARK_BENCH_PEAK: report },
            stdio: ["ignore", "pipe", "pipe"],
        });
        let stdout = "";
        let stderr = "";
        child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
        child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
        const code = await new Promise((resolve) => child.on("close", resolve));
        const seconds = (performance.now() - started) / 1000;
        if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}\n${stdout}${stderr}`);
        return { seconds, peakMb: Number(readFileSync(report, "utf8")) / 1024, stdout };
    } finally {
        rmSync(folder, { recursive: true });
    }
}

export function median(values: readonly number[]): number {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = Math.floor(sorted.length / 2);
    const upper = sorted[middle] ?? Number.NaN;
    return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** One line of figures: the median, and from the least to the most. */
export function summary(values: readonly number[], unit: string, digits = 2): string {
    const text = (value: number): string => value.toFixed(digits);
    return `${text(median(values))} ${unit} (${text(Math.min(...values))} to ${text(Math.max(...values))})`;
}
