import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { messageOf, PipelineError } from "../common/errors.ts";
import { didYouMean, nearest } from "../common/nearest.ts";
import {
    configFile,
    folderConfig,
    loadConfig,
    loadTarget,
    type ModelConfigTree,
    type StrictConfig,
    tagList,
    type Var,
} from "./config.ts";
import { genericTests, readSingularTest, referenceOf } from "./data-tests.ts";
import { NameChecker } from "./names.ts";
import type { DataTest, Export, Incremental, Macro, Model, Node, Project, Seed, Source } from "./nodes.ts";
import { failOn, formatPosition, type Position, type Problem, type SourceFile } from "./problem.ts";
import {
    type Entity,
    type MacroTest,
    type ModelProperties,
    type Properties,
    readProperties,
    type UnitTest,
} from "./properties.ts";
import { callOf, incrementalSection, parseTemplate } from "./template.ts";

export interface ParseOptions {
    readonly target?: string | undefined;
    readonly vars?: Readonly<Record<string, Var>> | undefined;
}

/** The engine whose folder in macros/ is read beside the macros for all engines. */
const dialect = "duckdb";
/** Where the files of a project are. */
export const projectFolders: readonly string[] = ["models", "seeds", "macros", "tests"];
const builtInTests = join(import.meta.dirname, "generic-tests");
const nameForm = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Of names that become files of their own. */
const fileForm = /^[\p{L}\p{N}_][\p{L}\p{N}_. -]*$/u;

/**
 * Reads the project in folder `root`.
 * @throws ProjectError with every mistake found in its files.
 */
export async function parse(root: string, options: ParseOptions = {}): Promise<Project> {
    const config = await loadConfig(root);
    const target = await loadTarget(root, options.target ?? config.target);
    const vars = { ...config.vars, ...target.vars };
    for (const name of Object.keys(options.vars ?? {})) {
        if (Object.hasOwn(vars, name)) continue;
        throw new PipelineError(`unknown var "${name}".${didYouMean(name, Object.keys(vars))}`, { exitCode: 2 });
    }
    Object.assign(vars, options.vars);
    const problems: Problem[] = [];
    const files = projectFolders.flatMap((folder) => readFolder(root, folder));
    const properties = mergeProperties(
        files.filter((file) => /\.ya?ml$/.test(file.path)).map((file) => readProperties(file, problems)),
    );
    // A file that can't be read declares nothing: all that would be missed from it is no mistake.
    failOn(problems);
    const inFolder = (folder: string, ending: string): SourceFile[] =>
        files.filter((file) => file.path.startsWith(`${folder}/`) && file.path.endsWith(ending));

    const macros = readMacros(inFolder("macros", ".sql"), properties, problems);
    const generic = new Map(
        [...readFiles(builtInTests, "generic-tests"), ...inFolder("tests/generic", ".sql")].map((file) => [
            basename(file.path, ".sql"),
            parseTemplate(file, problems),
        ]),
    );
    const models = readModels(inFolder("models", ".sql"), properties, config, problems);
    const snapshots = properties.snapshots
        .filter(({ config: { enabled } }) => enabled)
        .map((declared) => readSnapshot(declared, problems));
    const seeds = readSeeds(inFolder("seeds", ".csv"), properties);
    const sources = properties.sources.map(toSource);
    // Reported once, with the tests, below.
    const relations = unique([...models, ...snapshots, ...seeds, ...sources], []);
    rejectUndeclared(properties, relations, problems);

    const names = new NameChecker(relations, macros, vars, problems);
    for (const macro of macros.values()) names.check(macro.template, macro.parameters, macro.name);
    const withParents = models.map(
        (model): Model => ({
            ...model,
            parents: names.checkModel(model.template, model.incremental?.window !== undefined),
        }),
    );
    for (const { parents, declaredAt } of snapshots) {
        for (const parent of parents.filter((name) => !relations.has(name))) {
            const message = `unknown relation "${parent}".${didYouMean(parent, relations.keys())}`;
            problems.push({ message, at: declaredAt });
        }
    }
    const singular = inFolder("tests", ".sql")
        .filter((file) => !file.path.startsWith("tests/generic/"))
        .map((file) => readSingularTest(file, properties, names, problems))
        .filter((test) => test !== undefined);
    const instances = [...relations.values()].flatMap((node) =>
        node.kind === "source"
            ? []
            : genericTests(node, testsOf(node, properties), { generic, names, relations, problems }),
    );
    const sourceTests = sources.flatMap((source) =>
        genericTests(
            source,
            properties.sources.find((table) => sourceName(table) === source.name),
            { generic, names, relations, problems },
        ),
    );
    const tests = [...sourceTests, ...instances, ...singular];
    const nodes = unique<Node>([...models, ...snapshots, ...seeds, ...sources, ...tests], problems);
    rejectUnknownTests(properties, singular, problems);
    rejectUnknownInputs(properties.unitTests, { relations: nodes }, problems);
    rejectUnknownArguments(properties.macroTests, { macros, names }, problems);
    rejectRepeatedNames([...properties.unitTests, ...properties.macroTests], vars, problems);
    rejectUnknownFolders(config.models, folderTree(root, "models"), problems);
    failOn(problems);
    for (const model of withParents) nodes.set(model.name, model);
    const { unitTests, macroTests } = properties;
    return { root, config, target, vars, nodes, macros, unitTests, macroTests };
}

