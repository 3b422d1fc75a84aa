import { spawn, spawnSync } from "node:child_process";
import {
    closeSync,
    existsSync,
    openSync,
    readdirSync,
    readFileSync,
    renameSync,
    symlinkSync,
    truncateSync,
} from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "../suite.ts";
import { toyProject } from "./toy.ts";

const test = suite("cli");
const root = join(import.meta.dirname, "..", "..");
const cli = ["--import", "tsx", join(root, "runner", "cli.ts")];

const toy = toyProject({
    "models/numbers.sql": "select n, n * 1.5 as price, 'name ' || n as label, n > 1 as is_big from range(12) as r(n)",
    "models/big.sql": "select count(*) as n from {{ref.numbers}} where n > {{vars.batch}}",
    "models/_models.yml":
        "models: [{name: numbers, config: {unique_key: n}, columns: [{name: n, data_tests: [unique]}]}]",
});
test.after(() => toy.close());

interface Ended {
    readonly status: number | null;
    readonly stdout: string;
    readonly stderr: string;
}

function run(...args: string[]): Ended {
    return args[0] === "--help" ? runIn(undefined, args) : runIn(toy.folder, args);
}

function runIn(folder: string | undefined, args: readonly string[]): Ended {
    const where = folder === undefined ? [] : ["--project-dir", folder];
    return spawnSync(process.execPath, [...cli, ...args, ...where], { encoding: "utf8", cwd: root });
}

test("builds and ends with dbt's closing line and 0", () => {
    const { status, stdout, stderr } = run("build");
    assert.is(stdout.trim().split("\n").at(-1), "Done. PASS=3 WARN=0 ERROR=0 SKIP=0 TOTAL=3");
    assert.is(stderr, "");
    assert.is(status, 0);
});

test("lists what a build would take, one name a line", () => {
    assert.is(run("ls").stdout, "numbers\nunique_numbers_n\nbig\n");
    assert.is(run("ls", "--select", "numbers+", "--exclude", "unique_numbers_n").stdout, "numbers\nbig\n");
});

test("takes several selectors in one argument or in several", () => {
    assert.is(run("ls", "--select", "big numbers").stdout, run("ls", "-s", "big", "numbers").stdout);
});

test("shows rows as a table, as CSV and as JSON", () => {
    assert.is(
        run("show", "--select", "numbers", "--exclude", "unique_numbers_n", "--limit", "2").stdout,
        "n  price  label   is_big\n-  -----  ------  ------\n0      0  name 0  false\n1    1.5  name 1  false\n",
    );
    assert.is(run("show", "-s", "big", "--output", "csv").stdout.trim(), "n\n11");
    const { stdout } = run(
        "show",
        "--inline",
        "select max(n) as most, [1, 2] as list, null as nothing from {{ref.numbers}}",
        "--output",
        "json",
    );
    assert.equal(JSON.parse(stdout), [{ most: 11, list: [1, 2], nothing: null }]);
});

test("shows all rows with --limit -1", () => {
    assert.is(run("show", "-s", "numbers", "--limit", "-1", "--output", "csv").stdout.trim().split("\n").length, 13);
});

test("finds mistakes in an inline query as in a model", () => {
    const { status, stdout, stderr } = run("show", "--inline", "select nn from {{ref.numbers}}");
    assert.is(stdout, "");
    assert.match(stderr, 'inline:1:8  unknown column "nn". Did you mean "n"?');
    assert.is(status, 1);
});

test("compiles to artifacts and prints what was selected", () => {
    const { stdout, status } = run("compile", "--select", "big", "--vars", "{batch: 3}");
    assert.is(stdout, "-- big\nselect count(*) as n from main.numbers where n > 3\n\n");
    assert.ok(existsSync(join(toy.folder, "artifacts/dev/compiled/models/big.sql")));
    const manifest = JSON.parse(readFileSync(join(toy.folder, "artifacts/dev/manifest.json"), "utf8"));
    assert.match(manifest.nodes["model.toy.big"].compiled_code, "where n > 3");
    assert.is(status, 0);
});

test("warns about a selector that matches nothing, and does nothing", () => {
    const { status, stdout, stderr } = run("build", "--select", "bigg");
    assert.is(stderr, 'nothing matches the selector "bigg". Did you mean "big"?\n');
    assert.is(stdout, "Nothing to do\nDone. PASS=0 WARN=0 ERROR=0 SKIP=0 TOTAL=0\n");
    assert.is(status, 0);
});

