import * as v from "valibot";
import { didYouMean } from "../common/nearest.ts";
import { modelConfigEntries, tagList, type Var } from "./config.ts";
import {
    type ColumnConstraint,
    type ConstraintTest,
    columnConstraintSchema,
    type ModelConstraint,
    modelConstraintSchema,
    partOfColumn,
    partOfModel,
    testsOfColumn,
} from "./constraints.ts";
import { csvObjects } from "./csv.ts";
import type { Position, Problem, SourceFile } from "./problem.ts";
import { validate } from "./validate.ts";
import { type Path, readYaml, type YamlFile } from "./yaml.ts";

// The YAML files beside models, seeds, macros and tests, in dbt's own shape.

export type Severity = "error" | "warn";
/** Facts of the author's own, which mean nothing to the runner: they are handed on to who reads the manifest. */
export type Meta = Readonly<Record<string, unknown>>;
export type Argument = string | number | boolean | readonly (string | number | boolean)[];

/** A data test as it is declared on a model or a column. */
export interface TestProperty {
    readonly generic: string;
    readonly name?: string;
    readonly description: string;
    readonly args: Readonly<Record<string, Argument>>;
    readonly config: TestConfig;
    readonly at: Position;
}

export interface TestConfig {
    readonly severity: Severity;
    /** A condition on the tested relation's rows: only those are tested. */
    readonly where?: string;
    /** A condition on the count of failing rows, such as "> 10". Default: "!= 0" */
    readonly warnIf: string;
    readonly errorIf: string;
    /** At how many failing rows counting ends. */
    readonly limit?: number;
    readonly enabled: boolean;
}

export interface ColumnProperty {
    readonly name: string;
    readonly description: string;
    readonly dataType?: string;
    /** Whether tests write the name in quotes, because SQL would not take it as it is. */
    readonly isQuoted: boolean;
    readonly tags: readonly string[];
    readonly meta: Meta;
    readonly tests: readonly TestProperty[];
    readonly at: Position;
}

/** What a YAML file says of one model, seed, source table or macro. */
export interface Entity<Config = unknown> {
    readonly name: string;
    readonly description: string;
    readonly columns: readonly ColumnProperty[];
    readonly tests: readonly TestProperty[];
    readonly tags: readonly string[];
    readonly meta: Meta;
    readonly config: Config;
    readonly at: Position;
    /** Where a key of `config` stands; the entity's own place where it does not. */
    readonly keyAt: (key: string) => Position;
}

export type ModelProperties = v.InferOutput<typeof modelConfigSchema>;
export type SeedProperties = v.InferOutput<typeof seedConfigSchema>;

export interface SnapshotProperties extends Entity<v.InferOutput<typeof snapshotConfigSchema>> {
    /** What it takes: `ref('x')` or `source('x', 'y')`. */
    readonly relation: string;
    readonly file: SourceFile;
}

/** After so many of a period data is no longer fresh. */
export interface Threshold {
    readonly count: number;
    readonly period: "minute" | "hour" | "day";
}

/** How fresh a source table must be. At least one of the thresholds is there. */
export interface Freshness {
    /** SQL for the time at which a row was loaded. */
    readonly loadedAtField: string;
    readonly warnAfter?: Threshold;
    readonly errorAfter?: Threshold;
    /** A condition: only these rows are looked at. */
    readonly filter?: string;
    readonly loadedAtFieldAt: Position;
    readonly filterAt: Position;
}

export interface SourceTable extends Entity {
    readonly freshness?: Freshness;
    readonly source: string;
    readonly sourceDescription: string;
    readonly loader: string;
    readonly database?: string;
    readonly schema: string;
    readonly identifier: string;
}

export interface MacroProperties {
    readonly name: string;
    readonly description: string;
    readonly parameters: readonly string[];
    readonly at: Position;
}

/** Rows of a fixture: as objects by column, as CSV text with a header, or as a SELECT. */
export type Rows =
    | { readonly format: "dict"; readonly rows: readonly Readonly<Record<string, unknown>>[] }
    | { readonly format: "csv" | "sql"; readonly text: string };

/** Where rows stand: all of them, and each one that is an object. */
export interface RowsAt {
    readonly all: Position;
    readonly each: readonly Position[];
}

