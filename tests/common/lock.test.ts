import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import * as assert from "uvu/assert";
import { fileHolder, type LockHolder, livingHolder, readHolder, takeLock } from "../../common/lock.ts";
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

for (const content of ["null", "7", '"build"', "{}", '{"pid":0,"command":"build","startedAt":"now"}']) {
    test(`is taken over when it holds ${content}`, () => {
        const path = join(folder, "d.lock");
        writeFileSync(path, content);
        assert.is(readHolder(path), undefined);
        const release = takeLock(path, "build");
        assert.is(readHolder(path)?.pid, process.pid);
        release();
        assert.not(existsSync(path));
    });
}

if (existsSync("/proc/self/stat")) {
    test("is taken over when its process is dead and another has the id now", () => {
        const path = join(folder, "e.lock");
        for (const pid of [process.pid, process.ppid]) {
            const birth = "1";
            writeFileSync(path, JSON.stringify({ pid, command: "build", startedAt: "2026-01-01T00:00:00Z", birth }));
            assert.is(livingHolder(path), undefined);
            const release = takeLock(path, "test");
            assert.is(livingHolder(path)?.command, "test");
            assert.throws(() => takeLock(path, "build"), /"test" is already running/);
            release();
        }
    });
} else test.skip("is taken over when its process is dead and another has the id now", "there is no /proc");

test("is held by another container or machine for as long as it gives signs of life", () => {
    const path = join(folder, "g.lock");
    const far = { pid: process.pid, command: "extract", startedAt: "2026-01-01T00:00:00Z", birth: "1", home: "far" };
    writeFileSync(path, JSON.stringify(far));
    const ago = (seconds: number) => utimesSync(path, new Date(), new Date(Date.now() - seconds * 1_000));
    ago(50);
    assert.throws(
        () => takeLock(path, "test"),
        /"extract" is already running \(process \d+ of another container or machine, started .*\)\. .* for a minute\./,
    );
    ago(61);
    assert.is(livingHolder(path), undefined);
    const release = takeLock(path, "test");
    assert.is(livingHolder(path)?.command, "test");
    // Who was away for too long does not give back what is another's by now.
    rmSync(path);
    writeFileSync(path, JSON.stringify(far));
    release();
    assert.equal(readHolder(path), far);
});

test("is touched by its holder, for those who can't ask whether it lives, and who has lost it is told", async () => {
    const [path, taken] = [join(folder, "h.lock"), join(folder, "i.lock")];
    const release = takeLock(path, "build");
    utimesSync(path, new Date(0), new Date(0));
    const lost: (LockHolder | undefined)[] = [];
    const releaseTaken = takeLock(taken, "build", (holder) => lost.push(holder));
    const other = { pid: 7, command: "extract", startedAt: "2026-01-01T00:00:00Z", home: "far" };
    rmSync(taken);
    writeFileSync(taken, JSON.stringify(other));
    while (statSync(path).mtimeMs === 0 || lost.length === 0) await wait(100);
    assert.ok(Date.now() - statSync(path).mtimeMs < 60_000);
    assert.is(readHolder(path)?.command, "build");
    assert.equal(lost, [other]);
    release();
    releaseTaken();
    assert.not(existsSync(path));
    assert.ok(existsSync(taken));
});

test("goes by the clock of the disk, where that of the machine is another", () => {
    const path = join(folder, "j.lock");
    const far = { pid: 7, command: "extract", startedAt: "2026-01-01T00:00:00Z", home: "far" };
    writeFileSync(path, JSON.stringify(far));
    const { now } = Date;
    Date.now = () => now() + 600_000;
    try {
        assert.throws(() => takeLock(path, "test"), /"extract" is already running/);
    } finally {
        Date.now = now;
    }
});

test("is held by a living process that did not say when it was born", () => {
    const path = join(folder, "f.lock");
    const pid = process.ppid;
    writeFileSync(path, JSON.stringify({ pid, command: "build", startedAt: "2026-01-01T00:00:00Z" }));
    assert.is(livingHolder(path)?.pid, pid);
    assert.throws(() => takeLock(path, "test"), new RegExp(`"build" is already running \\(process ${pid}`));
});

test("names who holds a file, as far as DuckDB knows", () => {
    const said = 'IO Error: Could not set lock on file "a.duckdb": ';
    for (const [what, who] of [
        ["Conflicting lock is held in /usr/bin/node (PID 4711). See also https://x", "process 4711 (/usr/bin/node)"],
        [
            "Conflicting lock is held in /usr/bin/my app (PID 4711) by user ada. See also",
            "process 4711 (/usr/bin/my app)",
        ],
        ["Conflicting lock is held in PID 4711. See also", "process 4711"],
        ["Conflicting lock is held in PID 0. See also", "another process"],
        ["Permission denied", undefined],
    ] as const)
        assert.is(fileHolder(said + what), who);
});

test.run();
