import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import * as assert from "uvu/assert";
import { createFile } from "../../common/fresh-file.ts";
import { makeDatabase, readRows } from "../runner/toy.ts";
import { suite } from "../suite.ts";

const test = suite("fresh-file");

async function create(path: string): Promise<void> {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    await createFile(path, { run: (sql) => connection.run(sql), how: "recovery_mode 'no_wal_writes'" });
    connection.closeSync();
    instance.closeSync();
}

test("makes a file that can be opened, and leaves one that is there", async () => {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-it's-"));
    const path = join(folder, "a.duckdb");
    await create(path);
    await makeDatabase(path, "create table t as select 1 as id");
    await create(path);
    assert.equal(await readRows(path, "from t"), [{ id: 1 }]);
    assert.equal(readdirSync(folder), ["a.duckdb"]);
    rmSync(folder, { recursive: true });
});

test("does not take the log of a file that was moved away for its own, nor lose it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-"));
    const path = join(folder, "a.duckdb");
    await makeDatabase(path, "create table t as select 1 as id");
    await makeDatabase(path, "pragma disable_checkpoint_on_shutdown; insert into t values (2)");
    assert.ok(existsSync(`${path}.wal`));
    renameSync(path, `${path}.away`);
    await create(path);
    assert.equal(await readRows(path, "select table_name from duckdb_tables()"), []);
    renameSync(`${path}.away`, path);
    renameSync(`${path}.wal.old`, `${path}.wal`);
    assert.equal(await readRows(path, "from t order by id"), [{ id: 1 }, { id: 2 }]);
    rmSync(folder, { recursive: true });
});

test.run();