for (const [args, code, message] of [
    [["bild"], 2, /unknown command 'bild'/],
    [["build", "--selct", "x"], 2, /unknown option '--selct'/],
    [["build", "--vars", "[1]"], 2, /expected names with values/],
    [["show", "--limit", "many", "-s", "big"], 2, /--limit/],
    [["show", "-s", "big", "--output", "xml"], 2, /Allowed choices are table, json, csv/],
    [["build", "--target", "prod"], 2, /unknown target "prod"/],
    [["build", "--vars", "{btach: 3}"], 2, /unknown var "btach"\. Did you mean "batch"\?/],
    [["show"], 2, /--select/],
    [["show", "-s", "big", "--inline", "select 1"], 2, /'--inline <sql>' cannot be used with option '-s, --select/],
    [["show", "-s", "big", "--limit", "-5"], 2, /--limit <n>.*argument '-5' is invalid\. expected a number of rows/],
    [["diff", "--limit", "-1"], 2, /argument '-1' is invalid/],
    [["build", "--empty", "--sample", "5"], 2, /'--empty' cannot be used with option '--sample <rows>'/],
] as const) {
    test(`answers ${args.join(" ")} with ${code}`, () => {
        const { status, stderr } = run(...args);
        assert.match(stderr, message);
        assert.not.match(stderr, /\n\s+at /);
        assert.is(status, code);
    });
}

test("gives the same in every time zone of the machine", () => {
    const sql = "select cast(timestamptz '2026-01-01 00:00:00+00' as date)::varchar as day";
    for (const TZ of ["America/New_York", "Asia/Tokyo"]) {
        const command = ["show", "--inline", sql, "--output", "csv", "--project-dir", toy.folder];
        const env = { ...process.env, TZ };
        const { stdout } = spawnSync(process.execPath, [...cli, ...command], { encoding: "utf8", cwd: root, env });
        assert.is(stdout, "day\n2026-01-01\n");
    }
});

test("writes no colours to a pipe, not even where CI is set", () => {
    const command = ["build", "--full-refresh", "--project-dir", toy.folder];
    const env = { ...process.env, CI: "true" };
    const { stdout } = spawnSync(process.execPath, [...cli, ...command], { encoding: "utf8", cwd: root, env });
    assert.match(stdout, /OK {5}table/);
    assert.not.ok(stdout.includes("\u001b"));
});

test("says in one sentence that there is no room for the work file, and what people read stands", async () => {
    const big = toyProject({ "models/m.sql": "select {{vars.batch}} as batch" });
    await big.build();
    big.write("models/m.sql", "select md5(i::varchar) as id from range(50000) as r(i)");
    // The shell's limit for a file's size, of 4,000 blocks of 512 bytes, is as good as a full disk.
    const script = 'trap "" XFSZ; ulimit -f 4000; exec "$0" "$@"';
    const command = [...cli, "build", "--project-dir", big.folder];
    const limited = spawnSync("sh", ["-c", script, process.execPath, ...command], { cwd: root, encoding: "utf8" });
    const work = join(big.folder, "data", "work.duckdb");
    assert.is(
        limited.stderr,
        `data/work.duckdb can't be written, what people read is as it was: could not write file "${work}": File too large\n`,
    );
    assert.is(limited.status, 1);
    assert.equal(await big.rows("from m"), [{ batch: 0 }]);
    assert.ok((await big.build()).ok);
    big.close();
});

test("leaves no work file that can't be opened where a first build has no room for one", async () => {
    const small = toyProject({ "models/m.sql": "select 1 as a" });
    const script = 'trap "" XFSZ; ulimit -f 20; exec "$0" "$@"';
    const command = [...cli, "build", "--project-dir", small.folder];
    const limited = spawnSync("sh", ["-c", script, process.execPath, ...command], { cwd: root, encoding: "utf8" });
    assert.match(
        limited.stderr,
        /^data\/work.duckdb can't be written, what people read is as it was: .*: File too large\n$/,
    );
    assert.is(limited.status, 1);
    assert.equal(readdirSync(join(small.folder, "data")), []);
    assert.ok((await small.build()).ok);
    small.close();
});

for (const [what, bytes] of [
    ["empty", 0],
    ["cut off", 5000],
] as const) {
    test(`says what to do about a work file that is ${what}`, async () => {
        const damaged = toyProject({ "models/m.sql": "select 1 as a" });
        await damaged.build();
        const work = join(damaged.folder, "data", "work.duckdb");
        truncateSync(work, bytes);
        const remedy =
            "If it is damaged, move it away: the next build makes everything again, with the history that is published";
        for (const command of [["build"], ["clean"], ["show", "-s", "m"], ["retry"]]) {
            const { status, stderr } = runIn(damaged.folder, command);
            assert.ok(stderr.startsWith("data/work.duckdb can't be opened: "), stderr);
            assert.ok(stderr.trimEnd().endsWith(remedy), stderr);
            assert.is(status, 1);
        }
        renameSync(work, `${work}.damaged`);
        assert.ok((await damaged.build()).ok);
        damaged.close();
    });
}

test("names the file of a link that leads nowhere", () => {
    const linked = toyProject({ "models/m.sql": "select 1 as a" });
    symlinkSync("nowhere.sql", join(linked.folder, "models", "n.sql"));
    const { status, stderr } = runIn(linked.folder, ["ls"]);
    assert.match(stderr, /^models\/n\.sql {2}can't be read: ENOENT/);
    assert.is(status, 1);
    linked.close();
});

const full = "/dev/full";
if (existsSync(full)) {
    test("says so when its output can't be written", () => {
        const disk = openSync(full, "w");
        const command = ["show", "-s", "numbers", "--project-dir", toy.folder];
        const { status, stderr } = spawnSync(process.execPath, [...cli, ...command], {
            cwd: root,
            encoding: "utf8",
            stdio: ["ignore", disk, "pipe"],
        });
        closeSync(disk);
        assert.is(stderr, "the output can't be written: ENOSPC: no space left on device, write\n");
        assert.is(status, 1);
    });
} else test.skip("says so when its output can't be written", `there is no ${full}`);

test("shows values without what a terminal takes for a command", () => {
    const { stdout } = run("show", "--inline", "select chr(27) || '[31m' || chr(7) || repeat('x', 53) || '😀😀' as c");
    assert.is(stdout.split("\n")[2], `\ufffd[31m\ufffd${"x".repeat(53)}…`);
});

test("ends quietly when its reader has enough", async () => {
    const child = spawn(
        process.execPath,
        [...cli, "show", "-s", "numbers", "--limit", "-1", "--project-dir", toy.folder],
        {
            cwd: root,
            stdio: ["ignore", "pipe", "pipe"],
        },
    );
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
    child.stdout.destroy();
    await new Promise((resolve) => child.on("close", resolve));
    assert.is(errors, "");
});

test("is interrupted in the middle of a statement, publishes nothing, says where it stood, and exits with 2", async () => {
    const slow = toyProject({
        "models/quick.sql": "select 1 as one",
        "models/slow.sql": "select count(*) as n from range(3000000000) as a(i) where hash(i) % 7 = {{vars.batch}}",
    });
    const child = spawn(process.execPath, [...cli, "build", "--project-dir", slow.folder], {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        if (text.includes("main.quick")) setTimeout(() => child.kill("SIGINT"), 100);
    });
    const code = await new Promise((resolve) => child.on("close", resolve));
    assert.match(said, "interrupted at 2 of 2, slow. What people read is as it was");
    assert.is(code, 2);
    assert.is(existsSync(join(slow.folder, "data", "warehouse.duckdb")), false);
    assert.is(existsSync(join(slow.folder, "data", "build.lock")), false);
    const { results } = JSON.parse(readFileSync(join(slow.folder, "artifacts/dev/run_results.json"), "utf8"));
    const statuses = results.map((result: { unique_id: string; status: string }) => [result.unique_id, result.status]);
    assert.equal(statuses, [
        ["model.toy.quick", "success"],
        ["model.toy.slow", "error"],
    ]);
    slow.close();
});

test("debugs, and cleans what can be made again but not what was published", () => {
    assert.match(run("debug").stdout, /result {6}all is well\n$/);
    assert.is(run("clean").stdout, "removed artifacts/dev\nremoved data/work.duckdb\n");
    assert.ok(existsSync(join(toy.folder, "data", "warehouse.duckdb")));
    assert.match(run("show", "-s", "big").stderr, /nothing has been built for target "dev"/);
});

test.run();