export interface Given {
    readonly input: string;
    readonly rows: Rows;
    readonly rowsAt: RowsAt;
    readonly at: Position;
}

/** What a model must make of given rows. */
export interface UnitTest {
    readonly name: string;
    readonly model: string;
    readonly description: string;
    readonly given: readonly Given[];
    readonly expected: Rows;
    readonly expectedAt: RowsAt;
    readonly vars: Readonly<Record<string, Var>>;
    /** Whether the model's incremental run is tested, on the input `this`; what it then makes are the rows to take in. */
    readonly isIncremental: boolean;
    readonly at: Position;
}

/** What a macro must give for given arguments: a row a call, with the arguments by name and `expect`. */
export interface MacroTest {
    readonly name: string;
    readonly macro: string;
    readonly rows: readonly Readonly<Record<string, unknown>>[];
    readonly rowsAt: RowsAt;
    /** SQL types of arguments; the others are what DuckDB takes their values for. */
    readonly types: Readonly<Record<string, string>>;
    readonly typesAt: Position;
    readonly vars: Readonly<Record<string, Var>>;
    readonly macroAt: Position;
    readonly at: Position;
}

/** Everything that one YAML file declares. */
export interface Properties {
    readonly models: readonly Entity<ModelProperties>[];
    readonly snapshots: readonly SnapshotProperties[];
    readonly seeds: readonly Entity<SeedProperties>[];
    readonly sources: readonly SourceTable[];
    readonly macros: readonly MacroProperties[];
    readonly unitTests: readonly UnitTest[];
    readonly macroTests: readonly MacroTest[];
    readonly tests: readonly (Entity<Partial<TestConfig>> & { readonly config: Partial<TestConfig> })[];
}

// The descriptions are what an editor shows; docs/properties.schema.json is made of these schemas.
const scalar = v.union([v.string(), v.number(), v.boolean()]);
const text = v.optional(v.string(), "");
const keys = v.union([v.string(), v.array(v.string())]);
const described = { description: text, meta: v.optional(v.record(v.string(), v.unknown())), tags: v.optional(keys) };

const testConfigSchema = v.strictObject({
    severity: v.optional(v.pipe(v.string(), v.toLowerCase(), v.picklist(["error", "warn"]))),
    where: v.optional(v.pipe(v.string(), v.description("A condition: only these rows are tested."))),
    warn_if: v.optional(v.pipe(v.string(), v.description('From which count of failing rows on: "> 10".')), "!= 0"),
    error_if: v.optional(v.pipe(v.string(), v.description("Looked at before warn_if.")), "!= 0"),
    limit: v.optional(
        v.pipe(
            v.number(),
            v.integer("a whole number"),
            v.minValue(1, "1 or more"),
            v.description("At how many failing rows counting ends."),
        ),
    ),
    enabled: v.optional(v.boolean()),
});
/** A test is `unique`, or `accepted_values: {...}`; what is inside depends on the test and is read by `readTest`. */
const testSchema = v.union([v.string(), v.record(v.string(), v.nullable(v.record(v.string(), v.unknown())))]);
const tests = { data_tests: v.optional(v.array(testSchema)), tests: v.optional(v.array(testSchema)) };

const columnSchema = v.strictObject({
    name: v.string(),
    data_type: v.optional(
        v.pipe(
            v.string(),
            v.description("DuckDB's type; held by a contract, and taken for a source that is not there yet."),
        ),
    ),
    quote: v.optional(v.pipe(v.boolean(), v.description("Tests write the name in quotes."))),
    constraints: v.optional(v.pipe(v.array(columnConstraintSchema), v.description("Held by tests.")), []),
    ...described,
    ...tests,
});
const entity = {
    name: v.string(),
    ...described,
    ...tests,
    constraints: v.optional(v.pipe(v.array(modelConstraintSchema), v.description("Held by tests.")), []),
    columns: v.optional(v.array(columnSchema), []),
};

