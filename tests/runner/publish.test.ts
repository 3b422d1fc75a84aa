import { spawn } from "node:child_process";
import { lstatSync, readdirSync, readFileSync, realpathSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { readHolder } from "../../common/lock.ts";
import { numbersFromSeed, seed } from "../random.ts";
import { suite } from "../suite.ts";
import { type Toy, toyProject } from "./toy.ts";

const test = suite("publish");
const root = join(import.meta.dirname, "..", "..");

const files = {
    "models/first.sql": "select n, {{vars.batch}} as batch from range(2000) as r(n)",
    "models/second.sql": "select n, batch from {{ref.first}} where n % 2 = 0",
    "models/_models.yml": `models:
  - name: first
    description: Numbers
    config: {unique_key: n, export: true}
    columns: [{name: n, description: A number, data_tests: [unique, not_null]}]
  - name: second
    config: {unique_key: n, export: {as: evens}}
`,
};

/** The batch that the warehouse and every exported file hold; a mixture fails. */
async function publishedBatch(toy: Toy): Promise<number> {
    const [row] = await toy.rows(`
        select min(batch) as low, max(batch) as high from (select batch from first union all select batch from second)`);
    assert.equal(row?.low, row?.high, "both tables are of one build");
    const publication = realpathSync(join(toy.folder, "data", "current"));
    for (const file of ["first.csv", "evens.csv"]) {
        const lines = readFileSync(join(publication, "exports", file), "utf8")
            .trim()
            .split("\n")
            .slice(1);
        assert.is(lines.length, file === "first.csv" ? 2000 : 1000);
        assert.ok(
            lines.every((line) => line.endsWith(`,${row?.low}`)),
            `${file} is of the same build`,
        );
    }
    return Number(row?.low);
}

test("publishes tables with their descriptions, exports and the run's history", async () => {
    const toy = toyProject(files);
    await toy.build();
    const comments = await toy.rows(
        "select comment from duckdb_columns() where table_name = 'first' and column_name = 'n'",
    );
    assert.equal(comments, [{ comment: "A number" }]);
    const tests = await toy.rows("select test, status from meta.test_results order by test");
    assert.equal(
        tests.map((row) => row.status),
        ["pass", "pass"],
    );
    assert.equal(readdirSync(join(toy.folder, "data", "exports")).sort(), [
        "evens.csv",
        "evens.parquet",
        "first.csv",
        "first.parquet",
        "publication.json",
    ]);
    toy.close();
});

test("writes the same bytes for the same data", async () => {
    const toy = toyProject(files);
    const bytes = (): Buffer[] =>
        ["first.csv", "first.parquet", "evens.parquet"].map((file) =>
            readFileSync(join(toy.folder, "data/exports", file)),
        );
    await toy.build();
    const before = bytes();
    const first = realpathSync(join(toy.folder, "data/current"));
    await toy.build({ fullRefresh: true });
    assert.not.equal(realpathSync(join(toy.folder, "data/current")), first, "it was published anew");
    bytes().forEach((now, i) => {
        assert.ok(before[i]?.equals(now));
    });
    toy.close();
});

test("exports an empty model as a header", async () => {
    const toy = toyProject({ ...files, "models/first.sql": "select n, 1 as batch from range(0) as r(n)" });
    await toy.build();
    assert.is(readFileSync(join(toy.folder, "data/exports/first.csv"), "utf8"), "n,batch\n");
    toy.close();
});

test("publishes nothing when a test fails, and again when it passes", async () => {
    const toy = toyProject(files);
    await toy.build({ vars: { batch: 1 } });
    const good = files["models/first.sql"];
    toy.write("models/first.sql", good.replace("select n,", "select n % 3 as n,"));
    assert.is((await toy.build({ vars: { batch: 2 } })).ok, false);
    assert.is(await publishedBatch(toy), 1);
    toy.write("models/first.sql", good);
    assert.is((await toy.build({ vars: { batch: 3 } })).ok, true);
    assert.is(await publishedBatch(toy), 3);
    toy.close();
});

test("does not publish what an earlier run left failed, when only something else is built", async () => {
    const toy = toyProject(files);
    toy.write("models/other.sql", "select 1 as one");
    toy.write("models/first.sql", "select n % 3 as n, 1 as batch from range(2000) as r(n)");
    assert.is((await toy.build()).ok, false);
    const { ok, publication } = await toy.build({ select: ["other"] });
    assert.is(ok, false);
    assert.is(publication, undefined);
    assert.match(toy.said(), /the test unique_first_n failed in run/);
    assert.match(toy.said(), /second was skipped in run .*, because of a failure before it/);
    toy.close();
});

const good = "id,title\n1,Emma\n2,Dune\n";
const bad = `${good}2,DuneX\n`;
const chain = {
    "seeds/books.csv": good,
    "seeds/_seeds.yml": "seeds: [{name: books, config: {publish: false}}]",
    "models/inner.sql": "select * from {{ref.books}}",
    "models/mart.sql": "select * from {{ref.inner}}",
    "models/other.sql": "select 1 as x",
    "models/_models.yml": `models:
  - {name: inner, config: {publish: false}, columns: [{name: id, data_tests: [unique]}]}
`,
};

for (const [what, prepare, reason] of [
    [
        "a failed test on what it was made of, however the reader was built",
        async (toy: Toy) => {
            await toy.build();
            await toy.build({ select: ["mart"], fullRefresh: true });
        },
        /the test unique_inner_id failed in run/,
    ],
    [
        "a parent that was built anew without it",
        async (toy: Toy) => {
            await toy.build({ command: "seed" });
            await toy.build({ command: "run", select: ["inner"] });
        },
        /mart was built on an older inner: take it in with --select "inner\+"/,
    ],
    [
        "a view on a parent that was built anew without its tests",
        async (toy: Toy) => {
            toy.write(
                "models/_models.yml",
                chain["models/_models.yml"].replace(
                    "models:",
                    "models:\n  - {name: mart, config: {materialized: view}}",
                ),
            );
            await toy.build({ command: "seed" });
            await toy.build({ command: "run" });
        },
        /the test unique_inner_id has not run on what stands now/,
    ],
    [
        "a failed `test`",
        async (toy: Toy) => {
            await toy.build({ command: "seed" });
            await toy.build({ command: "run" });
            await toy.build({ command: "test" });
        },
        /the test unique_inner_id failed in run/,
    ],
    [
        "a failed test of several models that ran after some readers",
        async (toy: Toy) => {
            toy.write(
                "tests/no_dups.sql",
                "select id from {{ref.inner}} join {{ref.mart}} using (id) group by id having count(*) > 1",
            );
            toy.write("models/_models.yml", "models: [{name: inner, config: {publish: false}}]");
            await toy.build();
        },
        /the test no_dups failed in run/,
    ],
] as const) {
    test(`does not publish over ${what}`, async () => {
        const toy = toyProject(chain);
        assert.ok((await toy.build()).ok);
        toy.write("seeds/books.csv", bad);
        await prepare(toy);
        const { ok } = await toy.build({ select: ["other"] });
        assert.is(ok, false);
        assert.match(toy.said(), reason);
        assert.equal(await toy.rows("select count(*)::int as n from mart"), [{ n: 2 }]);
        assert.equal(await toy.rows("select distinct status from meta.runs"), [{ status: "success" }]);
        toy.write("seeds/books.csv", good);
        assert.ok((await toy.build()).ok, "a whole build mends it");
        toy.close();
    });
}

test("names the view that fails when it is published", async () => {
    const toy = toyProject({
        "models/v.sql": "select cast(t as integer) as n from (values ('new')) as x(t)",
        "models/_models.yml": "models: [{name: v, config: {materialized: view}}]",
    });
    assert.is((await toy.build()).ok, false);
    assert.match(toy.said(), /models\/v\.sql {2}could not convert string/i);
    toy.close();
});

test("leaves alone what stands where the warehouse should be", async () => {
    const toy = toyProject(files);
    toy.write("data/warehouse.duckdb", "somebody's own file");
    assert.is((await toy.build()).ok, false);
    assert.match(toy.said(), /warehouse\.duckdb is in the way/);
    assert.is(readFileSync(join(toy.folder, "data/warehouse.duckdb"), "utf8"), "somebody's own file");
    assert.equal(
        readdirSync(join(toy.folder, "data")).sort(),
        ["warehouse.duckdb", "work.duckdb"],
        "and nothing half-done",
    );
    toy.close();
});

test("makes the links again that a killed first publication did not come to", async () => {
    const toy = toyProject(files);
    await toy.build();
    rmSync(join(toy.folder, "data/warehouse.duckdb"));
    await toy.build();
    assert.is(await publishedBatch(toy), 0);
    toy.close();
});

for (const [what, spoil] of [
    ["an export is removed", (folder) => rmSync(join(folder, "exports/first.csv"))],
    ["an export is emptied", (folder) => truncateSync(join(folder, "exports/evens.csv"))],
    ["the warehouse is cut off", (folder) => truncateSync(join(folder, "warehouse.duckdb"), 4096)],
    ["the list of files is emptied", (folder) => truncateSync(join(folder, "exports/publication.json"))],
    ["all publications are removed", (folder) => rmSync(join(folder, "publications"), { recursive: true })],
] satisfies [string, (folder: string) => void][]) {
    test(`publishes again when ${what}, and runs nothing for it`, async () => {
        const toy = toyProject(files);
        await toy.build();
        spoil(join(toy.folder, "data"));
        const { ok, results } = await toy.build();
        assert.ok(ok, toy.said());
        assert.ok(results.every(({ status }) => status === "reused"));
        assert.is(await publishedBatch(toy), 0);
        assert.is((await toy.build()).publication, undefined);
        toy.close();
    });
}

test("says so where something else has taken the place of a link, although nothing is new", async () => {
    const toy = toyProject(files);
    await toy.build();
    rmSync(join(toy.folder, "data/warehouse.duckdb"));
    toy.write("data/warehouse.duckdb", "somebody's own file");
    assert.is((await toy.build()).ok, false);
    assert.match(toy.said(), /warehouse\.duckdb is in the way/);
    toy.close();
});

test("removes a foreign write-ahead log, which would make the new file unreadable", async () => {
    const toy = toyProject(files);
    await toy.build();
    writeFileSync(join(toy.folder, "data/warehouse.duckdb.wal"), "not a log of this file");
    await toy.build({ vars: { batch: 7 } });
    assert.is(await publishedBatch(toy), 7);
    toy.close();
});

test("lets a reader query on through 20 builds: no error, one run at a time", async () => {
    const toy = toyProject(files);
    await toy.build();
    const reader = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, "reader.ts"), toy.folder], {
        cwd: root,
        stdio: ["pipe", "pipe", "inherit"],
    });
    let output = "";
    reader.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    for (let batch = 1; batch <= 20; batch++) assert.ok((await toy.build({ vars: { batch } })).ok);
    reader.stdin.end();
    await new Promise((resolve) => reader.on("close", resolve));
    const { looks, runs, faults } = JSON.parse(output) as { looks: number; runs: number; faults: string[] };
    assert.equal(faults, []);
    assert.ok(looks >= 20, `it looked ${looks} times`);
    assert.ok(runs >= 5, `it saw ${runs} publications`);
    toy.close();
});

