import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { catalogueOf, readCatalogue } from "../../demo/catalogue-file.ts";
import { rates } from "../../demo/generator/rates.ts";
import { suite } from "../suite.ts";

const test = suite("demo/README.md");
const demo = join(import.meta.dirname, "..", "..", "demo");
const readme = readFileSync(join(demo, "README.md"), "utf8");

test("states every share of the generator as it is", () => {
    for (const [name, share] of Object.entries(rates)) {
        const row = `| \`${name}\` | ${Number((share * 100).toFixed(2))} % |`;
        assert.ok(readme.includes(row), row);
    }
});

test("names every option of the command", () => {
    const source = readFileSync(join(demo, "server-cli.ts"), "utf8");
    const options = [...source.matchAll(/\.option\("(--[\w-]+[^"]*)"/g)].map(([, option = ""]) => option);
    assert.ok(options.length >= 8);
    for (const option of options) assert.ok(readme.includes(`| \`${option}\` |`), option);
});

test("shows records that the catalogue form allows", () => {
    const examples = readme.match(/^ {4}\{"key".*$/gm) ?? [];
    assert.is(examples.length, 2);
    const { works, documents } = catalogueOf(examples.map((line) => JSON.parse(line)));
    assert.is(works.length + documents.size, 2);
});

test("describes the catalogue that is in the repository", () => {
    const { works, bySubject } = readCatalogue([join(demo, "catalogue")]);
    assert.ok(works.length > 0);
    assert.ok(bySubject.subject.size > 0);
});

test.run();