const exportFormat = v.picklist(["csv", "parquet", "json"]);
const exportSchema = v.strictObject({
    as: v.optional(v.pipe(v.string(), v.description("The file's name, without ending. Default: the model's."))),
    format: v.optional(
        v.pipe(
            v.union([exportFormat, v.pipe(v.array(exportFormat), v.minLength(1, "at least one format"))]),
            v.description("Default: csv and parquet. json is an object a line, in <as>.ndjson."),
        ),
    ),
    partition_by: v.optional(
        v.pipe(keys, v.description("Columns by whose values the rows are laid into folders, in Hive's manner.")),
    ),
});
const modelConfigSchema = v.strictObject({
    ...modelConfigEntries,
    unique_key: v.optional(v.pipe(keys, v.description("The columns that tell the rows apart."))),
    incremental_strategy: v.optional(v.picklist(["append", "delete+insert", "merge", "microbatch"])),
    on_schema_change: v.optional(v.picklist(["fail", "ignore", "append_new_columns", "sync_all_columns"])),
    full_refresh: v.optional(v.boolean()),
    merge_update_columns: v.optional(keys),
    merge_exclude_columns: v.optional(keys),
    event_time: v.optional(v.string()),
    batch_size: v.optional(v.picklist(["hour", "day", "month", "year"])),
    lookback: v.optional(v.pipe(v.number(), v.integer("a whole number"), v.minValue(0, "0 or more"))),
    contract: v.optional(
        v.pipe(
            v.strictObject({ enforced: v.optional(v.boolean(), false) }),
            v.description("Enforced: the columns are just those that are declared, each of its data_type."),
        ),
    ),
    export: v.optional(
        v.pipe(
            v.union([v.boolean(), exportSchema]),
            v.description("Published as files in exports/ too, sorted by unique_key."),
        ),
    ),
    meta: v.optional(v.record(v.string(), v.unknown())),
});
const seedConfigSchema = v.strictObject({
    column_types: v.optional(
        v.pipe(v.record(v.string(), v.string()), v.description("Types by column; the others are guessed.")),
        {},
    ),
    delimiter: v.optional(v.string(), ","),
    publish: v.optional(v.boolean(), true),
    enabled: v.optional(v.boolean(), true),
});

const snapshotConfigSchema = v.strictObject({
    unique_key: keys,
    strategy: v.picklist(["timestamp", "check"]),
    updated_at: v.optional(v.string()),
    check_cols: v.optional(v.union([v.literal("all"), v.array(v.string())])),
    hard_deletes: v.optional(v.picklist(["ignore", "invalidate", "new_record"]), "ignore"),
    publish: v.optional(v.boolean(), true),
    enabled: v.optional(v.boolean(), true),
    export: modelConfigSchema.entries.export,
    tags: v.optional(keys),
    meta: v.optional(v.record(v.string(), v.unknown())),
});

const rowsEntries = {
    format: v.optional(v.picklist(["dict", "csv", "sql"]), "dict"),
    rows: v.optional(
        v.pipe(
            v.union([v.string(), v.array(v.record(v.string(), v.unknown()))]),
            v.description("A list of objects, or text where the format is csv or sql."),
        ),
        [],
    ),
};
const rowsSchema = v.strictObject(rowsEntries);
const callsSchema = v.strictObject({
    rows: v.pipe(
        rowsEntries.rows.wrapped,
        v.description("A row a call: the arguments by name, and `expect`. Text where the format is csv."),
    ),
    format: v.optional(v.picklist(["dict", "csv"]), "dict"),
    types: v.optional(
        v.pipe(
            v.record(v.string(), v.string()),
            v.description("Types of arguments; the others are what DuckDB takes the values for."),
        ),
        {},
    ),
});
/** Objects under `format: csv` would be taken for no rows, and the test would pass for want of any. */
function rowsMistake({ format, rows }: Pick<v.InferOutput<typeof rowsSchema>, "format" | "rows">): string | undefined {
    if (Array.isArray(rows) && rows.length === 0) return undefined;
    if ((format === "dict") === Array.isArray(rows)) return undefined;
    return format === "dict"
        ? 'rows are text: say "format: csv" or "format: sql"'
        : `rows are a list, but the format is ${format}`;
}
const overriddenVars = v.optional(v.record(v.string(), scalar), {});
const modelTestSchema = v.strictObject({
    name: v.string(),
    model: v.string(),
    macro: v.optional(v.never()),
    ...described,
    given: v.optional(
        v.array(
            v.strictObject({
                input: v.pipe(v.string(), v.description("ref('model') or source('source', 'table')")),
                ...rowsEntries,
            }),
        ),
        [],
    ),
    expect: rowsSchema,
    overrides: v.optional(
        v.strictObject({
            vars: overriddenVars,
            macros: v.optional(v.strictObject({ is_incremental: v.optional(v.boolean()) }), {}),
        }),
        {},
    ),
});
const macroTestSchema = v.strictObject({
    name: v.string(),
    macro: v.string(),
    model: v.optional(v.never('a unit test is of a "model" or of a "macro", not of both')),
    expect: v.optional(v.never('what a macro is to give stands in each row of "given", as "expect"')),
    ...described,
    given: callsSchema,
    overrides: v.optional(v.strictObject({ vars: overriddenVars }), {}),
});

