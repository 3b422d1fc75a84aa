import { type BuildOptions, build, type Command, type Outcome } from "../build.ts";
import { targetOf } from "../config.ts";
import type { Output } from "../load.ts";
import { readPast } from "../past.ts";
import { Teller } from "../tell.ts";

/** What is left to do of a status, as a selector. */
const selectors: Readonly<Record<string, string>> = {
    error: "result:error",
    fail: "result:fail",
    skip: "result:skipped",
};

/** Runs what failed or was skipped in the last run again, with the command that it was. */
export async function retry(options: BuildOptions, output: Output): Promise<Outcome> {
    const { lastRun, results } = await readPast(await targetOf(options), { onWait: output.note });
    const select = [...new Set(results.values())].flatMap((status) => selectors[status] ?? []);
    if (lastRun === undefined || select.length === 0) {
        const why = lastRun === undefined ? "nothing has run yet" : `run ${lastRun.runId} left nothing undone`;
        new Teller("retry", options, output).nothing(`Nothing to retry: ${why}`);
        return { ok: true, results: [] };
    }
    output.note(`Retrying what run ${lastRun.runId} (${lastRun.command}) left undone`);
    return build(lastRun.command as Command, { ...options, select, indirectSelection: "empty" }, output);
}
