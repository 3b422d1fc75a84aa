import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { takeLock } from "../../../common/lock.ts";
import { type WatchOptions, watch } from "../../../runner/commands/watch.ts";
import { suite } from "../../suite.ts";
import { makeDatabase, type Toy, toyProject } from "../toy.ts";

const test = suite("watch");
const root = join(import.meta.dirname, "..", "..", "..");

const files = {
    "seeds/s.csv": "id\n1\n2\n",
    "models/a.sql": "select id from {{ref.s}}",
    "models/b.sql": "select id + 1 as next from {{ref.a}}",
    "models/_models.yml":
        "models: [{name: a, config: {unique_key: id}, columns: [{name: id, data_tests: [unique]}]}, {name: b}]",
};

/** What a watch has said, and what it says next. */
class Listener {
    private said = "";
    private read = 0;
    private readonly waiting = new Set<() => void>();

    add(text: string): void {
        this.said += text;
        for (const look of this.waiting) look();
    }

    /** All that was said up to the next match, and it. */
    until(pattern: RegExp): Promise<string> {
        return new Promise((done, failed) => {
            const timer = setTimeout(() => {
                this.waiting.delete(look);
                failed(new Error(`never said ${pattern}:\n${this.said}`));
            }, 60_000);
            const look = (): void => {
                const match = pattern.exec(this.said.slice(this.read));
                if (match === null) return;
                const text = this.said.slice(this.read, this.read + match.index + match[0].length);
                this.read += text.length;
                clearTimeout(timer);
                this.waiting.delete(look);
                done(text);
            };
            this.waiting.add(look);
            look();
        });
    }

    /** What came of the next change. */
    async verdict(): Promise<string> {
        const text = await this.until(/^(published {2}.*|Nothing to do)\n/m);
        return text.replace(/\n{2,}/g, "\n").trim();
    }

    /** What was said and nobody has asked for. */
    rest(): string {
        return this.said.slice(this.read).trim();
    }
}

interface Watched {
    readonly listener: Listener;
    end(): Promise<void>;
}

/** A watch in this process, idle after its first build. */
async function watching(toy: Toy, options: Partial<WatchOptions> = {}): Promise<Watched> {
    const listener = new Listener();
    const say = (text: string): void => listener.add(`${text}\n`);
    const ending = new AbortController();
    const watched = watch({ projectDir: toy.folder, signal: ending.signal, ...options }, { out: say, note: say });
    await listener.until(/Watching for changes.*\n/);
    return {
        listener,
        end: async () => {
            ending.abort();
            await watched;
        },
    };
}

/** Runs `work` beside a watch on a toy project. */
async function withWatch(
    toyFiles: Readonly<Record<string, string>>,
    work: (toy: Toy, listener: Listener) => Promise<void>,
    options: Partial<WatchOptions> = {},
): Promise<void> {
    const toy = toyProject(toyFiles);
    try {
        const { listener, end } = await watching(toy, options);
        try {
            await work(toy, listener);
        } finally {
            await end();
        }
    } finally {
        toy.close();
    }
}

test("builds what a saved file changes, runs its tests and publishes", () =>
    withWatch(files, async (toy, listener) => {
        assert.equal(await toy.rows("from b order by all"), [{ next: "2" }, { next: "3" }]);
        toy.write("models/a.sql", "select id * 10 as id from {{ref.s}}");
        const lines = (await listener.verdict()).split("\n");
        assert.match(lines[0] ?? "", /^\d\d:\d\d:\d\d {2}models\/a\.sql$/);
        assert.match(lines[1] ?? "", /^checked {4}4 nodes in \d+ ms$/);
        assert.is(lines[2], "ran        a (2 rows), b (2 rows)");
        assert.is(lines[3], "tests      1 pass");
        assert.match(lines[4] ?? "", /^published {2}3 tables and 0 files, run \S+, [\d.]+ s$/);
        assert.is(lines.length, 5);
        assert.equal(await toy.rows("from b order by all"), [{ next: "11" }, { next: "21" }]);
    }));

