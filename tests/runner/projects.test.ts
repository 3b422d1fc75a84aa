// Whole projects, each broken in one way: tests/projects/<case>/ with what `build` says in expected/output.txt.
// UPDATE=1 writes what it says now; read the difference before you commit it.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "../suite.ts";

const test = suite("projects");
const root = join(import.meta.dirname, "..", "..");
const cases = join(root, "tests", "projects");

/** Times and run ids differ from run to run. */
function masked(output: string): string {
    return output.replace(/\d+\.\d+ s\b/g, "N s").replace(/\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{4}/g, "RUN");
}

for (const name of readdirSync(cases).sort()) {
    test(`says what is wrong and where: ${name}`, () => {
        const folder = mkdtempSync(join(tmpdir(), "shelfmark-case-"));
        try {
            cpSync(join(cases, name), folder, { recursive: true });
            const args = ["--import", "tsx", join(root, "runner", "cli.ts"), "build", "--project-dir", folder];
            const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", cwd: root });
            const output = masked(`${stdout}${stderr}exit ${status}\n`);
            const file = join(cases, name, "expected", "output.txt");
            if (process.env.UPDATE === "1") {
                mkdirSync(join(cases, name, "expected"), { recursive: true });
                writeFileSync(file, output);
            }
            assert.fixture(output, readFileSync(file, "utf8"));
            assert.is(existsSync(join(folder, "data", "warehouse.duckdb")), false, "nothing is published");
            if (!output.includes("Checked")) {
                assert.is(existsSync(join(folder, "data", "work.duckdb")), false, "the work file is not touched");
            }
        } finally {
            rmSync(folder, { recursive: true });
        }
    });
}

test.run();
