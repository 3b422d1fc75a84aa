import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "../suite.ts";

const test = suite("bench");
const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "shelfmark-bench-"));
test.after(() => rmSync(folder, { recursive: true }));

// As small as they go: what is held here is that they run to their end on the project as it is, and not what they measure.
const smallest: Readonly<Record<string, { flags: readonly string[]; last: RegExp }>> = {
    dumps: { flags: ["--scale", "0.0005", "--repeat", "1"], last: /^lines from \.parquet .* lines\/s/m },
    extract: { flags: ["--works", "1200", "--repeat", "1"], last: /^extract \/ loop, whole processes: [\d.]+$/m },
    job: { flags: ["--works", "40", "--repeat", "1"], last: /^landing\.duckdb [\d.]+ MB, /m },
    models: { flags: ["--works", "40", "--repeat", "1", "--sizes", "20"], last: /^dbt left out, there is none\./m },
    pace: { flags: ["--works", "2000", "--pace", "10"], last: /^while work waited .* of the pace was used$/m },
};

test("has a smallest size for each", () => {
    const names = readdirSync(join(root, "bench")).flatMap((file) => /^(.*)\.bench\.ts$/.exec(file)?.[1] ?? []);
    assert.equal(names.sort(), Object.keys(smallest));
});

for (const [name, { flags, last }] of Object.entries(smallest)) {
    test(`measures ${name}`, () => {
        const where = name === "dumps" ? ["--folder", folder] : [];
        const args = ["--import", "tsx", "bench/cli.ts", name, ...flags, ...where];
        const { status, stdout, stderr } = spawnSync(process.execPath, args, {
            cwd: root,
            encoding: "utf8",
            env: { ...process.env, SHELFMARK_DBT: "there-is-no-dbt" },
        });
        assert.is(status, 0, stderr);
        assert.match(stdout, last);
    });
}

test.run();
