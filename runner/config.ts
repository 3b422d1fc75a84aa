import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as v from "valibot";
import { messageOf, PipelineError } from "../common/errors.ts";
import { didYouMean } from "../common/nearest.ts";
import { validate } from "./validate.ts";

/** How a model is kept. A snapshot is declared in YAML, every other one is set for a folder or a model. */
export type Materialization = "view" | "table" | "incremental" | "ephemeral" | "snapshot";

/** What can be configured of a model, for a folder in pipeline.config.ts or for one model in its YAML `config:`. */
export interface ModelConfig {
    /** `view` (default), `table`, `incremental` (a table that grows), or `ephemeral` (inlined where it is used). */
    readonly materialized?: Exclude<Materialization, "snapshot">;
    /** Whether readers of the warehouse see it. Default: true. */
    readonly publish?: boolean;
    /** A disabled model is as good as absent. Default: true. */
    readonly enabled?: boolean;
    readonly tags?: string | readonly string[];
}

/** Settings for the models of a folder, and below it for its folders: `{ marts: { materialized: "table" } }`. */
export interface ModelConfigTree extends ModelConfig {
    readonly [folder: string]: ModelConfigTree | Materialization | boolean | string | readonly string[] | undefined;
}

export type Var = string | number | boolean;

/** The default export of pipeline.config.ts. */
export interface ProjectConfig {
    readonly name: string;
    /** The target used when the command line names none. Default: dev. */
    readonly target?: string;
    /** `{{vars.x}}` in models, macros and tests. */
    readonly vars?: Readonly<Record<string, Var>>;
    readonly models?: ModelConfigTree;
}

/** The default export of a file in targets/: where a build lands. Paths are relative to the project folder. */
export interface Target {
    /** Holds warehouse.duckdb and exports/ (what people read), and the builder's own work file. */
    readonly folder: string;
    /** DuckDB files that sources live in, by the name that a source's `database:` has. Opened read-only. */
    readonly attach?: Readonly<Record<string, string>>;
    /** Values that replace those of pipeline.config.ts. */
    readonly vars?: Readonly<Record<string, Var>>;
    /** What DuckDB may use, such as "4GB". Default: 80 % of what this machine or container has. */
    readonly memoryLimit?: string;
}

const varsSchema = v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]));

export const modelConfigEntries = {
    materialized: v.optional(
        v.pipe(
            v.picklist(["view", "table", "incremental", "ephemeral"]),
            v.description("Ephemeral: inlined where it is used."),
        ),
    ),
    publish: v.optional(v.pipe(v.boolean(), v.description("Whether readers of the warehouse see it."))),
    enabled: v.optional(v.pipe(v.boolean(), v.description("Disabled, it is as good as absent."))),
    tags: v.optional(v.union([v.string(), v.array(v.string())])),
};

const modelTreeSchema: v.GenericSchema<ModelConfigTree> = v.lazy(() =>
    v.objectWithRest(modelConfigEntries, modelTreeSchema),
) as v.GenericSchema<ModelConfigTree>;

const configSchema = v.strictObject({
    name: v.string(),
    target: v.optional(v.string(), "dev"),
    vars: v.optional(varsSchema, {}),
    models: v.optional(modelTreeSchema, {}),
});

const targetSchema = v.strictObject({
    folder: v.string(),
    attach: v.optional(v.record(v.string(), v.string()), {}),
    vars: v.optional(varsSchema, {}),
    memoryLimit: v.optional(v.string()),
});

export type StrictConfig = v.InferOutput<typeof configSchema>;
export type StrictTarget = v.InferOutput<typeof targetSchema> & { readonly name: string };

export const configFile = "pipeline.config.ts";

/**
 * Reads pipeline.config.ts of a project folder.
 * @throws PipelineError when there is none, it can't be loaded, or it holds something that is not known.
 */
export async function loadConfig(root: string): Promise<StrictConfig> {
    if (!existsSync(join(root, configFile))) {
        throw new PipelineError(`${configFile} is not in ${root}. Name the project's folder with --project-dir`);
    }
    return loadDefault(root, configFile, configSchema);
}