const thresholdSchema = v.strictObject({
    count: v.pipe(v.number(), v.integer("a whole number"), v.minValue(1, "1 or more")),
    period: v.picklist(["minute", "hour", "day"]),
});
const freshnessEntries = {
    loaded_at_field: v.optional(
        v.pipe(
            v.string(),
            v.description("SQL for the time at which a row was loaded; a timestamp without zone is UTC."),
        ),
    ),
    freshness: v.optional(
        v.pipe(
            v.nullable(
                v.strictObject({
                    warn_after: v.optional(v.nullable(thresholdSchema)),
                    error_after: v.optional(v.nullable(thresholdSchema)),
                    filter: v.optional(v.nullable(v.string())),
                }),
            ),
            v.description(
                "How old the newest row may be; null switches off what the source says for all of its tables.",
            ),
        ),
    ),
};
/** dbt has them below `config:` since its version 1.9, beside it before. */
const freshnessKeys = { ...freshnessEntries, config: v.optional(v.strictObject(freshnessEntries), {}) };
type FreshnessKeys = v.InferOutput<v.StrictObjectSchema<typeof freshnessEntries, undefined>>;

/** What a YAML file may hold. */
export const fileSchema = v.strictObject({
    version: v.optional(v.number()),
    models: v.optional(v.array(v.strictObject({ ...entity, config: v.optional(modelConfigSchema, {}) })), []),
    snapshots: v.optional(
        v.array(v.strictObject({ ...entity, relation: v.string(), config: snapshotConfigSchema })),
        [],
    ),
    seeds: v.optional(v.array(v.strictObject({ ...entity, config: v.optional(seedConfigSchema, {}) })), []),
    sources: v.optional(
        v.array(
            v.strictObject({
                name: v.string(),
                ...described,
                database: v.optional(
                    v.pipe(v.string(), v.description("A file that the target attaches: a key of its `attach`.")),
                ),
                schema: v.optional(v.string()),
                loader: v.optional(v.string()),
                ...freshnessKeys,
                tables: v.optional(
                    v.array(v.strictObject({ ...entity, ...freshnessKeys, identifier: v.optional(v.string()) })),
                    [],
                ),
            }),
        ),
        [],
    ),
    macros: v.optional(
        v.array(
            v.strictObject({
                name: v.string(),
                ...described,
                arguments: v.optional(
                    v.array(v.strictObject({ name: v.string(), type: v.optional(v.string()), description: text })),
                    [],
                ),
            }),
        ),
        [],
    ),
    unit_tests: v.optional(v.array(v.variant("macro", [modelTestSchema, macroTestSchema])), []),
    data_tests: v.optional(
        v.array(v.strictObject({ name: v.string(), ...described, config: v.optional(testConfigSchema, {}) })),
        [],
    ),
});

const nothing: Properties = {
    models: [],
    snapshots: [],
    seeds: [],
    sources: [],
    macros: [],
    unitTests: [],
    macroTests: [],
    tests: [],
};

