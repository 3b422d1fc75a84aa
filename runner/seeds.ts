import { join } from "node:path";
import { literal } from "./duckdb.ts";
import type { Project, Seed } from "./nodes.ts";

/** The call that reads a seed's file: a header line, no value for an empty field, types guessed where none is given. */
export function readSeed(project: Project, seed: Seed): string {
    const types = Object.entries(seed.columnTypes).map(([name, type]) => `${literal(name)}: ${literal(type)}`);
    const options = [
        "header = true",
        `delim = ${literal(seed.delimiter)}`,
        ...(types.length === 0 ? [] : [`types = {${types.join(", ")}}`]),
    ];
    return `read_csv(${literal(join(project.root, seed.file.path))}, ${options.join(", ")})`;
}
