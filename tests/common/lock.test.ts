import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { readHolder, takeLock } from "../../common/lock.ts";
import { suite } from "../suite.ts";

const test = suite("lock");
let folder = "";
test.before(() => {
    folder = mkdtempSync(join(tmpdir(), "shelfmark-lock-"));
});
test.after(() => rmSync(folder, { recursive: true }));

test("is held until it is given back, and names its holder", () => {
    const path = join(folder, "deep", "a.lock");
    const release = takeLock(path, "build");
    assert.is(readHolder(path)?.command, "build");
    assert.throws(
        () => takeLock(path, "test"),
        new RegExp(`"build" is already running \\(process ${process.pid}, started 20`),
    );
    release();
    assert.not(existsSync(path));
    takeLock(path, "test")();
});

test("is taken over from a process that is dead", () => {
    const path = join(folder, "b.lock");
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    writeFileSync(path, JSON.stringify({ pid, command: "build", startedAt: "2026-01-01T00:00:00Z" }));
    const release = takeLock(path, "build");
    assert.is(readHolder(path)?.pid, process.pid);
    release();
});

test("is taken over when its file can't be read as one", () => {
    const path = join(folder, "c.lock");
    writeFileSync(path, "");
    takeLock(path, "build")();
    assert.equal(
        readdirSync(folder).filter((name) => name.startsWith("c.lock")),
        [],
    );
});

test.run();