test("tells mistakes as a build does, runs nothing, and goes on when they are mended", () =>
    withWatch(files, async (toy, listener) => {
        toy.write("models/a.sql", "select idd as id from {{ref.s}}");
        const unknown = await listener.verdict();
        assert.match(unknown, 'models/a.sql:1:8  unknown column "idd". Did you mean "id"?');
        assert.match(unknown, /published {2}nothing, what people read is as it was$/);
        toy.write("models/a.sql", "select {{ref.s");
        assert.match(await listener.verdict(), /models\/a\.sql:1:\d+ {2}/);
        toy.write("models/_models.yml", "models: [{name: a");
        assert.match(await listener.verdict(), /models\/_models\.yml:/);
        toy.write("models/_models.yml", files["models/_models.yml"]);
        await listener.verdict();
        toy.write("models/a.sql", "select id + 5 as id from {{ref.s}}");
        assert.match(await listener.verdict(), "ran        a (2 rows), b (2 rows)");
        assert.equal(await toy.rows("from b order by all"), [{ next: "7" }, { next: "8" }]);
    }));

test("publishes nothing while a test fails", () =>
    withWatch(files, async (toy, listener) => {
        toy.write("models/a.sql", "select 1 as id from {{ref.s}}");
        const text = await listener.verdict();
        assert.match(text, "tests      1 fail");
        assert.match(text, "FAIL unique_a_id");
        assert.match(text, /published {2}nothing, what people read is as it was$/);
        // Nothing is published either by what runs well beside it.
        toy.write("models/c.sql", "select 3 as three");
        assert.match(await listener.verdict(), "published  nothing, what people read is as it was");
        assert.equal(await toy.rows("from b order by all"), [{ next: "2" }, { next: "3" }]);
        toy.write("models/a.sql", files["models/a.sql"]);
        assert.match(await listener.verdict(), /published {2}4 tables/);
    }));

test("runs unit tests of what has changed", () =>
    withWatch(
        {
            ...files,
            "models/_units.yml":
                "unit_tests: [{name: adds_one, model: b, given: [{input: ref('a'), rows: [{id: 4}]}], expect: {rows: [{next: 5}]}}]",
        },
        async (toy, listener) => {
            toy.write("models/b.sql", "select id + 2 as next from {{ref.a}}");
            assert.match(await listener.verdict(), 'unit test "adds_one": the rows differ');
            toy.write("models/b.sql", "select 1 + id as next from {{ref.a}}");
            assert.match(await listener.verdict(), /checked {4}4 nodes and 1 unit test in \d+ ms/);
        },
    ));

test("sees files come, go and get other names", () =>
    withWatch(files, async (toy, listener) => {
        toy.write("models/marts/c.sql", "select count(*) as n from {{ref.b}}");
        assert.match(await listener.verdict(), /models\/marts\/c\.sql\n[\s\S]*ran {8}c \(1 row\)/);
        rmSync(join(toy.folder, "models/marts"), { recursive: true });
        assert.match(await listener.verdict(), "models/marts/c.sql (removed)");
        assert.equal(await toy.rows("select count(*) as n from duckdb_tables() where table_name = 'c'"), [{ n: "0" }]);
        rmSync(join(toy.folder, "models/a.sql"));
        assert.match(await listener.verdict(), 'models/b.sql:1:28  unknown ref "a"');
        toy.write("models/a.sql", "select id + 7 as id from {{ref.s}}");
        assert.match(await listener.verdict(), "ran        a (2 rows), b (2 rows)");
        renameSync(join(toy.folder, "models/b.sql"), join(toy.folder, "models/d.sql"));
        toy.write("models/_models.yml", files["models/_models.yml"].replace("name: b", "name: d"));
        const renamed = await listener.verdict();
        assert.match(renamed, "models/_models.yml, models/b.sql (removed), models/d.sql");
        assert.match(renamed, "ran        d (2 rows)");
        assert.equal(await toy.rows("from d order by all"), [{ next: "9" }, { next: "10" }]);
    }));

test("survives that the folder of the models is away for a while", () =>
    withWatch(files, async (toy, listener) => {
        renameSync(join(toy.folder, "models"), join(toy.folder, "aside"));
        await listener.verdict();
        renameSync(join(toy.folder, "aside"), join(toy.folder, "models"));
        await listener.until(/models\/b\.sql[\s\S]*^published {2}3 tables.*\n/m);
        toy.write("models/b.sql", "select id + 3 as next from {{ref.a}}");
        assert.match(await listener.verdict(), "ran        b (2 rows)");
    }));