/** Starts a build in a process of its own and kills it `delay` ms after it took the lock, or began to publish. */
async function killedBuild(
    toy: Toy,
    batch: number,
    { aimed, delay }: { aimed: boolean; delay: number },
): Promise<number> {
    const vars = JSON.stringify({ batch });
    const args = ["--import", "tsx", "runner/cli.ts", "build", "--project-dir", toy.folder, "--vars", vars];
    const publications = join(toy.folder, "data", "publications");
    const leftByOthers = readdirSync(publications);
    const child = spawn(process.execPath, args, { cwd: root, stdio: "ignore" });
    const closed = new Promise((resolve) => child.on("close", resolve));
    const hasBegun = (): boolean =>
        aimed
            ? readdirSync(publications).some((name) => !leftByOthers.includes(name))
            : readHolder(join(toy.folder, "data", "build.lock"))?.pid === child.pid;
    while (!hasBegun() && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 1));
    const begun = performance.now();
    const timer = setTimeout(() => child.kill("SIGKILL"), delay);
    await closed;
    clearTimeout(timer);
    return performance.now() - begun;
}

test("keeps the publication before, or has the new one, when a build is killed: 20 times", async () => {
    const toy = toyProject(files);
    await toy.build({ vars: { batch: 0 } });
    // How long an undisturbed build takes from each of the two moments: kills are spread over that time.
    const lasts = {
        whole: await killedBuild(toy, 1001, { aimed: false, delay: 60_000 }),
        publication: await killedBuild(toy, 1002, { aimed: true, delay: 60_000 }),
    };
    let standing = 1002;
    const outcomes = { before: 0, after: 0 };
    const next = numbersFromSeed();
    for (let batch = 1; batch <= 20; batch++) {
        const aimed = batch % 2 === 0;
        await killedBuild(toy, batch, {
            aimed,
            delay: next() * 1.25 * (aimed ? lasts.publication : lasts.whole),
        });
        const now = await publishedBatch(toy);
        assert.ok(now === standing || now === batch, `batch ${now} after a build of ${batch} over ${standing}`);
        outcomes[now === batch ? "after" : "before"]++;
        standing = now;
    }
    const spread = JSON.stringify({ outcomes, lasts, seed });
    assert.ok(outcomes.before > 0 && outcomes.after > 0, `kills came too early or too late: ${spread}`);
    assert.ok((await toy.build({ vars: { batch: 99 } })).ok, "the next build needs no help");
    assert.is(await publishedBatch(toy), 99);
    assert.ok(readdirSync(join(toy.folder, "data", "publications")).length <= 2, "nothing is left lying about");
    assert.ok(lstatSync(join(toy.folder, "data", "current")).isSymbolicLink());
    toy.close();
});

test.run();