/**
 * The project with one more model, named "inline": a query that somebody typed.
 * @throws ProjectError when it refers to what is not there.
 */
export function withInline(project: Project, sql: string): Project {
    const problems: Problem[] = [];
    const file = { path: "inline", text: sql };
    const template = parseTemplate(file, problems);
    const relations = new Map([...project.nodes].filter(([, node]) => node.kind !== "test"));
    const parents = new NameChecker(relations, project.macros, project.vars, problems).check(template);
    failOn(problems);
    const inline: Model = {
        ...{ kind: "model", name: "inline", file, template, materialized: "ephemeral", publish: false, parents },
        ...{
            uniqueKey: [],
            uniqueKeyAt: { file, offset: 0 },
            hasContract: false,
            declaredAt: { file, offset: 0 },
            description: "",
            columns: [],
            tags: [],
            meta: {},
        },
    };
    return { ...project, nodes: new Map([...project.nodes, ["inline", inline]]) };
}

/** The files below a folder of the project, sorted by path. A folder that is a project of its own is not looked into. */
function readFolder(root: string, folder: string): SourceFile[] {
    const path = join(root, folder);
    if (!existsSync(path) || existsSync(join(path, configFile))) return [];
    return readFiles(path, folder, (name) => readFolder(root, `${folder}/${name}`));
}

/** Whether a file of this name belongs to the project: hidden ones are what editors leave beside what they have open. */
export function isProjectFile(name: string): boolean {
    return /^[^.].*\.(sql|ya?ml|csv)$/.test(name);
}

function readFiles(path: string, prefix: string, inner: (folder: string) => SourceFile[] = () => []): SourceFile[] {
    return readdirSync(path, { withFileTypes: true })
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .flatMap((entry) => {
            if (entry.isDirectory()) return inner(entry.name);
            if (!isProjectFile(entry.name)) return [];
            return [
                { path: `${prefix}/${entry.name}`, text: readText(join(path, entry.name), `${prefix}/${entry.name}`) },
            ];
        });
}

/** @throws PipelineError where a link points to nothing, for instance. */
function readText(path: string, name: string): string {
    try {
        return readFileSync(path, "utf8");
    } catch (error) {
        throw new PipelineError(`${name}  can't be read: ${messageOf(error)}`, { cause: error });
    }
}

function mergeProperties(all: readonly Properties[]): Properties {
    return {
        models: all.flatMap((p) => p.models),
        snapshots: all.flatMap((p) => p.snapshots),
        seeds: all.flatMap((p) => p.seeds),
        sources: all.flatMap((p) => p.sources),
        macros: all.flatMap((p) => p.macros),
        unitTests: all.flatMap((p) => p.unitTests),
        macroTests: all.flatMap((p) => p.macroTests),
        tests: all.flatMap((p) => p.tests),
    };
}

