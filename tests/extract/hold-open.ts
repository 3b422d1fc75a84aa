import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { atCleanUp } from "./scene.ts";

const script = `
import { DuckDBInstance } from "@duckdb/node-api";
const instance = await DuckDBInstance.create(":memory:");
const connection = await instance.connect();
await connection.run("attach '" + process.argv[1] + "' as landing (read_only)");
// What nobody refers to is collected, and closes its files.
globalThis.held = [instance, connection];
console.log("open");
process.stdin.resume();
process.stdin.on("end", () => process.exit());
`;

/** Has another process read a DuckDB file, as a build does, until it is released. */
export async function holdOpen(file: string): Promise<{ readonly pid: number; release(): Promise<void> }> {
    const child = spawn(process.execPath, ["--input-type=module", "-e", script, file], {
        cwd: join(import.meta.dirname, "..", ".."),
        stdio: ["pipe", "pipe", "inherit"],
    });
    atCleanUp(() => child.kill("SIGKILL"));
    await once(child.stdout, "data");
    const ended = once(child, "close");
    return {
        pid: child.pid ?? 0,
        release: async () => {
            child.stdin.end();
            await ended;
        },
    };
}
