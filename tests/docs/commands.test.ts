// docs/commands.md and --help say the same, and the README's commands exist.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "../suite.ts";

const test = suite("commands");
const root = join(import.meta.dirname, "..", "..");
const documented = readFileSync(join(root, "docs", "commands.md"), "utf8");

function help(program: string, ...args: string[]): string {
    const { stdout } = spawnSync(process.execPath, ["--import", "tsx", program, ...args, "--help"], {
        encoding: "utf8",
        cwd: root,
    });
    return stdout;
}

/** The text below a heading, up to the next one of that level or above. */
function section(heading: string): string {
    const level = heading.indexOf(" ");
    const [, ...after] = documented.split(`\n${heading}\n`);
    assert.is(after.length, 1, `docs/commands.md has a heading "${heading}"`);
    return (after[0] ?? "").split(new RegExp(`\n#{1,${level}} `))[0] ?? "";
}

function flags(text: string): string[] {
    return [...text.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map((match) => match[0]);
}

/** Both ways: no flag without its line, no line without its flag. */
function compare(name: string, helped: string, text: string): void {
    const known = new Set(flags(helped.replace(/\s+/g, " ")));
    known.delete("--help");
    const described = new Set([...text.matchAll(/^\|[^|]*\|/gm)].flatMap((row) => flags(row[0])));
    assert.equal([...described].sort(), [...known].sort(), name);
}

for (const [heading, program] of [
    ["## extract", "extract/cli.ts"],
    ["## stand-in", "demo/server-cli.ts"],
] as const) {
    test(`describes every flag of ${heading.slice(3)}`, () => {
        const options = help(program).split("Options:")[1] ?? "";
        const own = [...options.matchAll(/^ {2}(--[a-z-]+)/gm)].map((match) => match[1]).join(" ");
        compare(heading, own, section(heading).split("\n### ")[0] ?? "");
    });
}

test("describes every command of extract and its flags", () => {
    const commands = [...help("extract/cli.ts").matchAll(/^ {2}([a-z]+) \[options\]/gm)].map((match) => match[1] ?? "");
    assert.equal(
        commands,
        [...section("## extract").matchAll(/^### (\w+)$/gm)].map((match) => match[1]),
    );
    for (const command of commands) {
        const options = help("extract/cli.ts", command).split("Options:")[1] ?? "";
        const own = [...options.matchAll(/^ {2}(--[a-z-]+)/gm)].map((match) => match[1]).join(" ");
        compare(command, own, section(`### ${command}`));
    }
});

test("describes every command of the runner and its flags", () => {
    const text = section("## models");
    const commands = [...help("runner/cli.ts").matchAll(/^ {2}([a-z]+) \[options\]/gm)].map((match) => match[1] ?? "");
    assert.ok(commands.length >= 9);
    assert.equal(
        commands,
        [...text.matchAll(/^### (\w+)$/gm)].map((match) => match[1]),
    );
    const shared = new Set(
        [...text.slice(0, text.indexOf("### ")).matchAll(/^\|[^|]*\|/gm)].flatMap((row) => flags(row[0])),
    );
    shared.delete("--debug");
    for (const command of commands) {
        const options = help("runner/cli.ts", command);
        const own = [...options.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map((match) => match[1] ?? "");
        const rest = own.filter((flag) => !shared.has(flag));
        compare(command, rest.join(" "), section(`### ${command}`));
        const missing = [...shared].filter((flag) => !own.includes(flag));
        assert.equal(
            missing,
            ["record", "lineage", "clean", "debug", "retry"].includes(command)
                ? ["--select", "--exclude", "--indirect-selection"]
                : [],
            command,
        );
    }
});

test("describes the command below a command", () => {
    const shared = section("## models");
    const options = help("runner/cli.ts", "source", "freshness").split("Options:")[1] ?? "";
    const own = [...options.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map((match) => match[1] ?? "");
    assert.ok(own.length >= 6);
    for (const flag of own.filter((name) => name !== "--help")) {
        assert.ok(shared.slice(0, shared.indexOf("### ")).includes(`\`${flag}`), flag);
    }
    compare("source freshness", "", section("### source freshness"));
});

test("names only scripts that package.json has, and all of them", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
        scripts: Record<string, string>;
    };
    const named = new Set<string>();
    for (const file of ["README.md", "docs/commands.md", "demo/README.md"]) {
        const text = readFileSync(join(root, file), "utf8");
        for (const [, script = ""] of text.matchAll(/npm run (?:-s )?([a-z][a-z-]*)/g)) {
            assert.ok(script in scripts, `${file} names "npm run ${script}"`);
            named.add(script);
        }
    }
    for (const script of Object.keys(scripts))
        assert.ok(documented.includes(`\`${script}\``), `docs/commands.md names ${script}`);
    assert.ok(named.has("extract") && named.has("build-models"));
});

test.run();
