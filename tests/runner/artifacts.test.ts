import { existsSync, readFileSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { writeCompiled } from "../../runner/artifacts.ts";
import { compile } from "../../runner/compile.ts";
import { loadProject } from "../../runner/load.ts";
import { suite } from "../suite.ts";
import { toyProject } from "./toy.ts";

const test = suite("artifacts");

test("writes the SQL that changed, leaves the rest, and removes that of nodes that are gone", async () => {
    const toy = toyProject({
        "models/deep/a.sql": "select 1 as id",
        "models/b.sql": "select id from {{ref.a}}",
        "models/_models.yml": "models: [{name: b, columns: [{name: id, data_tests: [unique]}]}]",
    });
    const write = async (): Promise<void> => {
        const { project, graph } = await loadProject({ projectDir: toy.folder });
        writeCompiled(project, graph, compile(project, graph));
    };
    const path = (name: string): string => join(toy.folder, "artifacts/dev/compiled", name);
    await write();
    assert.is(readFileSync(path("models/b.sql"), "utf8"), "select id from main.a\n");
    assert.ok(existsSync(path("tests/unique_b_id.sql")));
    for (const file of ["models/deep/a.sql", "models/b.sql"]) utimesSync(path(file), 1, 1);
    toy.write("models/b.sql", "select id + 1 as id from {{ref.a}}");
    toy.write("models/_models.yml", "models: [{name: b}]");
    await write();
    assert.is(readFileSync(path("models/b.sql"), "utf8"), "select id + 1 as id from main.a\n");
    assert.is(statSync(path("models/deep/a.sql")).mtimeMs, 1000);
    assert.not.ok(existsSync(path("tests/unique_b_id.sql")));
    toy.close();
});

test.run();
