import { Writable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import * as assert from "uvu/assert";
import { count, duration, Progress, type Standing } from "../../extract/progress.ts";
import { suite } from "../suite.ts";

const test = suite("progress");

class Screen extends Writable {
    readonly isTTY: boolean;
    text = "";

    constructor(isTTY: boolean) {
        super();
        this.isTTY = isTTY;
    }

    override _write(chunk: Buffer, _encoding: string, done: () => void): void {
        this.text += chunk.toString();
        done();
    }
}

test("writes the first and the last line where there is no terminal", () => {
    const screen = new Screen(false);
    let standing: Standing | undefined;
    const unfollow = new Progress(screen).follow("extract x", () => standing);
    standing = { what: "works", done: 2_000, total: 19_353, requests: 4 };
    unfollow();
    assert.is(screen.text, "extract x: asking how many works there are\nextract x: 2,000 of 19,353 works\n");
});

test("writes one line again and again on a terminal, and clears it for what else there is to say", async () => {
    const screen = new Screen(true);
    const progress = new Progress(screen);
    const standing: Standing = { what: "works", done: 1, total: 3, requests: 1 };
    const unfollow = progress.follow("extract x", () => standing);
    progress.say("look");
    await wait(250);
    unfollow();
    progress.say("done");
    const line = "\r\x1b[2Kextract x: 1 of 3 works";
    assert.ok(screen.text.startsWith(`${line}\r\x1b[2Kextract x: look\n${line}`));
    assert.ok(screen.text.endsWith("\r\x1b[2Kextract x: 1 of 3 works\nextract: done\n"));
    assert.is(screen.text.split("\n").length, 4);
});

test("tells requests a second and the time left", async () => {
    const screen = new Screen(false);
    let standing: Standing = { what: "works", done: 1_000, total: 9_000, requests: 10 };
    const unfollow = new Progress(screen).follow("extract x", () => standing);
    await wait(1_010);
    standing = { what: "works", done: 5_000, total: 9_000, requests: 14 };
    unfollow();
    assert.match(screen.text, /\nextract x: 5,000 of 9,000 works, (4\.0|3\.\d) requests\/s, 1 s left\n$/);
});

test("writes numbers and times for people", () => {
    assert.equal(
        [count(19_353), duration(0.4), duration(96.2), duration(599), duration(7_260)],
        ["19,353", "0 s", "96 s", "599 s", "121 min"],
    );
});

test.run();
