import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { debug } from "../../runner/commands/debug.ts";
import { show } from "../../runner/commands/show.ts";
import { suite } from "../suite.ts";
import { toyProject } from "./toy.ts";

const test = suite("open");
const toy = toyProject({ "models/one.sql": "select 1 as one" });
test.before(async () => void (await toy.build()));
test.after(() => toy.close());

const dead = spawnSync(process.execPath, ["-e", ""]).pid;
for (const [who, pid, told] of [
    ["a living process", process.ppid, true],
    ["a dead process", dead, false],
] as const) {
    test(`show and debug ${told ? "tell of" : "are silent about"} a build of ${who}`, async () => {
        const holder = { pid, command: "build", startedAt: "2026-01-01T00:00:00Z" };
        writeFileSync(join(toy.folder, "data", "build.lock"), JSON.stringify(holder));
        const said: string[] = [];
        const output = { out: (text: string) => void said.push(text), note: (text: string) => void said.push(text) };
        await show({ projectDir: toy.folder, select: ["one"], limit: 5, output: "csv" }, output);
        assert.is(said.includes(`"build" is running (process ${pid})`), told);
        assert.ok(await debug({ projectDir: toy.folder }, output));
        assert.is(
            said.some((text) => text.includes(`"build", process ${pid}, since 2026`)),
            told,
        );
    });
}

test.run();