function readMacros(files: SourceFile[], properties: Properties, problems: Problem[]): Map<string, Macro> {
    const macros = new Map<string, Macro>();
    const names = files.map((file) => basename(file.path, ".sql"));
    const orphans = properties.macros.filter((macro) => !names.includes(macro.name));
    for (const file of files) {
        const name = basename(file.path, ".sql");
        const folder = dirname(file.path).split("/").slice(1);
        if (folder.length > 0 && folder[0] !== dialect) continue;
        const declared =
            properties.macros.find((macro) => macro.name === name) ??
            // Called by its right name everywhere, it would have no arguments there.
            orphans.find((macro) => nearest(macro.name, [name]) !== undefined);
        // The engine's own file takes the place of the one for all engines.
        if (macros.has(name) && folder.length === 0) continue;
        if (name === incrementalSection) {
            problems.push({
                message: `"${name}" is no name for a macro: it is a section of models`,
                at: { file, offset: 0 },
            });
        }
        macros.set(name, {
            name,
            template: parseTemplate(file, problems),
            parameters: declared?.parameters ?? [],
            description: declared?.description ?? "",
        });
    }
    for (const { name, at } of properties.macros) {
        if (macros.has(name)) continue;
        problems.push({ message: `macro "${name}" has no file macros/${name}.sql.${didYouMean(name, names)}`, at });
    }
    return macros;
}

function readModels(
    files: SourceFile[],
    properties: Properties,
    { models: tree }: StrictConfig,
    problems: Problem[],
): Model[] {
    return files.flatMap((file): Model[] => {
        const name = basename(file.path, ".sql");
        const declared = properties.models.find((entity) => entity.name === name);
        const inherited = folderConfig(tree, dirname(file.path).split("/").slice(1));
        const own = declared?.config ?? {};
        if ((own.enabled ?? inherited.enabled ?? true) === false) return [];
        const materialized = own.materialized ?? inherited.materialized ?? "view";
        const exported = readExport(name, own.export);
        if (exported !== undefined && (own.unique_key === undefined || materialized === "ephemeral")) {
            const why = materialized === "ephemeral" ? "is ephemeral" : "has no unique_key to sort it by";
            problems.push({ message: `model "${name}" can't be exported: it ${why}`, ...atOf(declared) });
        } else if (exported !== undefined && !(own.publish ?? inherited.publish ?? true)) {
            problems.push({
                message: `model "${name}" can't be exported: it is not published (publish: false)`,
                ...atOf(declared),
            });
        }
        const incremental = materialized === "incremental" ? readIncremental(own) : undefined;
        if (typeof incremental === "string") problems.push({ message: incremental, ...atOf(declared) });
        if (exported !== undefined && !fileForm.test(exported.as)) {
            const message = `"${exported.as}" is no name for a file: use letters, digits, "_", "-" and "."`;
            problems.push({ message, ...atOf(declared) });
        }
        return [
            {
                kind: "model",
                name,
                file,
                template: parseTemplate(file, problems),
                materialized,
                ...(incremental === undefined || typeof incremental === "string" ? {} : { incremental }),
                publish: materialized !== "ephemeral" && (own.publish ?? inherited.publish ?? true),
                uniqueKey: [own.unique_key ?? []].flat(),
                uniqueKeyAt: declared?.keyAt("unique_key") ?? { file, offset: 0 },
                hasContract: own.contract?.enforced ?? false,
                declaredAt: declared?.at ?? { file, offset: 0 },
                ...(exported === undefined ? {} : { export: exported }),
                description: declared?.description ?? "",
                columns: declared?.columns ?? [],
                tags: [...tagList(inherited.tags), ...tagList(own.tags)],
                meta: { ...declared?.meta, ...own.meta },
                parents: [],
            },
        ];
    });
}

/** As what files a model is published, beside the warehouse; undefined where it is not. */
function readExport(name: string, config: ModelProperties["export"]): Export | undefined {
    if (config === undefined || config === false) return undefined;
    const { as = name, format = ["csv", "parquet"], partition_by: partitionBy = [] } = config === true ? {} : config;
    return { as, formats: [...new Set([format].flat())], partitionBy: [partitionBy].flat() };
}

