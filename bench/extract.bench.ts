import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { measure, median, summary, time } from "./measure.ts";
import { copyProject, extraction, standIn } from "./project.ts";

// What one page costs to extract (pace off), beside a bare loop that fetches the same URLs and writes the bodies to a file,
// one after the other and three at once as the extractor does. Whole processes, in turn.

export async function bench(flags: string[]): Promise<void> {
    const { values } = parseArgs({
        args: flags,
        options: { works: { type: "string", default: "20000" }, repeat: { type: "string", default: "5" } },
    });
    const seconds: Record<"extract" | "loop" | "loop, 3 at once", number[]> = {
        extract: [],
        loop: [],
        "loop, 3 at once": [],
    };
    const scratch = mkdtempSync(join(tmpdir(), "shelfmark-bench-"));
    const { url, stop } = await standIn(values.works);
    let pages = 0;
    try {
        for (let i = 0; i < Number(values.repeat); i++) {
            const folder = copyProject();
            seconds.extract.push((await measure("extract/cli.ts", extraction(folder, url))).seconds);
            const urls = await urlsOf(join(folder, "data", "landing.duckdb"));
            rmSync(folder, { recursive: true });
            pages = urls.length;
            writeFileSync(join(scratch, "urls"), urls.join("\n"));
            for (const [name, atOnce] of [
                ["loop", "1"],
                ["loop, 3 at once", "3"],
            ] as const) {
                const args = ["bench/fetch.mjs", join(scratch, "urls"), join(scratch, "bodies"), atOnce];
                seconds[name].push((await time(process.execPath, args)).seconds);
                rmSync(join(scratch, "bodies"));
            }
        }
    } finally {
        stop();
        rmSync(scratch, { recursive: true });
    }
    const machine = `${availableParallelism()} cores, Node ${process.version}`;
    console.log(`${values.works} works, ${pages} pages, ${machine}, medians of ${values.repeat} (least to most)`);
    for (const [name, list] of Object.entries(seconds)) {
        const perPage = ((median(list) / pages) * 1000).toFixed(1);
        console.log(`${name.padEnd(16)} ${summary(list, "s")}, ${perPage} ms a page`);
    }
    console.log(`extract / loop: ${(median(seconds.extract) / median(seconds.loop)).toFixed(2)} (aim 1.5)`);
}

async function urlsOf(landing: string): Promise<string[]> {
    const instance = await DuckDBInstance.create(landing, { access_mode: "READ_ONLY" });
    const connection = await instance.connect();
    const sql = "select url from openlibrary.search_pages union all select url from openlibrary.author_pages";
    const rows = (await connection.runAndReadAll(sql)).getRows();
    connection.closeSync();
    instance.closeSync();
    return rows.map(([url]) => String(url));
}
