// How DuckDB carries the real models out, where that decides on how much memory a large catalogue takes.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import * as assert from "uvu/assert";
import { suite } from "../suite.ts";
import { inWarehouse, landingRows } from "../warehouse.ts";
import { snapshotOf } from "./catalogues.ts";

const test = suite("models/plans");

test("no model joins its rows to the elements of their lists, which keeps all of them in memory", () =>
    inWarehouse(async (warehouse) => {
        const { docs, authors } = snapshotOf(20, 1);
        const startedAt = "2024-06-01 12:00:00";
        const rows = { subject: "tales", startedAt, pages: [docs], authors: authors as { key: string }[] };
        await warehouse.land(landingRows(rows));
        await warehouse.build();
        const instance = await DuckDBInstance.create(join(warehouse.folder, "data", "work.duckdb"));
        const connection = await instance.connect();
        try {
            await connection.run(`attach '${warehouse.folder}/data/landing.duckdb' as landing (read_only)`);
            const folder = join(warehouse.folder, "artifacts", "dev", "compiled", "models");
            const unnesting: string[] = [];
            const joining: string[] = [];
            for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
                const sql = file.endsWith(".sql") ? readFileSync(join(folder, file), "utf8") : "";
                if (!/\bunnest\(/.test(sql)) continue;
                unnesting.push(file);
                const [plan] = (await connection.runAndReadAll(`explain ${sql}`)).getRows();
                if (/DELIM_JOIN/.test(String(plan?.[1]))) joining.push(file);
            }
            assert.ok(unnesting.length >= 6, `${unnesting}`);
            assert.equal(joining, []);
        } finally {
            connection.closeSync();
            instance.closeSync();
        }
    }));

test.run();
