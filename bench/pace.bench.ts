import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { catalogueOf } from "../demo/catalogue-file.ts";
import { generate } from "../demo/generator.ts";
import { startStandIn } from "../demo/server.ts";
import { time } from "./measure.ts";
import { copyProject, extraction } from "./project.ts";

// How well the extractor keeps its pace, as the service sees it: an extraction at 3 requests a second from a stand-in that
// takes 200 to 800 ms for each answer. Author documents are asked for three batches at once, so that work always waits.

export async function bench(flags: string[]): Promise<void> {
    const { values } = parseArgs({
        args: flags,
        options: { works: { type: "string", default: "22000" }, pace: { type: "string", default: "3" } },
    });
    const pace = Number(values.pace);
    const standIn = await startStandIn(catalogueOf(generate({ works: Number(values.works), seed: 1 })), {
        faults: [{ route: "any", times: "always", fault: "slow", least: 200, most: 800 }],
    });
    const folder = copyProject();
    try {
        const args = [...extraction(folder, standIn.url), "--pace", values.pace];
        const { seconds } = await time(process.execPath, ["--import", "tsx", "extract/cli.ts", ...args]);
        const all = standIn.requests.map(({ at }) => at);
        const batches = standIn.requests.filter(({ path }) => path.startsWith("/api/get_many")).map(({ at }) => at);
        console.log(`${all.length} requests in ${seconds.toFixed(0)} s at pace ${pace}`);
        console.log(`most requests in any 10 s: ${mostWithin(all, 10_000)}, of ${10 * pace} allowed`);
        const gaps = all.slice(1).map((at, index) => at - (all[index] ?? 0));
        console.log(`least time between two requests: ${Math.min(...gaps)} ms`);
        const span = ((batches.at(-1) ?? 0) - (batches[0] ?? 0)) / 1000;
        const share = (batches.length - 1) / span / pace;
        console.log(`while work waited (${span.toFixed(0)} s): ${(share * 100).toFixed(1)} % of the pace was used`);
    } finally {
        await standIn.close();
        rmSync(folder, { recursive: true });
    }
}

function mostWithin(times: readonly number[], milliseconds: number): number {
    const counts = times.map((from) => times.filter((at) => at >= from && at < from + milliseconds).length);
    return Math.max(...counts);
}