/** Reads targets/<name>.ts; a project without that folder has one target, dev, that builds into data/. */
export async function loadTarget(root: string, name: string): Promise<StrictTarget> {
    const folder = join(root, "targets");
    if (!existsSync(folder) && name === "dev") return { name, folder: "data", attach: {}, vars: {} };
    const known = existsSync(folder)
        ? readdirSync(folder)
              .filter((file) => file.endsWith(".ts"))
              .map((file) => file.slice(0, -3))
        : ["dev"];
    if (!known.includes(name)) {
        const remedy = didYouMean(name, known) || ` Known: ${known.join(", ")}`;
        throw new PipelineError(`unknown target "${name}".${remedy}`, { exitCode: 2 });
    }
    return { name, ...(await loadDefault(root, `targets/${name}.ts`, targetSchema)) };
}

/** The project's folder with the target that is named, or else with the one that pipeline.config.ts names. */
export async function targetOf({
    projectDir: root,
    target,
}: {
    readonly projectDir: string;
    readonly target?: string | undefined;
}): Promise<{ readonly root: string; readonly target: StrictTarget }> {
    const config = await loadConfig(root);
    return { root, target: await loadTarget(root, target ?? config.target) };
}

interface Module {
    readonly default?: unknown;
}

const imported = new Map<string, { readonly mtime: bigint; readonly module: Promise<Module> }>();

/** A module as its file says now: Node itself reads each once for all time, and so does it with what that one imports. */
function importLatest(path: string): Promise<Module> {
    const mtime = statSync(path, { bigint: true }).mtimeNs;
    const known = imported.get(path);
    if (known?.mtime === mtime) return known.module;
    const module = importFrom(pathToFileURL(path).href, known !== undefined);
    imported.set(path, { mtime, module });
    return module;
}

async function importFrom(url: string, isAnew: boolean): Promise<Module> {
    if (!isAnew) return import(url);
    const { tsImport } = await import("tsx/esm/api");
    const module: Module = await tsImport(url, import.meta.url);
    // Where no package.json says that files are modules, it is within another.
    const inner = module.default;
    return typeof inner === "object" && inner !== null && "__esModule" in inner && "default" in inner ? inner : module;
}

async function loadDefault<T extends v.GenericSchema>(
    root: string,
    file: string,
    schema: T,
): Promise<v.InferOutput<T>> {
    let module: Module;
    try {
        module = await importLatest(join(root, file));
    } catch (error) {
        throw new PipelineError(`${file}  ${messageOf(error)}`, { cause: error });
    }
    if (module.default === undefined) throw new PipelineError(`${file}  has no default export`);
    const result = validate(schema, module.default);
    if (!result.ok) throw new PipelineError(result.mistakes.map((m) => `${file}  ${m.message}`).join("\n"));
    return result.value;
}

/** The settings for a model in `folders` (below models/), the nearest folder's winning. Tags add up. */
export function folderConfig(tree: ModelConfigTree, folders: readonly string[]): ModelConfig {
    let config: ModelConfig = {};
    let at: ModelConfigTree | undefined = tree;
    for (const folder of [undefined, ...folders]) {
        if (folder !== undefined) {
            const next: ModelConfigTree[string] = at[folder];
            at = typeof next === "object" && !Array.isArray(next) ? (next as ModelConfigTree) : undefined;
        }
        if (at === undefined) break;
        const { materialized, publish, enabled, tags } = at as ModelConfig;
        config = {
            ...config,
            ...(materialized === undefined ? {} : { materialized }),
            ...(publish === undefined ? {} : { publish }),
            ...(enabled === undefined ? {} : { enabled }),
            tags: [...tagList(config.tags), ...tagList(tags)],
        };
    }
    return config;
}

export function tagList(tags: string | readonly string[] | undefined): readonly string[] {
    if (tags === undefined) return [];
    return typeof tags === "string" ? [tags] : tags;
}
