import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { PipelineError } from "../common/errors.ts";
import { type Database, identifier, literal } from "./duckdb.ts";
import type { Export, Model, Seed } from "./nodes.ts";

export interface ExportedFile {
    /** Relative to the folder of the exports, with "/" between folders. */
    readonly file: string;
    readonly rows: number;
    readonly bytes: number;
    readonly sha256: string;
}

/** JSON is an object a line, which is not what a reader of `.json` expects. */
const endings = { csv: "csv", parquet: "parquet", json: "ndjson" } as const;

/** A file for each value is what readers open one by one: so many are a mistake in the choice of the column. */
const mostPartitions = 10_000;

/** The rows of a model that go into one file. */
interface Slice {
    /** `subject=science_fiction`, or "" for the only one. */
    readonly folder: string;
    readonly condition: string;
    readonly rows: number;
}

/**
 * Writes every exported model of the warehouse that is attached as `catalog` into `folder`, each file sorted by the model's
 * unique key: equal data gives equal bytes. With `partition_by`, `<as>.<ending>` is a folder in the manner of Hive, with
 * one file for each value of the columns, which are left out of the files; that of an empty model is empty.
 * @throws PipelineError where a model has too many partitions, or such as the file system does not tell apart.
 */
export async function writeExports(
    database: Database,
    folder: string,
    { nodes, catalog }: { nodes: readonly (Model | Seed)[]; catalog: string },
): Promise<readonly ExportedFile[]> {
    const files: ExportedFile[] = [];
    // One file is hashed while DuckDB writes the next.
    let hashing = Promise.resolve();
    for (const node of nodes) {
        if (node.kind !== "model" || node.export === undefined) continue;
        const relation = `${catalog}.main.${identifier(node.name)}`;
        const columns = await database.columns(relation);
        const partitionBy = node.export.partitionBy.map((name) => name.toLowerCase());
        const names = columns.map(({ name }) => name);
        const kept = names.filter((name) => !partitionBy.includes(name.toLowerCase())).map(identifier);
        const contract = createHash("sha256").update(JSON.stringify(columns)).digest("hex");
        const options: Record<Export["formats"][number], string> = {
            csv: "format csv, header",
            parquet: `format parquet, compression zstd, kv_metadata {model: ${literal(node.name)}, contract: ${literal(contract)}}`,
            json: "format json",
        };
        const slices = await slicesOf(database, node, { relation, names });
        for (const format of node.export.formats) {
            const name = `${node.export.as}.${endings[format]}`;
            if (partitionBy.length > 0) await mkdir(join(folder, name));
            for (const slice of slices) {
                const file = slice.folder === "" ? name : `${name}/${slice.folder}/data_0.${endings[format]}`;
                const path = join(folder, file);
                if (existsSync(path)) {
                    throw new PipelineError(
                        `${node.declaredAt.file.path}  the partition "${slice.folder}" of "${node.name}" differs from another in upper and lower case only, which this file system does not tell apart`,
                    );
                }
                await mkdir(dirname(path), { recursive: true });
                const query = `select ${kept.join(", ")} from ${relation}${slice.condition} order by ${node.uniqueKey.map(identifier).join(", ")}`;
                await Promise.all([database.run(`copy (${query}) to ${literal(path)} (${options[format]})`), hashing]);
                const { size: bytes } = await stat(path);
                hashing = sha256(path).then((hash) => void files.push({ file, rows: slice.rows, bytes, sha256: hash }));
            }
        }
    }
    await hashing;
    return files;
}

/**
 * The files that a model is written to. DuckDB's own PARTITION_BY gives other files for another number of threads, writes
 * NULL and the text "__HIVE_DEFAULT_PARTITION__" over one another, and knows no JSON.
 */
async function slicesOf(
    database: Database,
    model: Model,
    { relation, names }: { relation: string; names: readonly string[] },
): Promise<readonly Slice[]> {
    const by = (model.export?.partitionBy ?? []).flatMap((wanted) =>
        names.filter((name) => name.toLowerCase() === wanted.toLowerCase()),
    );
    if (by.length === 0) {
        return [{ folder: "", condition: "", rows: Number(await database.value(`select count(*) from ${relation}`)) }];
    }
    const values = by.map((name, i) => `cast(${identifier(name)} as varchar) as p${i}`).join(", ");
    const keys = by.map((_, i) => `p${i}`).join(", ");
    const rows = await database.rows(
        `select ${keys}, count(*) as n from (select ${values} from ${relation}) as v group by ${keys} order by ${keys}
         limit ${mostPartitions + 1}`,
    );
    if (rows.length > mostPartitions) {
        const message = `"${model.name}" would be exported in more than 10,000 partitions by "${by.join(", ")}": choose a column of fewer values`;
        throw new PipelineError(`${model.declaredAt.file.path}  ${message}`);
    }
    return rows.map((row) => {
        const texts = by.map((name, i) => ({ name, text: row[`p${i}`] as string | null }));
        const conditions = texts.map(({ name, text }) => {
            const column = `cast(${identifier(name)} as varchar)`;
            return text === null ? `${column} is null` : `${column} = ${literal(text)}`;
        });
        return {
            folder: texts.map(({ name, text }) => `${escaped(name)}=${partitionText(text)}`).join("/"),
            condition: ` where ${conditions.join(" and ")}`,
            rows: Number(row.n),
        };
    });
}

/** Words that readers take for NULL. */
const nullWord = /^(null|__hive_default_partition__)$/i;

/** A value as the name of its folder. A text that would be read as NULL has its first letter escaped, which saves it. */
function partitionText(text: string | null): string {
    if (text === null) return "__HIVE_DEFAULT_PARTITION__";
    if (!nullWord.test(text)) return escaped(text);
    return `%${text.charCodeAt(0).toString(16).toUpperCase()}${text.slice(1)}`;
}

/** As DuckDB's url_encode, by which it names partitions. */
function escaped(text: string): string {
    return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

async function sha256(path: string): Promise<string> {
    const hash = createHash("sha256");
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
    return hash.digest("hex");
}