/** A snapshot as a model that has no SQL of its own. */
function readSnapshot(
    { name, relation, config, at, file, description, columns, meta }: Properties["snapshots"][number],
    problems: Problem[],
): Model {
    const parent = referenceOf(relation);
    if (parent === undefined) {
        problems.push({ message: `relation is "${relation}"; expected ref('name') or source('source', 'table')`, at });
    }
    const { updated_at: updatedAt, check_cols: checkColumns, strategy, hard_deletes: hardDeletes } = config;
    const [wanted, given] = strategy === "timestamp" ? ["updated_at", updatedAt] : ["check_cols", checkColumns];
    if (given === undefined) problems.push({ message: `a snapshot of strategy "${strategy}" needs "${wanted}"`, at });
    const exported = readExport(name, config.export);
    return {
        kind: "model",
        name,
        file,
        template: { file, parts: [] },
        materialized: "snapshot",
        snapshot:
            strategy === "timestamp"
                ? { strategy, hardDeletes, updatedAt: updatedAt ?? "" }
                : { strategy, hardDeletes, checkColumns: checkColumns ?? "all" },
        publish: config.publish,
        uniqueKey: [config.unique_key].flat(),
        uniqueKeyAt: at,
        hasContract: false,
        declaredAt: at,
        ...(exported === undefined ? {} : { export: exported }),
        description,
        columns,
        meta: { ...meta, ...config.meta },
        tags: tagList(config.tags),
        parents: parent === undefined ? [] : [parent],
    };
}

/** How an incremental model goes on, dbt-duckdb's defaults for what is not said, or what is wrong with it. */
function readIncremental(config: ModelProperties): Incremental | string {
    const keys = [config.unique_key ?? []].flat();
    const strategy = config.incremental_strategy ?? (keys.length > 0 ? "delete+insert" : "append");
    const { event_time: eventTime, merge_update_columns: update, merge_exclude_columns: exclude } = config;
    if ((strategy === "merge" || strategy === "delete+insert") && keys.length === 0) {
        return `incremental_strategy "${strategy}" needs a unique_key to know the rows by`;
    }
    if (strategy === "microbatch" && eventTime === undefined) {
        return 'incremental_strategy "microbatch" needs an "event_time", the column that tells when a row happened';
    }
    if (update !== undefined && exclude !== undefined) {
        return "merge_update_columns and merge_exclude_columns say the same thing in two ways: keep one";
    }
    return {
        strategy,
        onSchemaChange: config.on_schema_change ?? "fail",
        fullRefresh: config.full_refresh ?? true,
        ...(update === undefined ? {} : { mergeUpdate: [update].flat() }),
        ...(exclude === undefined ? {} : { mergeExclude: [exclude].flat() }),
        ...(strategy === "microbatch" && eventTime !== undefined
            ? { window: { eventTime, batchSize: config.batch_size ?? "day", lookback: config.lookback ?? 1 } }
            : {}),
    };
}

function readSeeds(files: SourceFile[], properties: Properties): Seed[] {
    return files.flatMap((file): Seed[] => {
        const name = basename(file.path, ".csv");
        const declared = properties.seeds.find((entity) => entity.name === name);
        const config = declared?.config ?? { column_types: {}, delimiter: ",", publish: true, enabled: true };
        if (!config.enabled) return [];
        return [
            {
                kind: "seed",
                name,
                file,
                columnTypes: config.column_types,
                columnTypesAt: declared?.keyAt("column_types") ?? { file, offset: 0 },
                delimiter: config.delimiter,
                publish: config.publish,
                description: declared?.description ?? "",
                columns: declared?.columns ?? [],
                tags: declared?.tags ?? [],
                meta: declared?.meta ?? {},
                parents: [],
            },
        ];
    });
}

function sourceName(table: { source: string; name: string }): string {
    return `${table.source}.${table.name}`;
}

function toSource(table: Properties["sources"][number]): Source {
    return {
        kind: "source",
        name: sourceName(table),
        ...(table.database === undefined ? {} : { database: table.database }),
        schema: table.schema,
        identifier: table.identifier,
        ...(table.freshness === undefined ? {} : { freshness: table.freshness }),
        description: table.description,
        sourceDescription: table.sourceDescription,
        loader: table.loader,
        columns: table.columns,
        tags: table.tags,
        meta: table.meta,
        declaredAt: table.at,
        parents: [],
    };
}