test("sees editors that write a file beside it and move that over it", () =>
    withWatch(files, async (toy, listener) => {
        for (const added of [4, 5, 6]) {
            writeFileSync(join(toy.folder, "models/.b.sql.tmp"), `select id + ${added} as next from {{ref.a}}`);
            renameSync(join(toy.folder, "models/.b.sql.tmp"), join(toy.folder, "models/b.sql"));
            assert.match(await listener.verdict(), /models\/b\.sql\n/);
            assert.equal(await toy.rows("select min(next) as n from b"), [{ n: String(1 + added) }]);
        }
        // Others move the old one away first, and keep a link to nowhere beside what they have open.
        symlinkSync("nowhere", join(toy.folder, "models/.#b.sql"));
        renameSync(join(toy.folder, "models/b.sql"), join(toy.folder, "models/b.sql~"));
        toy.write("models/b.sql", "select id + 9 as next from {{ref.a}}");
        assert.match(await listener.verdict(), "ran        b (2 rows)");
        assert.equal(await toy.rows("select min(next) as n from b"), [{ n: "10" }]);
    }));

test("takes two saves at once for one change, and one during a run for the next", () =>
    withWatch(files, async (toy, listener) => {
        toy.write("models/a.sql", "select id + 1 as id from {{ref.s}}");
        toy.write("models/b.sql", "select id + 1 as next, 'new' as word from {{ref.a}}");
        assert.match(await listener.verdict(), "models/a.sql, models/b.sql\n");
        toy.write("models/a.sql", "select id + 2 as id from {{ref.s}}");
        // What is to be built is settled when it is said.
        await listener.until(/models\/a\.sql\n/);
        toy.write("models/b.sql", "select id + 2 as next from {{ref.a}}");
        await listener.verdict();
        assert.match(await listener.verdict(), "models/b.sql\n");
        assert.equal(await toy.rows("select min(next) as n from b"), [{ n: "5" }]);
        assert.is(listener.rest(), "");
    }));

test("reads pipeline.config.ts and the target anew", () =>
    withWatch(
        {
            ...files,
            "models/b.sql": "select {{vars.batch}} as batch",
            "targets/dev.ts": 'export default { folder: "data" };',
        },
        async (toy, listener) => {
            const config = (text: string): string => `export default { name: "toy", ${text} };`;
            const settings = 'models: { materialized: "table" }';
            toy.write("shared.ts", "export const batch: number = 8;");
            toy.write(
                "pipeline.config.ts",
                `import { batch } from "./shared.ts";\n${config(`vars: { batch }, ${settings}`)}`,
            );
            assert.match(await listener.verdict(), "ran        b (1 row)");
            assert.equal(await toy.rows("from b"), [{ batch: 8 }]);
            toy.write("pipeline.config.ts", "export default {");
            assert.match(await listener.verdict(), /pipeline\.config\.ts {2}[\s\S]*published {2}nothing, what/);
            toy.write("pipeline.config.ts", config(`vars: { batch: 9 }, ${settings}`));
            await listener.verdict();
            assert.equal(await toy.rows("from b"), [{ batch: 9 }]);
            toy.write("targets/dev.ts", 'export default { folder: "elsewhere", vars: { batch: 10 } };');
            assert.match(await listener.verdict(), "targets/dev.ts\n");
            assert.equal(await toy.rows("from b", "elsewhere/warehouse.duckdb"), [{ batch: 10 }]);
        },
    ));

test("begins with a project that can't be read", () =>
    withWatch({ ...files, "models/_models.yml": "models: [{name: a" }, async (toy, listener) => {
        toy.write("models/_models.yml", files["models/_models.yml"]);
        assert.match(await listener.verdict(), "published  3 tables");
    }));

test("publishes nothing with --no-publish, and takes only what is selected", () =>
    withWatch(
        files,
        async (toy, listener) => {
            toy.write("models/a.sql", "select id + 2 as id from {{ref.s}}");
            const text = await listener.verdict();
            assert.match(text, "ran        a (2 rows)\n");
            assert.match(text, "published  nothing: --no-publish");
            assert.not.ok(existsSync(join(toy.folder, "data", "warehouse.duckdb")));
        },
        { keepsPublication: true, select: ["+a"] },
    ));

const landed = {
    "models/_sources.yml":
        "sources: [{name: raw, database: landing, schema: main, tables: [{name: t, columns: [{name: id, data_type: integer}]}]}]",
    "models/a.sql": "select id from {{source.raw.t}}",
    "targets/dev.ts": 'export default { folder: "data", attach: { landing: "landed/landing.duckdb" } };',
};

/** Runs a statement on a file in a process of its own, which must get it for writing at once. */
function writeElsewhere(path: string, sql: string): void {
    const script = `import { DuckDBInstance } from "@duckdb/node-api";
        const instance = await DuckDBInstance.create(process.argv[1]);
        await (await instance.connect()).run(process.argv[2]);
        instance.closeSync();`;
    const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script, path, sql], {
        encoding: "utf8",
        cwd: root,
    });
    assert.is(status, 0, stderr);
}

