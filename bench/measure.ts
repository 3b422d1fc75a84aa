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

/** Runs a program of this project in a process of its own, a TypeScript one by tsx. @throws when it ends with anything but 0 */
export async function measure(program: string, args: readonly string[]): Promise<Cost> {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-bench-"));
    const report = join(folder, "peak");
    try {
        const loader = program.endsWith(".ts") ? ["--import", "tsx"] : [];
        const peak = ["--import", join(import.meta.dirname, "peak.mjs")];
        const env = { SHELFMARK_BENCH_PEAK: report };
        const { seconds, stdout } = await time(process.execPath, [...loader, ...peak, program, ...args], env);
        return { seconds, peakMb: Number(readFileSync(report, "utf8")) / 1024, stdout };
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/** Runs any program in this project's folder. @throws when it ends with anything but 0 */
export async function time(
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
): Promise<{ seconds: number; stdout: string }> {
    const started = performance.now();
    const child = spawn(program, args, {
        cwd: root,
        env: { ...process.env, ...env },
        stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const code = await new Promise((resolve) => child.on("error", resolve).on("close", resolve));
    if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}\n${stdout}${stderr}`);
    return { seconds: (performance.now() - started) / 1000, stdout };
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
