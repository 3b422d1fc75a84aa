// A reader in a process of its own: looks at a project's publication again and again until its input ends, and prints
// how often it looked, the runs that it saw, and everything that was not as it should be.
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";

const folder = process.argv[2] ?? ".";
const path = join(folder, "data", "warehouse.duckdb");
const faults: string[] = [];
const seen = new Set<string>();
let looks = 0;
let ended = false;
process.stdin.on("end", () => (ended = true)).resume();

const question = `
    select (select any_value(run_id) from meta.publication) as run_id, (select count(*) from meta.publication) as publications,
        (select count(distinct batch) from (select batch from first union all select batch from second)) as batches,
        (select count(*) from first) as first_rows, (select count(*) from second) as second_rows`;

/** Opens the file, asks twice with a pause between, and closes: an open file must not change under its reader. */
async function look(): Promise<void> {
    const instance = await DuckDBInstance.create(path, { access_mode: "READ_ONLY" });
    const connection = await instance.connect();
    const answers: string[] = [];
    for (let i = 0; i < 2; i++) {
        const [row] = (await connection.runAndReadAll(question)).getRowObjectsJson();
        answers.push(JSON.stringify(row));
        if (row === undefined || Number(row.batches) !== 1 || Number(row.publications) !== 1) {
            faults.push(`mixed: ${JSON.stringify(row)}`);
        }
        seen.add(String(row?.run_id));
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (answers[0] !== answers[1]) faults.push(`changed under an open reader: ${answers.join(" then ")}`);
    connection.closeSync();
    instance.closeSync();
    // The exports belong to the same publication as the warehouse beside them.
    const publication = realpathSync(join(folder, "data", "current"));
    const { run_id } = JSON.parse(readFileSync(join(publication, "exports", "publication.json"), "utf8"));
    if (!publication.endsWith(run_id)) faults.push(`exports of ${run_id} in ${publication}`);
}

while (!ended) {
    try {
        await look();
        looks++;
    } catch (error) {
        faults.push(String(error));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
}
console.log(JSON.stringify({ looks, runs: seen.size, faults }));