function placeOf(node: Node): Position {
    return node.kind === "source" || node.kind === "test" ? node.declaredAt : { file: node.file, offset: 0 };
}

/** The nodes by name. Two of one name are a mistake, as is a name that SQL can't take as it is. */
function unique<T extends Node>(nodes: readonly T[], problems: Problem[]): Map<string, T> {
    const byName = new Map<string, T>();
    const exports = new Map<string, Model>();
    const spelled = new Map<string, T>();
    for (const node of nodes) {
        // SQL does not tell Dim from dim.
        const other = spelled.get(node.name.toLowerCase());
        spelled.set(node.name.toLowerCase(), node);
        if (other !== undefined) {
            const remedy = node.kind === "test" ? '. Give one of them a "name"' : "";
            const message = `there are two nodes "${node.name}": the other is at ${formatPosition(placeOf(other))}${remedy}`;
            problems.push({ message, at: placeOf(node) });
        } else if (node.kind !== "test" && !node.name.split(".").every((part) => nameForm.test(part))) {
            const message = `"${node.name}" is no name for a ${node.kind}: use letters, digits and "_"`;
            problems.push({ message, at: placeOf(node) });
        } else if (node.kind === "test" && !fileForm.test(node.name)) {
            problems.push({
                message: `"${node.name}" is no name for a test: use letters, digits and "_"`,
                at: placeOf(node),
            });
        }
        byName.set(node.name, node);
        if (node.kind !== "model" || node.export === undefined) continue;
        const same = exports.get(node.export.as.toLowerCase());
        exports.set(node.export.as.toLowerCase(), node);
        if (same === undefined || same === node) continue;
        problems.push({
            message: `models "${same.name}" and "${node.name}" are exported under one name, "${node.export.as}"`,
            at: placeOf(node),
        });
    }
    return byName;
}

function rejectUndeclared(properties: Properties, relations: ReadonlyMap<string, Node>, problems: Problem[]): void {
    for (const [kind, entities] of Object.entries({ model: properties.models, seed: properties.seeds })) {
        const known = [...relations.values()].filter((node) => node.kind === kind).map((node) => node.name);
        const seen = new Set<string>();
        for (const { name, at, config } of entities as readonly Entity<{ enabled?: boolean | undefined }>[]) {
            if (seen.has(name)) problems.push({ message: `${kind} "${name}" is described twice`, at });
            seen.add(name);
            if (known.includes(name) || config.enabled === false) continue;
            problems.push({ message: `${kind} "${name}" has no file.${didYouMean(name, known)}`, at });
        }
    }
}

/** Settings of a test that is not there would change nothing, and nobody would know. */
function rejectUnknownTests(properties: Properties, tests: readonly DataTest[], problems: Problem[]): void {
    const known = tests.map((test) => test.name);
    for (const { name, at, config } of properties.tests) {
        if (known.includes(name) || config.enabled === false) continue;
        problems.push({ message: `test "${name}" has no file.${didYouMean(name, known)}`, at });
    }
}

/** Checks what unit tests of both kinds have in common: their names, and the vars. */
function rejectRepeatedNames(
    tests: readonly (UnitTest | MacroTest)[],
    vars: Readonly<Record<string, Var>>,
    problems: Problem[],
): void {
    const names = new Set<string>();
    for (const { name, vars: overrides, at } of tests) {
        if (names.has(name)) problems.push({ message: `there are two unit tests "${name}"`, at });
        names.add(name);
        for (const key of Object.keys(overrides)) {
            if (!Object.hasOwn(vars, key))
                problems.push({ message: `unknown var "${key}".${didYouMean(key, Object.keys(vars))}`, at });
        }
    }
}

