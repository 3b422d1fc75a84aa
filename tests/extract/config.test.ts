import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { loadSettings, type Overrides } from "../../extract/config.ts";
import { suite } from "../suite.ts";
import { failsWith, writeProject } from "./scene.ts";

const test = suite("config");

async function load(config: object, overrides: Overrides = {}) {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-config-"));
    try {
        writeProject(folder, config);
        const settings = await loadSettings(folder, overrides);
        return { ...settings, landing: settings.landing.replace(folder, ".") };
    } finally {
        rmSync(folder, { recursive: true });
    }
}

test("takes from pipeline.config.ts and the target what the command line does not say", async () => {
    const config = { contact: "a@b.example", subjects: ["baking"] };
    assert.equal(await load(config), {
        contact: "a@b.example",
        subjects: ["baking"],
        baseUrl: "https://openlibrary.org",
        authorsMaxAge: 7,
        landing: "./data/landing.duckdb",
    });
    const given = {
        ...{ contact: "https://c.example", subjects: ["bread"], baseUrl: "http://127.0.0.1:8080/" },
        authorsMaxAge: 0,
    };
    const overridden = await load(config, given);
    assert.equal(overridden, { ...given, baseUrl: "http://127.0.0.1:8080", landing: "./data/landing.duckdb" });
});

test("reads the project's own configuration", async () => {
    const settings = await loadSettings(join(import.meta.dirname, "..", ".."), { contact: "a@b.example" });
    assert.equal(settings.subjects, ["science_fiction"]);
});

test("says where to put a contact when there is none", () =>
    failsWith(
        load({ contact: " ", subjects: ["baking"] }),
        "Open Library asks every program for a contact: put your e-mail address or a URL in pipeline.config.ts under " +
            "extract.contact, or with --contact you@example.org",
    ));

test("refuses a contact that is neither an e-mail address nor a URL, and lists what else is wrong", () =>
    failsWith(
        load({ contact: "me" }, { baseUrl: "openlibrary.org" }),
        /^the contact is "me"; expected an e-mail address or a URL, .*\nno subject to extract; .*\nthe base URL is "openlibrary.org"; .*$/,
    ));

test("refuses a contact that no header can carry", () =>
    failsWith(load({ contact: "jürgen@example.org", subjects: ["x"] }), /a User-Agent can only carry ASCII/));

test("suggests the nearest name for an unknown key", () =>
    failsWith(
        load({ contcat: "a@b.example", subjects: "baking" }),
        'pipeline.config.ts  extract.subjects is "baking"; expected an array\n' +
            'pipeline.config.ts  unknown key "extract.contcat". Did you mean "contact"?',
    ));

test("suggests the nearest target", () =>
    failsWith(
        load({ contact: "a@b.example" }, { target: "dve" }),
        'unknown target "dve": there is no targets/dve.ts. Did you mean "dev"?',
    ));

test("says what a target lacks, and when a file can't be read", async () => {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-config-"));
    await failsWith(loadSettings(folder, {}), `no pipeline.config.ts in ${folder}; run in the project folder`);
    writeProject(folder, {});
    writeFileSync(join(folder, "targets", "bare.ts"), 'export default { folder: "data", attach: {} };');
    const bare = loadSettings(folder, { target: "bare" });
    await failsWith(bare, "targets/bare.ts  attach.landing is missing");
    writeFileSync(join(folder, "targets", "broken.ts"), "export default {");
    await failsWith(loadSettings(folder, { target: "broken" }), /^targets\/broken.ts can't be loaded: /);
    rmSync(folder, { recursive: true });
});

test.run();
