import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { messageOf } from "../common/errors.ts";
import { type Compiled, compile } from "../runner/compile.ts";
import { Database, identifier, literal } from "../runner/duckdb.ts";
import type { Graph } from "../runner/graph.ts";
import { loadProject } from "../runner/load.ts";
import type { Project } from "../runner/nodes.ts";
import { publishedNodes } from "../runner/publishable.ts";
import { readSeed } from "../runner/seeds.ts";
import { findDbt, writeDbtProject } from "./dbt.ts";
import { generatedProject, writeFiles } from "./generate.ts";
import { measure, median, time } from "./measure.ts";
import { copyProject, extraction, standIn } from "./project.ts";

// What the runner itself costs: the check of generated projects, and builds of this one beside the bare SQL of it and
// beside dbt. Everything is measured once a round, so that a slow minute of the machine falls on all alike.

/** A model that the generated projects edit, and one of this project. */
const edited = { generated: "models/part_0/m_00010.sql", own: "models/staging/stg_authors.sql" };

interface Row {
    readonly seconds: number[];
    readonly peakMb: number[];
    /** Upper bounds of the medians, in seconds and in MB. */
    readonly aim: { readonly seconds?: number; readonly peakMb?: number };
}

export async function bench(flags: string[]): Promise<void> {
    const { values } = parseArgs({
        args: flags,
        options: {
            works: { type: "string", default: "20000" },
            repeat: { type: "string", default: "5" },
            sizes: { type: "string", default: "100,1000,5000" },
        },
    });
    const sizes = values.sizes.split(",").map(Number);
    const dbt = findDbt();
    const rows = new Map<string, Row>();
    const note = (name: string, cost: { seconds: number; peakMb?: number }, aim: Row["aim"] = {}): void => {
        const row = rows.get(name) ?? { seconds: [], peakMb: [], aim };
        rows.set(name, row);
        row.seconds.push(cost.seconds);
        if (cost.peakMb !== undefined) row.peakMb.push(cost.peakMb);
    };
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-bench-"));
    const own = copyProject();
    try {
        for (const size of sizes) writeFiles(join(folder, String(size)), generatedProject(size));
        const { url, stop } = await standIn(values.works);
        await measure("extract/cli.ts", extraction(own, url)).finally(stop);
        const { project, graph } = await loadProject({ projectDir: own });
        const compiled = compile(project, graph);
        const rebuilt = new Set<string>();
        const builtByDbt = new Set<string>();
        for (let round = 1; round <= Number(values.repeat); round++) {
            for (const size of sizes) await checkGenerated(join(folder, String(size)), size, note);
            await buildOwn(own, { round, note, rebuilt });
            const floor = await bareSql(folder, project, { graph, compiled });
            note("bare SQL of that build: seeds, models, tests, copies", { seconds: floor.tables });
            note("the same with the exports", { ...floor, seconds: floor.tables + floor.exports });
            if (dbt !== undefined) await buildWithDbt(dbt.program, { folder, project, compiled, note, builtByDbt });
        }
        const cores = availableParallelism();
        console.log(
            `${values.works} works, ${cores} cores, Node ${process.version}, medians of ${values.repeat} (least to most)`,
        );
        for (const [name, row] of rows) console.log(line(name, row));
        const ratio = (a: string, b: string): number => of(rows, a) / of(rows, b);
        const full = "full build of this project";
        const verdict = ratio(full, "the same with the exports");
        console.log(
            `full build / bare SQL with exports: ${verdict.toFixed(2)} (aim 1.15: ${met(verdict <= 1.15)}); ` +
                `without exports: ${ratio(full, "bare SQL of that build: seeds, models, tests, copies").toFixed(2)}`,
        );
        console.log(`after the edit of ${edited.own} ran: ${[...rebuilt].join(", ")} nodes`);
        if (dbt === undefined) {
            console.log(`dbt left out, there is none. ${await remedy()}`);
        } else {
            const cold = Math.min(of(rows, "dbt build, 1 thread"), of(rows, "dbt build, 2 threads"));
            const nodes = [...builtByDbt].join(" or ");
            console.log(`${dbt.versions} (${nodes} nodes) / full build: ${(cold / of(rows, full)).toFixed(2)}`);
            console.log(await comparedRows(own, join(folder, "dbt.duckdb"), project));
        }
    } finally {
        rmSync(folder, { recursive: true });
        rmSync(own, { recursive: true });
    }
}

