import * as v from "valibot";
import { isMap, type Node, parseDocument } from "yaml";
import { modelConfigEntries, tagList, type Var } from "./config.ts";
import type { Position, Problem, SourceFile } from "./problem.ts";
import { validate } from "./validate.ts";

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
}

export type ModelProperties = v.InferOutput<typeof modelConfigSchema>;
export type SeedProperties = v.InferOutput<typeof seedConfigSchema>;

export interface SourceTable extends Entity {
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

/** What a model must make of given rows. */
export interface UnitTest {
    readonly name: string;
    readonly model: string;
    readonly description: string;
    readonly given: readonly { readonly input: string; readonly rows: Rows; readonly at: Position }[];
    readonly expected: Rows;
    readonly vars: Readonly<Record<string, Var>>;
    readonly at: Position;
}

/** Everything that one YAML file declares. */
export interface Properties {
    readonly models: readonly Entity<ModelProperties>[];
    readonly seeds: readonly Entity<SeedProperties>[];
    readonly sources: readonly SourceTable[];
    readonly macros: readonly MacroProperties[];
    readonly unitTests: readonly UnitTest[];
    readonly tests: readonly (Entity<Partial<TestConfig>> & { readonly config: Partial<TestConfig> })[];
}

const scalar = v.union([v.string(), v.number(), v.boolean()]);
const text = v.optional(v.string(), "");
const keys = v.union([v.string(), v.array(v.string())]);
const described = { description: text, meta: v.optional(v.record(v.string(), v.unknown())), tags: v.optional(keys) };

const testConfigSchema = v.strictObject({
    severity: v.optional(v.pipe(v.string(), v.toLowerCase(), v.picklist(["error", "warn"]))),
    where: v.optional(v.string()),
    warn_if: v.optional(v.string(), "!= 0"),
    error_if: v.optional(v.string(), "!= 0"),
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
    enabled: v.optional(v.boolean()),
});
/** A test is `unique`, or `accepted_values: {...}`; what is inside depends on the test and is read by `readTest`. */
const testSchema = v.union([v.string(), v.record(v.string(), v.nullable(v.record(v.string(), v.unknown())))]);
const tests = { data_tests: v.optional(v.array(testSchema)), tests: v.optional(v.array(testSchema)) };

const columnSchema = v.strictObject({
    name: v.string(),
    data_type: v.optional(v.string()),
    quote: v.optional(v.boolean()),
    ...described,
    ...tests,
});
const entity = { name: v.string(), ...described, ...tests, columns: v.optional(v.array(columnSchema), []) };

const modelConfigSchema = v.strictObject({
    ...modelConfigEntries,
    unique_key: v.optional(keys),
    contract: v.optional(v.strictObject({ enforced: v.optional(v.boolean(), false) })),
    export: v.optional(v.union([v.boolean(), v.strictObject({ as: v.optional(v.string()) })])),
    meta: v.optional(v.record(v.string(), v.unknown())),
});
const seedConfigSchema = v.strictObject({
    column_types: v.optional(v.record(v.string(), v.string()), {}),
    delimiter: v.optional(v.string(), ","),
    publish: v.optional(v.boolean(), true),
    enabled: v.optional(v.boolean(), true),
});

const rowsEntries = {
    format: v.optional(v.picklist(["dict", "csv", "sql"]), "dict"),
    rows: v.optional(v.union([v.string(), v.array(v.record(v.string(), v.unknown()))]), []),
};
const rowsSchema = v.strictObject(rowsEntries);
/** Objects under `format: csv` would be taken for no rows, and the test would pass for want of any. */
function rowsMistake({ format, rows }: v.InferOutput<typeof rowsSchema>): string | undefined {
    if (Array.isArray(rows) && rows.length === 0) return undefined;
    if ((format === "dict") === Array.isArray(rows)) return undefined;
    return format === "dict"
        ? 'rows are text: say "format: csv" or "format: sql"'
        : `rows are a list, but the format is ${format}`;
}
const unitTestSchema = v.strictObject({
    name: v.string(),
    model: v.string(),
    ...described,
    given: v.optional(v.array(v.strictObject({ input: v.string(), ...rowsEntries })), []),
    expect: rowsSchema,
    overrides: v.optional(v.strictObject({ vars: v.optional(v.record(v.string(), scalar), {}) }), {}),
});

const fileSchema = v.strictObject({
    version: v.optional(v.number()),
    models: v.optional(v.array(v.strictObject({ ...entity, config: v.optional(modelConfigSchema, {}) })), []),
    seeds: v.optional(v.array(v.strictObject({ ...entity, config: v.optional(seedConfigSchema, {}) })), []),
    sources: v.optional(
        v.array(
            v.strictObject({
                name: v.string(),
                ...described,
                database: v.optional(v.string()),
                schema: v.optional(v.string()),
                loader: v.optional(v.string()),
                tables: v.optional(v.array(v.strictObject({ ...entity, identifier: v.optional(v.string()) })), []),
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
    unit_tests: v.optional(v.array(unitTestSchema), []),
    data_tests: v.optional(
        v.array(v.strictObject({ name: v.string(), ...described, config: v.optional(testConfigSchema, {}) })),
        [],
    ),
});

const nothing: Properties = { models: [], seeds: [], sources: [], macros: [], unitTests: [], tests: [] };

/** Reads one YAML file. Mistakes are added to `problems`; a file with any gives nothing. */
export function readProperties(file: SourceFile, problems: Problem[]): Properties {
    const document = parseDocument(file.text, { merge: true });
    if (document.errors.length > 0) {
        for (const error of document.errors) {
            const message = (error.message.split(" at line ")[0] ?? error.message).replace(/^[A-Z]/, (c) =>
                c.toLowerCase(),
            );
            problems.push({ message, at: { file, offset: error.pos[0] } });
        }
        return nothing;
    }
    const data: unknown = document.toJS();
    if (data === null || data === undefined) return nothing;
    const at = (path: Path, side: "key" | "value" = "value"): Position => {
        return { file, offset: offsetOf(document.contents, path, side) };
    };
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
    const readEntity = <C>(item: EntityInput, config: C, path: Path): Entity<C> => ({
        name: item.name,
        description: item.description,
        config,
        at: at([...path, "name"]),
        tests: readTests(item, path),
        tags: tagList(item.tags),
        meta: item.meta ?? {},
        columns: item.columns.map((column, i) => ({
            name: column.name,
            description: column.description,
            ...(column.data_type === undefined ? {} : { dataType: column.data_type }),
            isQuoted: column.quote ?? false,
            tags: tagList(column.tags),
            meta: column.meta ?? {},
            tests: readTests(column, [...path, "columns", i]),
            at: at([...path, "columns", i, "name"]),
        })),
    });

    for (const [i, test] of value.unit_tests.entries()) {
        for (const part of [...test.given, test.expect]) {
            const message = rowsMistake(part);
            if (message !== undefined) problems.push({ message, at: at(["unit_tests", i, "name"]) });
        }
    }
    return {
        models: value.models.map((item, i) => readEntity(item, withTags(item.config, item.tags), ["models", i])),
        seeds: value.seeds.map((item, i) => readEntity(item, item.config, ["seeds", i])),
        sources: value.sources.flatMap((source, s) =>
            source.tables.map((table, t) => ({
                ...readEntity(table, {}, ["sources", s, "tables", t]),
                tags: tagList(source.tags).concat(tagList(table.tags)),
                meta: { ...source.meta, ...table.meta },
                source: source.name,
                sourceDescription: source.description,
                loader: source.loader ?? "",
                ...(source.database === undefined ? {} : { database: source.database }),
                schema: source.schema ?? source.name,
                identifier: table.identifier ?? table.name,
            })),
        ),
        macros: value.macros.map((macro, i) => ({
            name: macro.name,
            description: macro.description,
            parameters: macro.arguments.map((argument) => argument.name),
            at: at(["macros", i, "name"]),
        })),
        unitTests: value.unit_tests.map((test, i) => ({
            name: test.name,
            model: test.model,
            description: test.description,
            given: test.given.map((given, g) => ({
                input: given.input,
                rows: readRows(given),
                at: at(["unit_tests", i, "given", g, "input"]),
            })),
            expected: readRows(test.expect),
            vars: test.overrides.vars ?? {},
            at: at(["unit_tests", i, "name"]),
        })),
        tests: value.data_tests.map((test, i) => ({
            name: test.name,
            description: test.description,
            columns: [],
            tests: [],
            tags: tagList(test.tags),
            meta: test.meta ?? {},
            config: strictTestConfig(test.config),
            at: at(["data_tests", i, "name"]),
        })),
    };
}

function readRows({ format, rows }: v.InferOutput<typeof rowsSchema>): Rows {
    if (typeof rows === "string") return { format: format === "sql" ? "sql" : "csv", text: rows };
    return { format: "dict", rows };
}

type Path = readonly (string | number)[];
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
interface EntityInput extends Testable, Described {
    readonly columns: readonly (Testable &
        Described & {
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
function readTest(
    data: unknown,
    path: Path,
    at: (path: Path, side?: "key" | "value") => Position,
    problems: Problem[],
): TestProperty[] {
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

/** Where the node at `path` begins, or the deepest node on the way that exists. */
function offsetOf(contents: Node | null, path: Path, side: "key" | "value"): number {
    let node: unknown = contents;
    let offset = contents?.range?.[0] ?? 0;
    path.forEach((key, i) => {
        const last = i === path.length - 1;
        if (isMap(node)) {
            const pair = node.items.find((item) => String((item.key as { value?: unknown })?.value) === String(key));
            const keyOffset = (pair?.key as Node | undefined)?.range?.[0];
            if (keyOffset !== undefined) offset = keyOffset;
            node = pair?.value;
            if (last && side === "value") offset = (node as Node | undefined)?.range?.[0] ?? offset;
        } else {
            node = (node as { get?: (key: unknown, keep: boolean) => unknown } | undefined)?.get?.(key, true);
            offset = (node as Node | undefined)?.range?.[0] ?? offset;
        }
    });
    return offset;
}
