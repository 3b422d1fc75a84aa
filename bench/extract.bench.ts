import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { measure, median, summary, time } from "./measure.ts";
import { copyProject, extraction, standIn } from "./project.ts";

// What one page costs to extract (pace off), beside a bare loop that fetches the same URLs and writes the bodies to a file,
// one after the other and three at once as the extractor does. Whole processes, in turn; what they take besides the pages
// is taken off by doing the same with few works.

const programs = ["extract", "loop", "loop, 3 at once"] as const;
type Program = (typeof programs)[number];

/** Seconds of the runs of each program, with all works and with few. */
type Seconds = Readonly<Record<Program, { readonly all: number[]; readonly few: number[] }>>;

export async function bench(flags: string[]): Promise<void> {
    const { values } = parseArgs({
        args: flags,
        options: { works: { type: "string", default: "20000" }, repeat: { type: "string", default: "5" } },
    });
    const seconds: Seconds = {
        extract: { all: [], few: [] },
        loop: { all: [], few: [] },
        "loop, 3 at once": { all: [], few: [] },
    };
    const pages = { all: 0, few: 0 };
    const scratch = mkdtempSync(join(tmpdir(), "shelfmark-bench-"));
    const { url, stop } = await standIn(values.works);
    try {
        for (let i = 0; i < Number(values.repeat); i++) {
            for (const [size, limit] of [
                ["all", []],
                ["few", ["--max-works", "1000"]],
            ] as const) {
                const folder = copyProject();
                const args = [...extraction(folder, url), ...limit];
                seconds.extract[size].push((await measure("extract/cli.ts", args)).seconds);
                const urls = await urlsOf(join(folder, "data", "landing.duckdb"));
                rmSync(folder, { recursive: true });
                pages[size] = urls.length;
                writeFileSync(join(scratch, "urls"), urls.join("\n"));
                for (const [name, atOnce] of [
                    ["loop", "1"],
                    ["loop, 3 at once", "3"],
                ] as const) {
                    const args = ["bench/fetch.mjs", join(scratch, "urls"), join(scratch, "bodies"), atOnce];
                    seconds[name][size].push((await time(process.execPath, args)).seconds);
                    rmSync(join(scratch, "bodies"));
                }
            }
        }
    } finally {
        stop();
        rmSync(scratch, { recursive: true });
    }
    const machine = `${availableParallelism()} cores, Node ${process.version}`;
    console.log(`${values.works} works, ${pages.all} pages, ${machine}, medians of ${values.repeat} (least to most)`);
    const perPage = (name: Program): number => {
        const { all, few } = seconds[name];
        return ((median(all) - median(few)) / (pages.all - pages.few)) * 1000;
    };
    for (const name of programs) {
        const { all, few } = seconds[name];
        console.log(
            `${name.padEnd(16)} ${summary(all, "s")}; ${pages.few} pages ${summary(few, "s")}; ` +
                `${perPage(name).toFixed(1)} ms for each page more`,
        );
    }
    const whole = median(seconds.extract.all) / median(seconds.loop.all);
    console.log(`extract / loop, a page more: ${(perPage("extract") / perPage("loop")).toFixed(2)} (aim 1.5)`);
    console.log(`extract / loop, whole processes: ${whole.toFixed(2)}`);
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