type Note = (name: string, cost: { seconds: number; peakMb?: number }, aim?: Row["aim"]) => void;

async function checkGenerated(folder: string, size: number, note: Note): Promise<void> {
    const name = `${size} models`;
    // Moved and not removed: ext4 takes twenty times as long to make files while others were removed within seconds.
    const artifacts = join(folder, "artifacts");
    if (existsSync(artifacts)) renameSync(artifacts, mkdtempSync(`${artifacts}-`));
    const cold = await measure("runner/cli.ts", ["compile", "--project-dir", folder]);
    note(`check of ${name}, whole process`, cold, size === 1000 ? { seconds: 3, peakMb: 300 } : {});
    const { stdout } = await measure("bench/recheck.ts", [folder, edited.generated, "3"]);
    const edits = JSON.parse(stdout) as { read: number; check: number }[];
    const aim = size === 1000 ? { seconds: 0.1 } : {};
    note(`check of ${name} again after an edit`, { seconds: median(edits.map(({ check }) => check)) }, aim);
    note(`reading and compiling ${name} again`, { seconds: median(edits.map(({ read }) => read)) });
}

/** From nothing, then with nothing changed, then with another landing, then with one model changed. */
async function buildOwn(
    folder: string,
    { round, note, rebuilt }: { round: number; note: Note; rebuilt: Set<string> },
): Promise<void> {
    const args = ["build", "--project-dir", folder];
    for (const name of ["work.duckdb", "warehouse.duckdb", "exports", "current", "publications"]) {
        rmSync(join(folder, "data", name), { recursive: true, force: true });
    }
    note("full build of this project", await measure("runner/cli.ts", args));
    note("build with nothing changed", await measure("runner/cli.ts", args), { seconds: 0.5 });
    utimesSync(join(folder, "data", "landing.duckdb"), new Date(), new Date());
    note("build of a landing of another time, the same columns", await measure("runner/cli.ts", args));
    const path = join(folder, edited.own);
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace("select * from final", `select * from final where ${round} = ${round}`));
    const build = await measure("runner/cli.ts", args);
    writeFileSync(path, text);
    note("build after an edit of one staging model", build);
    const [, reused = "0", total = "0"] = /Reused (\d+) of (\d+) nodes/.exec(build.stdout) ?? [];
    rebuilt.add(`${Number(total) - Number(reused)} of ${total}`);
}

/**
 * The SQL of a full build without the runner: attaches the landing file, reads the seeds, makes the models in a work file,
 * counts what each test finds, copies what is published to a new file, and writes the exports. It does not read the project,
 * nor compile or check it, runs no unit tests, keeps no fingerprints and no history, and puts nothing in force.
 */
async function bareSql(
    folder: string,
    project: Project,
    { graph, compiled }: { graph: Graph; compiled: Compiled },
): Promise<{ tables: number; exports: number; peakMb: number }> {
    const [work, out] = ["floor-work.duckdb", "floor-out.duckdb"].map((name) => join(folder, name));
    for (const path of [work, out]) rmSync(path ?? "", { force: true });
    const sources = Object.entries(project.target.attach).map(
        ([name, path]) => `attach ${literal(join(project.root, path))} as ${identifier(name)} (read_only)`,
    );
    const nodes = graph.order.flatMap((node): string[] => {
        const sql = compiled.get(node.name)?.text;
        if (node.kind === "test") return [`select count(*) from (\n${sql}\n) as failing`];
        if (node.kind === "seed") return [`create table main.${node.name} as from ${readSeed(project, node)}`];
        if (node.kind !== "model" || node.materialized === "ephemeral") return [];
        // What goes on from what stands is a table too when there is nothing to go on from.
        const kind = node.materialized === "view" ? "view" : "table";
        return [`create ${kind} main.${node.name} as\n${sql}\n`];
    });
    const published = publishedNodes(project);
    const exports = published.flatMap((node): string[] => {
        if (node.kind !== "model" || node.export === undefined) return [];
        const query = `(from main.${node.name} order by ${node.uniqueKey.map(identifier).join(", ")})`;
        const path = join(folder, node.export.as);
        return [
            `copy ${query} to ${literal(`${path}.csv`)} (format csv, header)`,
            `copy ${query} to ${literal(`${path}.parquet`)} (format parquet, compression zstd)`,
        ];
    });
    const steps = {
        tables: [
            ...sources,
            `attach ${literal(work ?? "")} as work_file`,
            "use work_file",
            ...nodes,
            "checkpoint",
            `attach ${literal(out ?? "")} as out_file`,
            ...published.map(({ name }) => `create table out_file.main.${name} as from main.${name}`),
            "checkpoint out_file",
            "detach out_file",
        ],
        exports,
    };
    const file = join(folder, "floor.json");
    writeFileSync(file, JSON.stringify(steps));
    const { seconds, stdout, peakMb } = await measure("bench/floor.mjs", [file]);
    const { exports: last } = JSON.parse(stdout) as { exports: number };
    return { tables: seconds - last, exports: last, peakMb };
}