test("keeps no file while it is idle, and builds what was landed by others", () =>
    withWatch(landed, async (toy, listener) => {
        const landing = join(toy.folder, "landed/landing.duckdb");
        mkdirSync(join(toy.folder, "landed"));
        await makeDatabase(join(toy.folder, "new.duckdb"), "create table t as select 1 as id");
        renameSync(join(toy.folder, "new.duckdb"), landing);
        assert.match(await listener.verdict(), /landed\/landing\.duckdb[\s\S]*ran {8}a \(1 row\)/);
        assert.not.ok(existsSync(join(toy.folder, "data", "build.lock")));
        writeElsewhere(join(toy.folder, "data/work.duckdb"), "create table main.other as select 1 as one");
        writeElsewhere(landing, "insert into t values (2)");
        assert.match(await listener.verdict(), "ran        a (2 rows)");
        // A mistake leaves no file open either.
        toy.write("models/a.sql", "select idd from {{source.raw.t}}");
        assert.match(await listener.verdict(), 'unknown column "idd"');
        writeElsewhere(join(toy.folder, "data/work.duckdb"), "create table main.another as select 1 as one");
        writeElsewhere(landing, "alter table t add column idd integer");
        assert.match(await listener.verdict(), "ran        a (2 rows)");
    }));

test("waits for a build of another process", () =>
    withWatch(files, async (toy, listener) => {
        const release = takeLock(join(toy.folder, "data", "build.lock"), "build");
        toy.write("models/b.sql", "select id + 2 as next from {{ref.a}}");
        await listener.until(/"build" is running \(process \d+\); waiting for it\n/);
        release();
        assert.match(await listener.verdict(), "ran        b (2 rows)");
    }));

test("ends at once when the command line is wrong or the folder is no project", async () => {
    const toy = toyProject(files);
    const refusal = async (options: Partial<WatchOptions>): Promise<string> => {
        try {
            const say = (): void => undefined;
            await watch(
                { projectDir: toy.folder, signal: AbortSignal.timeout(60_000), ...options },
                { out: say, note: say },
            );
            return "watches";
        } catch (error) {
            return error instanceof Error ? error.message : String(error);
        }
    };
    assert.match(await refusal({ target: "prod" }), 'unknown target "prod"');
    assert.match(await refusal({ vars: { btach: 1 } }), 'unknown var "btach"');
    assert.match(await refusal({ projectDir: join(toy.folder, "models") }), "pipeline.config.ts is not in");
    toy.close();
});

/** A watch in a process of its own. */
function spawnWatch(toy: Toy): { listener: Listener; interrupt(): void; exit: Promise<number | null> } {
    const cli = ["--import", "tsx", join(root, "runner", "cli.ts"), "watch", "--project-dir", toy.folder];
    const child = spawn(process.execPath, cli, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    const listener = new Listener();
    child.stdout.setEncoding("utf8").on("data", (text: string) => listener.add(text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => listener.add(text));
    const exit = new Promise<number | null>((done) => child.on("close", done));
    return { listener, interrupt: () => void child.kill("SIGINT"), exit };
}

test("ends quietly when it is interrupted while idle", async () => {
    const toy = toyProject(files);
    const { listener, interrupt, exit } = spawnWatch(toy);
    await listener.until(/Watching for changes.*\n/);
    interrupt();
    assert.is(await exit, 0);
    assert.is(listener.rest(), "");
    toy.close();
});

test("is interrupted in a build as a build is", async () => {
    const toy = toyProject(files);
    const { listener, interrupt, exit } = spawnWatch(toy);
    await listener.until(/Watching for changes.*\n/);
    toy.write("models/b.sql", "select count(*) as next from range(30000000000) as r(i) where hash(i) % 7 = 0");
    // Its SQL is compiled, and so the build has begun.
    const compiled = join(toy.folder, "artifacts/dev/compiled/models/b.sql");
    await listener.until(/models\/b\.sql\n/);
    assert.ok(existsSync(compiled));
    while (!existsSync(join(toy.folder, "data", "build.lock"))) await new Promise((done) => setTimeout(done, 20));
    interrupt();
    assert.is(await exit, 2);
    assert.match(listener.rest(), /interrupted.*What people read is as it was$/);
    assert.not.ok(existsSync(join(toy.folder, "data", "build.lock")));
    assert.equal(await toy.rows("from b order by all"), [{ next: "2" }, { next: "3" }]);
    toy.close();
});

test.run();
