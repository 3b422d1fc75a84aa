// The least that a build of the same results can do: sends SQL to DuckDB, one statement after the other on one connection.
// The file that it is given holds the statements by step; prints JSON, the seconds that each step took.
import { readFileSync } from "node:fs";
import { DuckDBInstance } from "@duckdb/node-api";

const steps = JSON.parse(readFileSync(process.argv[2], "utf8"));
const seconds = {};
const instance = await DuckDBInstance.create(":memory:");
const connection = await instance.connect();
for (const [step, statements] of Object.entries(steps)) {
    const started = performance.now();
    for (const statement of statements) await connection.run(statement);
    seconds[step] = (performance.now() - started) / 1000;
}
connection.closeSync();
instance.closeSync();
console.log(JSON.stringify(seconds));