/** Reads one YAML file. Mistakes are added to `problems`; a file with any gives nothing. */
export function readProperties(file: SourceFile, problems: Problem[]): Properties {
    const yaml = readYaml(file, problems);
    if (yaml === undefined) return nothing;
    const { data, at } = yaml;
    const keyAt = (path: Path): Position => at(path, "key");
    const result = validate(fileSchema, data);
    if (!result.ok) {
        for (const { path, message } of result.mistakes) problems.push({ message, at: at(path, "key") });
        return nothing;
    }
    const value = result.value;

    const readTests = (owner: Testable, path: Path): TestProperty[] =>
        (["data_tests", "tests"] as const).flatMap((key) =>
            (owner[key] ?? []).flatMap((_, i) => readTest(data, [...path, key, i], at, problems)),
        );
    // What is said twice, as a test and as a constraint, is tested once.
    const withConstraints = (written: readonly TestProperty[], held: readonly HeldTest[]): TestProperty[] => {
        const all = [...written];
        for (const { generic, args, path } of held) {
            const isAlike = (test: TestProperty): boolean =>
                test.generic === generic && JSON.stringify(test.args) === JSON.stringify(args);
            if (all.some(isAlike)) continue;
            all.push({
                generic,
                args,
                description: "",
                config: strictTestConfig(v.parse(testConfigSchema, {})),
                at: at(path),
            });
        }
        return all;
    };
    const rejectUnknownColumns = (item: EntityInput, path: Path): void => {
        const declared = item.columns.map(({ name }) => name);
        for (const [i, { columns }] of item.constraints.entries()) {
            for (const name of columns.filter((column) => !declared.includes(column))) {
                const message = `a constraint names the column "${name}", which is not declared.${didYouMean(name, declared)}`;
                problems.push({ message, at: at([...path, "constraints", i]) });
            }
        }
    };
    const heldBy = <T>(
        constraints: readonly T[],
        path: Path,
        testsOf: (constraint: T) => ConstraintTest[],
    ): HeldTest[] =>
        constraints.flatMap((each, i) => testsOf(each).map((test) => ({ ...test, path: [...path, "constraints", i] })));
    const readEntity = <C>(item: EntityInput, config: C, path: Path): Entity<C> => {
        rejectUnknownColumns(item, path);
        return {
            name: item.name,
            description: item.description,
            config,
            at: at([...path, "name"]),
            keyAt: (key) => keyAt([...path, "config", key]),
            tests: withConstraints(readTests(item, path), heldBy(item.constraints, path, partOfModel)),
            tags: tagList(item.tags),
            meta: item.meta ?? {},
            columns: item.columns.map((column, i) => ({
                name: column.name,
                description: column.description,
                ...(column.data_type === undefined ? {} : { dataType: column.data_type }),
                isQuoted: column.quote ?? false,
                tags: tagList(column.tags),
                meta: column.meta ?? {},
                tests: withConstraints(readTests(column, [...path, "columns", i]), [
                    ...heldBy(column.constraints, [...path, "columns", i], testsOfColumn),
                    ...heldBy(item.constraints, path, (constraint) => partOfColumn(constraint, column.name)),
                ]),
                at: at([...path, "columns", i, "name"]),
            })),
        };
    };

    const rowsAt = ({ rows }: Pick<v.InferOutput<typeof rowsSchema>, "rows">, path: Path): RowsAt => ({
        all: keyAt([...path, "rows"]),
        each: typeof rows === "string" ? [] : rows.map((_, i) => at([...path, "rows", i])),
    });

    for (const [i, test] of value.unit_tests.entries()) {
        for (const part of test.macro === undefined ? [...test.given, test.expect] : [test.given]) {
            const message = rowsMistake(part);
            if (message !== undefined) problems.push({ message, at: at(["unit_tests", i, "name"]) });
        }
    }
    return {
        models: value.models.map((item, i) => readEntity(item, withTags(item.config, item.tags), ["models", i])),
        snapshots: value.snapshots.map((item, i) => ({
            ...readEntity(item, { ...item.config, tags: [item.config.tags ?? [], item.tags ?? []].flat() }, [
                "snapshots",
                i,
            ]),
            relation: item.relation,
            file,
        })),
        seeds: value.seeds.map((item, i) => readEntity(item, item.config, ["seeds", i])),
        sources: value.sources.flatMap((source, s) =>
            source.tables.map((table, t) => {
                const path = ["sources", s, "tables", t];
                const entries = readEntity(table, {}, path);
                const freshness = readFreshness([table, path], [source, ["sources", s]], {
                    keyAt,
                    reject: (message) =>
                        problems.push({ message: `"${source.name}.${table.name}" ${message}`, at: entries.at }),
                });
                return {
                    ...entries,
                    ...(freshness === undefined ? {} : { freshness }),
                    tags: tagList(source.tags).concat(tagList(table.tags)),
                    meta: { ...source.meta, ...table.meta },
                    source: source.name,
                    sourceDescription: source.description,
                    loader: source.loader ?? "",
                    ...(source.database === undefined ? {} : { database: source.database }),
                    schema: source.schema ?? source.name,
                    identifier: table.identifier ?? table.name,
                };
            }),
        ),
        macros: value.macros.map((macro, i) => ({
            name: macro.name,
            description: macro.description,
            parameters: macro.arguments.map((argument) => argument.name),
            at: at(["macros", i, "name"]),
        })),
        unitTests: value.unit_tests.flatMap((test, i): UnitTest[] => {
            if (test.macro !== undefined) return [];
            return [
                {
                    name: test.name,
                    model: test.model,
                    description: test.description,
                    given: test.given.map((given, g) => ({
                        input: given.input,
                        rows: readRows(given),
                        rowsAt: rowsAt(given, ["unit_tests", i, "given", g]),
                        at: at(["unit_tests", i, "given", g, "input"]),
                    })),
                    expected: readRows(test.expect),
                    expectedAt: rowsAt(test.expect, ["unit_tests", i, "expect"]),
                    vars: test.overrides.vars,
                    isIncremental: test.overrides.macros.is_incremental ?? false,
                    at: at(["unit_tests", i, "name"]),
                },
            ];
        }),
        macroTests: value.unit_tests.flatMap((test, i): MacroTest[] => {
            if (test.macro === undefined) return [];
            const { rows } = test.given;
            return [
                {
                    name: test.name,
                    macro: test.macro,
                    rows: typeof rows === "string" ? csvObjects(rows) : rows,
                    rowsAt: rowsAt(test.given, ["unit_tests", i, "given"]),
                    types: test.given.types,
                    typesAt: keyAt(["unit_tests", i, "given", "types"]),
                    vars: test.overrides.vars,
                    macroAt: at(["unit_tests", i, "macro"]),
                    at: at(["unit_tests", i, "name"]),
                },
            ];
        }),
        tests: value.data_tests.map((test, i) => ({
            name: test.name,
            description: test.description,
            columns: [],
            tests: [],
            tags: tagList(test.tags),
            meta: test.meta ?? {},
            config: strictTestConfig(test.config),
            at: at(["data_tests", i, "name"]),
            keyAt: (key) => keyAt(["data_tests", i, "config", key]),
        })),
    };
}

