import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { catalogueOf, readCatalogue } from "../../demo/catalogue-file.ts";
import { generate } from "../../demo/generator.ts";
import { suite } from "../suite.ts";

const test = suite("demo/server-cli");
const folder = mkdtempSync(join(tmpdir(), "shelfmark-stand-in-"));
test.after(() => rmSync(folder, { recursive: true }));

function start(...args: string[]): ChildProcess {
    const cli = join(import.meta.dirname, "..", "..", "demo", "server-cli.ts");
    return spawn(process.execPath, ["--import", "tsx", cli, ...args], { stdio: ["ignore", "pipe", "pipe"] });
}

async function run(...args: string[]): Promise<{ code: number | null; output: string }> {
    const child = start(...args);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (text) => (output += text));
    const [code] = await once(child, "close");
    return { code, output };
}

/** Waits for the third line, with which the stand-in serves. It is read on: who writes to nobody ends. */
function firstLines(child: ChildProcess): Promise<string[]> {
    let output = "";
    return new Promise((resolve) => {
        child.stdout?.on("data", (text) => {
            output += text;
            if (output.split("\n").length > 3) resolve(output.split("\n"));
        });
        child.on("close", () => resolve(output.split("\n")));
    });
}

test("says what it is not, serves until it is interrupted, and then ends", async () => {
    const plan = join(folder, "plan.json");
    writeFileSync(plan, '[{ "route": "search", "from": 2, "fault": 503 }]');
    const child = start("--generate", "50", "--seed", "3", "--subject", "baking", "--rate-limit", "--faults", plan);
    try {
        const [title, url = "", counts = ""] = await firstLines(child);
        assert.is(title, "This is a stand-in for Open Library and NOT openlibrary.org.");
        assert.match(counts, /^50 works, \d+ author documents\./);
        const get = () =>
            fetch(`${url}/search.json?q=subject_key:baking&limit=0`, {
                headers: { "User-Agent": "tests (a@example.org)" },
            });
        assert.match(await (await get()).text(), /^\{"numFound":50,/);
        assert.is((await get()).status, 503);
    } finally {
        child.kill("SIGINT");
    }
    const [code] = await once(child, "close");
    assert.is(code, 0);
});

test("writes a made-up catalogue that reads back as it was made", async () => {
    const file = join(folder, "made.ndjson");
    const { code, output } = await run("--generate", "300", "--seed", "9", "--write", file);
    assert.is(code, 0, output);
    assert.equal(readCatalogue([file]), catalogueOf(generate({ works: 300, seed: 9 })));
});

test("tells a person what to mend, without a stack", async () => {
    const faults: [string[], RegExp][] = [
        [["--catalogue", join(folder, "none")], /none {2}no such catalogue file or folder\n$/],
        [["--write", join(folder, "x.ndjson")], /^--write writes what --generate makes up/],
        [["--generate", "1", "--subject", "Sci Fi"], /^the subject is "Sci Fi"; expected a subject key/],
        [["--faults", join(folder, "none.json")], /none\.json {2}can't be read as JSON: ENOENT/],
        [["--port", "x"], /expected a whole number/],
    ];
    await Promise.all(
        faults.map(async ([args, pattern]) => {
            const { code, output } = await run(...args);
            assert.is(code, 1);
            assert.match(output, pattern);
            assert.not.match(output, / at /);
        }),
    );
});

test.run();