async function buildWithDbt(
    program: string,
    {
        folder,
        project,
        compiled,
        note,
        builtByDbt,
    }: { folder: string; project: Project; compiled: Compiled; note: Note; builtByDbt: Set<string> },
): Promise<void> {
    const dbt = join(folder, "dbt");
    const file = join(folder, "dbt.duckdb");
    for (const threads of ["1", "2"]) {
        for (const path of [dbt, file]) rmSync(path, { recursive: true, force: true });
        writeDbtProject(dbt, project, { compiled, file });
        const args = ["build", "--project-dir", dbt, "--profiles-dir", dbt, "--target", `t${threads}`];
        const env = { DBT_SEND_ANONYMOUS_USAGE_STATS: "false" };
        const name = `dbt build, ${threads} thread${threads === "1" ? "" : "s"}`;
        const build = await time(program, [...args, "--full-refresh"], env);
        builtByDbt.add(/TOTAL=(\d+)/.exec(build.stdout)?.[1] ?? "?");
        note(name, build);
        note(`${name}, again with nothing changed`, await time(program, args, env));
    }
}

/** Whether what is published has as many rows as what dbt built. */
async function comparedRows(own: string, file: string, project: Project): Promise<string> {
    const database = await Database.open();
    try {
        await database.run(`attach ${literal(join(own, "data", "warehouse.duckdb"))} as ours (read_only)`);
        try {
            await database.run(`attach ${literal(file)} as theirs (read_only)`);
        } catch (error) {
            return `NOT COMPARABLE, dbt has another DuckDB: ${messageOf(error)}\n${await remedy()}`;
        }
        const different: string[] = [];
        for (const { name } of publishedNodes(project)) {
            const [ours, theirs] = [
                await database.value(`select count(*) from ours.main.${name}`),
                await database.value(`select count(*) from theirs.main.${name}`),
            ];
            if (ours !== theirs) different.push(`${name} ${ours} and ${theirs}`);
        }
        const all = publishedNodes(project).length;
        if (different.length === 0) return `all ${all} published tables have as many rows in dbt's file`;
        return `NOT COMPARABLE, rows differ (ours and dbt's): ${different.join(", ")}`;
    } finally {
        database.close();
    }
}

/** dbt-core 1.10 is the last that installs without a download from elsewhere; DuckDB is to be the same in both. */
async function remedy(): Promise<string> {
    const database = await Database.open();
    const version = String(await database.value("select version()")).replace("v", "");
    database.close();
    return (
        `python3 -m venv .venv && .venv/bin/pip install "dbt-core<1.11" dbt-duckdb duckdb==${version}, ` +
        "then set SHELFMARK_DBT=.venv/bin/dbt"
    );
}

function of(rows: ReadonlyMap<string, Row>, name: string): number {
    return median(rows.get(name)?.seconds ?? []);
}

function line(name: string, { seconds, peakMb, aim }: Row): string {
    const range = `(${Math.min(...seconds).toFixed(2)} to ${Math.max(...seconds).toFixed(2)})`;
    const peak = peakMb.length === 0 ? "" : `${median(peakMb).toFixed(0)} MB`;
    const aims = [
        ...(aim.seconds === undefined ? [] : [`${aim.seconds} s: ${met(median(seconds) <= aim.seconds)}`]),
        ...(aim.peakMb === undefined ? [] : [`${aim.peakMb} MB: ${met(median(peakMb) <= aim.peakMb)}`]),
    ];
    const verdict = aims.length === 0 ? "" : `  aim ${aims.join(", ")}`;
    return `${name.padEnd(54)} ${median(seconds).toFixed(2).padStart(6)} s ${range.padEnd(17)} ${peak.padStart(6)}${verdict}`.trimEnd();
}

function met(isMet: boolean): string {
    return isMet ? "met" : "NOT MET";
}
