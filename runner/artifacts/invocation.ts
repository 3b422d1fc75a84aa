import { randomUUID } from "node:crypto";
import type { ProjectOptions } from "../load.ts";

/** One call of a command; its id is in every artifact that it writes. */
export interface Invocation {
    readonly id: string;
    /** What the command was given, under dbt's names. */
    readonly args: Readonly<Record<string, unknown>>;
}

export function newInvocation(
    command: string,
    options: ProjectOptions & { readonly fullRefresh?: boolean | undefined },
): Invocation {
    const { target, vars, select, exclude, indirectSelection, fullRefresh } = options;
    const args = { target, vars, select, exclude, indirect_selection: indirectSelection, full_refresh: fullRefresh };
    return { id: randomUUID(), args: { which: command, ...args } };
}

/** The dbt whose artifacts ours are like: readers take from it which fields they can expect. */
const dbtVersion = "1.11.16";

/** The head of an artifact; `schema` is "manifest/v12" and the like. */
export function metadataOf(schema: string, { id }: Invocation) {
    return {
        dbt_schema_version: `https://schemas.getdbt.com/dbt/${schema}.json`,
        dbt_version: dbtVersion,
        generated_at: new Date().toISOString(),
        invocation_id: id,
        env: {},
    };
}
