// What the check says of the real models, before anything is built, is what a build then makes.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { check } from "../../runner/check.ts";
import { compile } from "../../runner/compile.ts";
import { loadProject } from "../../runner/load.ts";
import { openSources } from "../../runner/open.ts";
import { suite } from "../suite.ts";
import { copyProject, inWarehouse, landingRows } from "../warehouse.ts";
import { snapshotOf } from "./catalogues.ts";

const test = suite("models/columns");

/** "table.column type" of every model, as the check finds them. */
async function checked(projectDir: string): Promise<string[]> {
    const { project, graph } = await loadProject({ projectDir });
    const database = await openSources(project);
    try {
        const columns = await check(database, project, {
            ...{ graph, compiled: compile(project, graph), names: project.nodes.keys() },
        });
        return [...project.nodes.values()]
            .filter((node) => node.kind === "model")
            .sort((a, b) => (a.name < b.name ? -1 : 1))
            .flatMap(({ name }) => (columns.get(name) ?? []).map((column) => `${name}.${column.name} ${column.type}`));
    } finally {
        database.close();
    }
}

test("checks every model to the columns and types that it is built with, landed or not", async () => {
    const fresh = mkdtempSync(join(tmpdir(), "shelfmark-fresh-"));
    try {
        copyProject(fresh);
        await inWarehouse(async (warehouse) => {
            const { docs, authors } = snapshotOf(20, 1);
            await warehouse.land(
                landingRows({
                    subject: "tales",
                    startedAt: "2024-06-01 12:00:00",
                    pages: [docs],
                    authors: authors as { key: string }[],
                }),
            );
            await warehouse.build();
            const seeds = "('author_aliases', 'author_kind_words')";
            const rows = await warehouse.workRows(
                `select table_name || '.' || column_name || ' ' || data_type as built from duckdb_columns()
                 where database_name = 'file' and schema_name = 'main' and table_name not in ${seeds}
                 order by table_name, column_index`,
            );
            const built = rows.map((row) => String(row.built));
            assert.ok(built.length > 200);
            assert.equal(await checked(warehouse.folder), built, "on what is landed");
            assert.equal(await checked(fresh), built, "on the types of the YAML");
        });
    } finally {
        rmSync(fresh, { recursive: true });
    }
});

test.run();
