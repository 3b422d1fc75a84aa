// docs/properties.schema.json, which editors read, and the runner say the same of YAML files. UPDATE=1 writes it anew.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toJsonSchema } from "@valibot/to-json-schema";
import { Ajv } from "ajv";
import * as assert from "uvu/assert";
import { parse as parseYaml } from "yaml";
import type { Problem } from "../../runner/problem.ts";
import { fileSchema, readProperties } from "../../runner/properties.ts";
import { suite } from "../suite.ts";

const test = suite("schema");
const root = join(import.meta.dirname, "..", "..");
const schemaFile = join(root, "docs", "properties.schema.json");

const yamlFiles = ["models", "seeds", "macros", "tests"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => /\.ya?ml$/.test(name))
        .map((name) => join(folder, name)),
);

function validator(): (data: unknown) => string[] {
    const ajv = new Ajv({ allErrors: true });
    const validate = ajv.compile(JSON.parse(readFileSync(schemaFile, "utf8")));
    return (data) => {
        validate(data);
        return (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
    };
}

test("is what the validators give", () => {
    const made = {
        $schema: "http://json-schema.org/draft-07/schema#",
        title: "Properties of models, seeds, sources, macros and tests",
        ...toJsonSchema(fileSchema, { typeMode: "input", ignoreActions: ["to_lower_case"] }),
    };
    if (process.env.UPDATE === "1") writeFileSync(schemaFile, `${JSON.stringify(made, null, 4)}\n`);
    assert.equal(JSON.parse(readFileSync(schemaFile, "utf8")), JSON.parse(JSON.stringify(made)));
});

test("takes every YAML file that the runner takes", () => {
    const mistakesIn = validator();
    let taken = 0;
    for (const path of yamlFiles) {
        const text = readFileSync(join(root, path), "utf8");
        const problems: Problem[] = [];
        readProperties({ path, text }, problems);
        if (problems.length > 0) continue;
        assert.equal(mistakesIn(parseYaml(text)), [], path);
        taken++;
    }
    assert.ok(taken >= 10, `${taken} files`);
});

for (const [what, yaml] of [
    ["a misspelt key", "models: [{name: a, descripton: b}]"],
    ["a misspelt setting", "models: [{name: a, config: {materialised: view}}]"],
    ["a materialization that is none", "models: [{name: a, config: {materialized: veiw}}]"],
    ["a column without a name", "models: [{name: a, columns: [{description: b}]}]"],
    ["a unit test without what to expect", "unit_tests: [{name: a, model: b}]"],
] as const) {
    test(`refuses ${what}, as the runner does`, () => {
        const problems: Problem[] = [];
        readProperties({ path: "models/_models.yml", text: yaml }, problems);
        assert.is(problems.length, 1);
        assert.is.not(validator()(parseYaml(yaml)).length, 0);
    });
}

test("is named by each of the project's own YAML files", () => {
    for (const path of yamlFiles.filter((name) => !name.startsWith("tests/projects/"))) {
        const up = path
            .split("/")
            .slice(1)
            .map(() => "..")
            .join("/");
        const [first] = readFileSync(join(root, path), "utf8").split("\n");
        assert.is(first, `# yaml-language-server: $schema=${up}/docs/properties.schema.json`, path);
    }
});

test.run();
