// The table of docs/extract.md is what tests/extract/faults.test.ts runs. UPDATE=1 writes it anew.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { table, works } from "../extract/fault-table.ts";
import { suite } from "../suite.ts";

const test = suite("docs/extract.md");
const file = join(import.meta.dirname, "..", "..", "docs", "extract.md");

test("has the lines of the fault table", () => {
    const lines = table.map(({ what, outcome, exit, requests, works: landed, next = "", says = "" }) =>
        `| ${[what, outcome, exit, requests, landed, next, says].join(" | ")} |`.replace(/\| {2}(?=\|)/g, "| "),
    );
    const text = readFileSync(file, "utf8");
    const head = /^\| what goes wrong.*\n\|(?:---\|)+\n/m.exec(text)?.[0] ?? "";
    const [before, after = ""] = text.split(head);
    if (process.env.UPDATE === "1") {
        writeFileSync(file, `${before}${head}${lines.join("\n")}\n${after.replace(/^(?:\|.*\n)*/, "")}`);
    }
    const [, rest = ""] = readFileSync(file, "utf8").split(head);
    assert.is(rest.split("\n\n")[0]?.trimEnd(), lines.join("\n"), "run with UPDATE=1 to write it anew");
    assert.ok(text.includes(`${works} works on two pages`));
});

test.run();