type Owner = readonly [FreshnessKeys & { readonly config: FreshnessKeys }, Path];

/** As in dbt: the table's own thresholds come before those of its source, one by one. */
function readFreshness(
    table: Owner,
    source: Owner,
    { keyAt, reject }: { keyAt: (path: Path) => Position; reject: (message: string) => void },
): Freshness | undefined {
    const placesOf = ([keys, path]: Owner) => [
        { keys: keys.config, path: [...path, "config"] },
        { keys, path },
    ];
    const own = placesOf(table).find(({ keys }) => keys.freshness !== undefined);
    const inherited = placesOf(source).find(({ keys }) => keys.freshness !== undefined);
    if (own?.keys.freshness === null) return undefined;
    const { warn_after, error_after, filter } = { ...inherited?.keys.freshness, ...own?.keys.freshness };
    if (!warn_after && !error_after) return undefined;
    const field = [...placesOf(table), ...placesOf(source)].find(({ keys }) => keys.loaded_at_field !== undefined);
    if (field?.keys.loaded_at_field === undefined) {
        reject("has a freshness, but no loaded_at_field that tells when a row was loaded");
        return undefined;
    }
    const filterOf = own?.keys.freshness?.filter === undefined ? inherited : own;
    return {
        loadedAtField: field.keys.loaded_at_field,
        ...(warn_after ? { warnAfter: warn_after } : {}),
        ...(error_after ? { errorAfter: error_after } : {}),
        ...(filter ? { filter } : {}),
        loadedAtFieldAt: keyAt([...field.path, "loaded_at_field"]),
        filterAt: keyAt([...(filterOf?.path ?? []), "freshness", "filter"]),
    };
}