/** Checks the names in unit tests of macros: the macro, and its arguments in every row. */
function rejectUnknownArguments(
    tests: readonly MacroTest[],
    { macros, names }: { macros: ReadonlyMap<string, Macro>; names: NameChecker },
    problems: Problem[],
): void {
    for (const { macro: name, macroAt, rows, rowsAt, types, typesAt } of tests) {
        const parameters = macros.get(name)?.parameters ?? [];
        const read = names.check(callOf(name, parameters, macroAt), parameters);
        if (!macros.has(name)) continue;
        if (read.length > 0 || parameters.includes("expect")) {
            const why = read.length > 0 ? `reads ${read.join(", ")}` : 'has an argument "expect"';
            const message = `macro "${name}" ${why}, and so can't be tested by itself: test a model that calls it`;
            problems.push({ message, at: macroAt });
            continue;
        }
        if (rows.length === 0) problems.push({ message: "without rows nothing is tested", at: rowsAt.all });
        const reject = (argument: string, at: Position): void => {
            const known = parameters.length === 0 ? " It has none" : ` Its arguments: ${parameters.join(", ")}`;
            const remedy = didYouMean(argument, parameters) || known;
            problems.push({ message: `macro "${name}" has no argument "${argument}".${remedy}`, at });
        };
        const wanted = [...parameters, "expect"];
        for (const [i, row] of rows.entries()) {
            const at = rowsAt.each[i] ?? rowsAt.all;
            const unknown = Object.keys(row).filter((key) => !wanted.includes(key));
            for (const key of unknown) reject(key, at);
            if (unknown.length > 0) continue;
            const missing = wanted.filter((key) => !Object.hasOwn(row, key)).map((key) => `"${key}"`);
            if (missing.length > 0) problems.push({ message: `this row has no ${missing.join(" and no ")}`, at });
        }
        for (const key of Object.keys(types)) if (!parameters.includes(key)) reject(key, typesAt);
    }
}

/** Checks the names in unit tests of models: the model, and its inputs. */
function rejectUnknownInputs(
    tests: readonly UnitTest[],
    { relations }: { relations: ReadonlyMap<string, Node> },
    problems: Problem[],
): void {
    for (const { model, given, isIncremental, at } of tests) {
        if (relations.get(model)?.kind !== "model") {
            const models = [...relations.values()].filter((node) => node.kind === "model").map((node) => node.name);
            problems.push({ message: `unknown model "${model}".${didYouMean(model, models)}`, at });
        }
        for (const { input, at: place } of given) {
            const referred = input === "this" && isIncremental ? model : referenceOf(input);
            if (referred !== undefined && relations.has(referred)) continue;
            const remedy =
                referred === undefined
                    ? " Write ref('name') or source('source', 'table'), or this where is_incremental is overridden"
                    : didYouMean(referred, relations.keys());
            problems.push({ message: `unknown input "${input}".${remedy}`, at: place });
        }
    }
}

interface Folders {
    readonly [name: string]: Folders;
}

/** The folders of the project's folder, nested. */
function folderTree(root: string, folder: string): Folders {
    const path = join(root, folder);
    if (!existsSync(path)) return {};
    const inner = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return Object.fromEntries(inner.map(({ name }) => [name, folderTree(root, `${folder}/${name}`)]));
}

/** Settings for a folder that is not there, `models.stagging`, would silently leave its models without them. */
function rejectUnknownFolders(tree: ModelConfigTree, folders: Folders, problems: Problem[], path = "models"): void {
    for (const [name, value] of Object.entries(tree)) {
        if (typeof value !== "object" || Array.isArray(value)) continue;
        const inner = folders[name];
        const here = `${path}.${name}`;
        if (inner === undefined) {
            const message = `${configFile}  ${here} is no folder of ${path.replaceAll(".", "/")}/.${didYouMean(name, Object.keys(folders))}`;
            problems.push({ message });
        } else rejectUnknownFolders(value as ModelConfigTree, inner, problems, here);
    }
}

function atOf(declared: Entity | undefined): { at?: Position } {
    return declared === undefined ? {} : { at: declared.at };
}

function testsOf(node: Model | Seed, properties: Properties): Entity | undefined {
    const entities: readonly Entity[] =
        node.kind === "seed"
            ? properties.seeds
            : node.snapshot === undefined
              ? properties.models
              : properties.snapshots;
    return entities.find((entity) => entity.name === node.name);
}
