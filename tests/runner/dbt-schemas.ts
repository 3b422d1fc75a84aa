import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

export type Artifact = "manifest" | "run_results" | "catalog" | "sources";

const validators = new Map<Artifact, ValidateFunction>();

/** Where a file is not as dbt's schema of that artifact wants it: "/nodes/model.x/config must be object". */
export function mistakesIn(artifact: Artifact, content: unknown): string[] {
    // The one of the manifest takes seconds to compile.
    const validate = validators.get(artifact) ?? new Ajv2020({ formats: { uuid: true } }).compile(schemaOf(artifact));
    validators.set(artifact, validate);
    if (validate(content)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

function schemaOf(artifact: Artifact): object {
    return JSON.parse(readFileSync(join(import.meta.dirname, "dbt-schemas", `${artifact}.json`), "utf8"));
}
