// `dumps-pack.ts <file.gz> <file.zst or file.parquet>` packs lines otherwise; with two of those files it reads them.
import { DuckDBInstance } from "@duckdb/node-api";

const [from = "", to = ""] = process.argv.slice(2);
const lines = (path: string): string =>
    path.endsWith(".parquet")
        ? `'${path}'`
        : `read_csv('${path}', columns = {'line': 'VARCHAR'}, auto_detect = false, header = false, delim = '', quote = '',
            escape = '', new_line = '\\n', strict_mode = false, buffer_size = 8388608, max_line_size = 8388608)`;

const instance = await DuckDBInstance.create(":memory:", { memory_limit: "1GB" });
const connection = await instance.connect();
if (from.endsWith(".gz")) {
    const how = to.endsWith(".parquet")
        ? "format parquet, compression zstd"
        : "format csv, header false, delim '', quote '', escape '', compression zstd";
    await connection.run(`copy (from ${lines(from)}) to '${to}' (${how})`);
} else {
    for (const path of [from, to]) {
        // Something must look at each line's end, or nothing would be read.
        const reader = await connection.runAndReadAll(
            `select count(*) filter (line[-1] = '}') as lines from ${lines(path)}`,
        );
        console.log(String(reader.getRowObjectsJson()[0]?.lines));
    }
}
connection.closeSync();
instance.closeSync();
