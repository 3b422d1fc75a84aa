// Loaded before a measured program: writes the peak of its resident memory, in kB, where the benchmark looks for it.
import { writeFileSync } from "node:fs";

const report = process.env.SHELFMARK_BENCH_PEAK;
if (report !== undefined) {
    process.on("exit", () => writeFileSync(report, String(process.resourceUsage().maxRSS)));
}