function readRows({ format, rows }: v.InferOutput<typeof rowsSchema>): Rows {
    if (typeof rows === "string") return { format: format === "sql" ? "sql" : "csv", text: rows };
    return { format: "dict", rows };
}

interface Testable {
    readonly data_tests?: unknown[] | undefined;
    readonly tests?: unknown[] | undefined;
}
interface Described {
    readonly name: string;
    readonly description: string;
    readonly tags?: string | readonly string[] | undefined;
    readonly meta?: Meta | undefined;
}
/** A test that holds a constraint, which stands at `path`. */
interface HeldTest extends ConstraintTest {
    readonly path: Path;
}
interface EntityInput extends Testable, Described {
    readonly constraints: readonly ModelConstraint[];
    readonly columns: readonly (Testable &
        Described & {
            constraints: readonly ColumnConstraint[];
            data_type?: string | undefined;
            quote?: boolean | undefined;
        })[];
}

function withTags(config: ModelProperties, tags: v.InferOutput<typeof keys> | undefined): ModelProperties {
    return { ...config, tags: [config.tags ?? [], tags ?? []].flat() };
}

function strictTestConfig(config: v.InferOutput<typeof testConfigSchema>): TestConfig {
    return {
        severity: config.severity ?? "error",
        enabled: config.enabled ?? true,
        warnIf: config.warn_if,
        errorIf: config.error_if,
        ...(config.limit === undefined ? {} : { limit: config.limit }),
        ...(config.where === undefined ? {} : { where: config.where }),
    };
}

const argument = v.union([scalar, v.array(scalar)]);
const settingKeys = ["severity", "where", "warn_if", "error_if", "limit", "enabled"];
const testKeys = [...settingKeys, "name", "description", "config", "arguments", "meta", "tags"];

/** One entry of a `data_tests:` list: dbt's forms with arguments beside `config:`, or below `arguments:`. */
function readTest(data: unknown, path: Path, at: YamlFile["at"], problems: Problem[]): TestProperty[] {
    const entry = path.reduce<unknown>((node, key) => (node as Record<string | number, unknown>)[key], data);
    if (typeof entry === "string") {
        return [
            {
                generic: entry,
                description: "",
                args: {},
                config: strictTestConfig(v.parse(testConfigSchema, {})),
                at: at(path),
            },
        ];
    }
    const [[generic, raw] = ["", null], ...more] = Object.entries(
        entry as Record<string, Record<string, unknown> | null>,
    );
    if (more.length > 0 || generic === "") {
        const names = [generic, ...more.map(([name]) => name)].map((name) => `"${name}"`).join(" and ");
        problems.push({
            message: `a test has one name, this has ${names}: indent what belongs to "${generic}" below it`,
            at: at(path),
        });
        return [];
    }
    const body = raw ?? {};
    const inside = [...path, generic];
    const beside = Object.fromEntries(Object.entries(body).filter(([key]) => settingKeys.includes(key)));
    const settings = { ...beside, ...(body.config as object | undefined) };
    const config = validate(testConfigSchema, settings);
    const rest = Object.fromEntries(Object.entries(body).filter(([key]) => !testKeys.includes(key)));
    const args = validate(v.record(v.string(), argument), { ...rest, ...(body.arguments as object | undefined) });
    if (!config.ok || !args.ok) {
        for (const { path: below, message } of config.ok ? [] : config.mistakes) {
            problems.push({ message, at: at([...inside, "config", ...below], "key") });
        }
        for (const { path: below, message } of args.ok ? [] : args.mistakes) {
            problems.push({ message, at: at([...inside, ...below], "key") });
        }
        return [];
    }
    return [
        {
            generic,
            description: typeof body.description === "string" ? body.description : "",
            ...(typeof body.name === "string" ? { name: body.name } : {}),
            args: args.value,
            config: strictTestConfig(config.value),
            at: at(inside, "key"),
        },
    ];
}
