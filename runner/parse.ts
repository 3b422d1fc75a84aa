import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { didYouMean } from "../common/nearest.ts";
import {
    configFile,
    folderConfig,
    loadConfig,
    loadTarget,
    type Materialization,
    type StrictConfig,
    type StrictTarget,
    tagList,
    type Var,
} from "./config.ts";
import { failOn, formatPosition, type Position, type Problem, type SourceFile } from "./problem.ts";
import {
    type Argument,
    type ColumnProperty,
    type Entity,
    type Properties,
    readProperties,
    type Severity,
    type TestProperty,
} from "./properties.ts";
import { parseTemplate, type Template, tagsOf } from "./template.ts";

/** A SELECT in a file of models/. */
export interface Model {
    readonly kind: "model";
    readonly name: string;
    readonly file: SourceFile;
    readonly template: Template;
    readonly materialized: Materialization;
    readonly publish: boolean;
    /** The columns that tell the rows apart; exports are sorted by them, failing rows are named by them. */
    readonly uniqueKey: readonly string[];
    /** The file name, without ending, under which the model is exported. */
    readonly exportAs?: string;
    readonly description: string;
    readonly columns: readonly ColumnProperty[];
    readonly tags: readonly string[];
    /** What the model reads: names of models, seeds and sources ("openlibrary.search_pages"). */
    readonly parents: readonly string[];
}

/** A CSV file of seeds/. */
export interface Seed {
    readonly kind: "seed";
    readonly name: string;
    readonly file: SourceFile;
    readonly columnTypes: Readonly<Record<string, string>>;
    readonly delimiter: string;
    readonly publish: boolean;
    readonly description: string;
    readonly columns: readonly ColumnProperty[];
    readonly parents: readonly [];
}

/** A table that something else fills; `name` is "source.table". */
export interface Source {
    readonly kind: "source";
    readonly name: string;
    readonly database?: string;
    readonly schema: string;
    readonly identifier: string;
    readonly description: string;
    readonly columns: readonly ColumnProperty[];
    readonly declaredAt: Position;
    readonly parents: readonly [];
}

/** A query that returns the rows that should not be there. */
export interface DataTest {
    readonly kind: "test";
    readonly name: string;
    readonly template: Template;
    /** The generic test that it is an instance of; absent for a .sql file of tests/. */
    readonly generic?: string;
    readonly args: Readonly<Record<string, Argument>>;
    /** The node that the test was declared on; absent for a .sql file of tests/. */
    readonly on?: string;
    readonly column?: string;
    readonly severity: Severity;
    readonly where?: string;
    readonly description: string;
    readonly declaredAt: Position;
    readonly parents: readonly string[];
}

export interface Macro {
    readonly name: string;
    readonly template: Template;
    readonly parameters: readonly string[];
    readonly description: string;
}

export type Node = Model | Seed | Source | DataTest;

/** A project as its files say it is, every name checked. */
export interface Project {
    readonly root: string;
    readonly config: StrictConfig;
    readonly target: StrictTarget;
    readonly vars: Readonly<Record<string, Var>>;
    readonly nodes: ReadonlyMap<string, Node>;
    readonly macros: ReadonlyMap<string, Macro>;
}

export interface ParseOptions {
    readonly target?: string | undefined;
    readonly vars?: Readonly<Record<string, Var>> | undefined;
}

/** The engine whose folder in macros/ is read beside the macros for all engines. */
const dialect = "duckdb";
const builtInTests = join(import.meta.dirname, "generic_tests");
const nameForm = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Reads the project in folder `root`.
 * @throws ProjectError with every mistake found in its files.
 */
export async function parse(root: string, options: ParseOptions = {}): Promise<Project> {
    const config = await loadConfig(root);
    const target = await loadTarget(root, options.target ?? config.target);
    const vars = { ...config.vars, ...target.vars, ...options.vars };
    const problems: Problem[] = [];
    const files = ["models", "seeds", "macros", "tests"].flatMap((folder) => readFolder(root, folder));
    const properties = mergeProperties(
        files.filter((file) => /\.ya?ml$/.test(file.path)).map((file) => readProperties(file, problems)),
    );
    const inFolder = (folder: string, ending: string): SourceFile[] =>
        files.filter((file) => file.path.startsWith(`${folder}/`) && file.path.endsWith(ending));

    const macros = readMacros(inFolder("macros", ".sql"), properties, problems);
    const generic = new Map(
        [...readFiles(builtInTests, "generic_tests"), ...inFolder("tests/generic", ".sql")].map((file) => [
            basename(file.path, ".sql"),
            parseTemplate(file, problems),
        ]),
    );
    const models = readModels(inFolder("models", ".sql"), properties, config, problems);
    const seeds = readSeeds(inFolder("seeds", ".csv"), properties);
    const sources = properties.sources.map(toSource);
    const relations = unique([...models, ...seeds, ...sources], problems);
    rejectUndeclared(properties, relations, problems);

    const names = new NameChecker(relations, macros, vars, problems);
    for (const macro of macros.values()) names.check(macro.template, macro.parameters, macro.name);
    const withParents = models.map((model): Model => ({ ...model, parents: names.check(model.template) }));
    const singular = inFolder("tests", ".sql")
        .filter((file) => !file.path.startsWith("tests/generic/"))
        .map((file) => readSingularTest(file, properties, names, problems))
        .filter((test) => test !== undefined);
    const instances = [...models, ...seeds].flatMap((node) =>
        genericTests(node, testsOf(node, properties), { generic, names, relations, problems }),
    );
    const sourceTests = sources.flatMap((source) =>
        genericTests(
            source,
            properties.sources.find((table) => sourceName(table) === source.name),
            { generic, names, relations, problems },
        ),
    );
    const tests = unique([...sourceTests, ...instances, ...singular], problems);
    failOn(problems);
    const nodes = new Map<string, Node>([...relations, ...tests]);
    for (const model of withParents) nodes.set(model.name, model);
    return { root, config, target, vars, nodes, macros };
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
        ...{ uniqueKey: [], description: "", columns: [], tags: [] },
    };
    return { ...project, nodes: new Map([...project.nodes, ["inline", inline]]) };
}

/** The files below a folder of the project, sorted by path. A folder that is a project of its own is not looked into. */
function readFolder(root: string, folder: string): SourceFile[] {
    const path = join(root, folder);
    if (!existsSync(path) || existsSync(join(path, configFile))) return [];
    return readFiles(path, folder, (name) => readFolder(root, `${folder}/${name}`));
}

function readFiles(path: string, prefix: string, inner: (folder: string) => SourceFile[] = () => []): SourceFile[] {
    return readdirSync(path, { withFileTypes: true })
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .flatMap((entry) => {
            if (entry.isDirectory()) return inner(entry.name);
            if (!/\.(sql|ya?ml|csv)$/.test(entry.name)) return [];
            return [{ path: `${prefix}/${entry.name}`, text: readFileSync(join(path, entry.name), "utf8") }];
        });
}

function mergeProperties(all: readonly Properties[]): Properties {
    return {
        models: all.flatMap((p) => p.models),
        seeds: all.flatMap((p) => p.seeds),
        sources: all.flatMap((p) => p.sources),
        macros: all.flatMap((p) => p.macros),
        tests: all.flatMap((p) => p.tests),
    };
}

function readMacros(files: SourceFile[], properties: Properties, problems: Problem[]): Map<string, Macro> {
    const macros = new Map<string, Macro>();
    for (const file of files) {
        const name = basename(file.path, ".sql");
        const folder = dirname(file.path).split("/").slice(1);
        if (folder.length > 0 && folder[0] !== dialect) continue;
        const declared = properties.macros.find((macro) => macro.name === name);
        // The engine's own file takes the place of the one for all engines.
        if (macros.has(name) && folder.length === 0) continue;
        macros.set(name, {
            name,
            template: parseTemplate(file, problems),
            parameters: declared?.parameters ?? [],
            description: declared?.description ?? "",
        });
    }
    for (const { name, at } of properties.macros) {
        if (!macros.has(name)) problems.push({ message: `macro "${name}" has no file macros/${name}.sql`, at });
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
        const exported = own.export === true ? {} : own.export || undefined;
        if (exported !== undefined && (own.unique_key === undefined || materialized === "ephemeral")) {
            const why = materialized === "ephemeral" ? "is ephemeral" : "has no unique_key to sort it by";
            problems.push({ message: `model "${name}" can't be exported: it ${why}`, ...atOf(declared) });
        }
        return [
            {
                kind: "model",
                name,
                file,
                template: parseTemplate(file, problems),
                materialized,
                publish: materialized !== "ephemeral" && (own.publish ?? inherited.publish ?? true),
                uniqueKey: [own.unique_key ?? []].flat(),
                ...(exported === undefined ? {} : { exportAs: exported.as ?? name }),
                description: declared?.description ?? "",
                columns: declared?.columns ?? [],
                tags: [...tagList(inherited.tags), ...tagList(own.tags)],
                parents: [],
            },
        ];
    });
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
                delimiter: config.delimiter,
                publish: config.publish,
                description: declared?.description ?? "",
                columns: declared?.columns ?? [],
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
        description: table.description,
        columns: table.columns,
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
    for (const node of nodes) {
        const other = byName.get(node.name);
        if (other !== undefined) {
            const remedy = node.kind === "test" ? '. Give one of them a "name"' : "";
            const message = `there are two nodes "${node.name}": the other is at ${formatPosition(placeOf(other))}${remedy}`;
            problems.push({ message, at: placeOf(node) });
        } else if (node.kind !== "test" && !node.name.split(".").every((part) => nameForm.test(part))) {
            const message = `"${node.name}" is no name for a ${node.kind}: use letters, digits and "_"`;
            problems.push({ message, at: placeOf(node) });
        }
        byName.set(node.name, node);
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

function atOf(declared: Entity | undefined): { at?: Position } {
    return declared === undefined ? {} : { at: declared.at };
}

/** Checks every name in a template and gives what the template reads, macros included. */
class NameChecker {
    private readonly relations: ReadonlyMap<string, Node>;
    private readonly macros: ReadonlyMap<string, Macro>;
    private readonly vars: Readonly<Record<string, Var>>;
    private readonly problems: Problem[];

    constructor(
        relations: ReadonlyMap<string, Node>,
        macros: ReadonlyMap<string, Macro>,
        vars: Readonly<Record<string, Var>>,
        problems: Problem[],
    ) {
        this.relations = relations;
        this.macros = macros;
        this.vars = vars;
        this.problems = problems;
    }

    /** `own` are names that mean something in this file only: a macro's parameters, a generic test's arguments. */
    check(template: Template, own: readonly string[] = [], within?: string): string[] {
        const parents = new Set<string>();
        for (const tag of tagsOf(template.parts)) {
            const at = { file: template.file, offset: tag.start };
            const report = (message: string): void => void this.problems.push({ message, at });
            if (tag.kind === "call") {
                const macro = this.macro(tag.name, tag.args.length, report);
                if (macro === undefined) continue;
                if (this.reaches(macro, within ?? "", new Set())) report(`macro "${tag.name}" calls itself`);
                else for (const parent of this.parentsOf(macro)) parents.add(parent);
            } else if (!own.includes(tag.name)) {
                const parent = this.value(tag.name, own, report);
                if (parent !== undefined) parents.add(parent);
            }
        }
        return [...parents];
    }

    private macro(name: string, given: number, report: (message: string) => void): Macro | undefined {
        const macro = this.macros.get(name);
        if (macro === undefined) {
            report(`unknown macro "${name}".${didYouMean(name, this.macros.keys())}`);
        } else if (macro.parameters.length !== given) {
            const expected = macro.parameters.length;
            const names = expected === 0 ? "" : ` (${macro.parameters.join(", ")})`;
            report(`macro "${name}" takes ${expected} argument${expected === 1 ? "" : "s"}${names}, not ${given}`);
        }
        return macro;
    }

    private value(name: string, own: readonly string[], report: (message: string) => void): string | undefined {
        const [kind = "", ...rest] = name.split(".");
        const target = rest.join(".");
        if (kind === "vars") {
            if (!Object.hasOwn(this.vars, target)) {
                report(`unknown var "${target}".${didYouMean(target, Object.keys(this.vars))}`);
            }
            return undefined;
        }
        if (kind !== "ref" && kind !== "source") {
            const known = [...own, ...["ref.", "source.", "vars."].map((prefix) => `${prefix}${target || name}`)];
            const macro = this.macros.has(name) ? ` A macro is called as {{#${name}}}...{{/${name}}}` : "";
            report(`unknown name "${name}".${macro || didYouMean(name, known)}`);
            return undefined;
        }
        const node = this.relations.get(target);
        if (node !== undefined && (node.kind === "source") === (kind === "source")) return target;
        const candidates = [...this.relations.values()]
            .filter((other) => (other.kind === "source") === (kind === "source"))
            .map((other) => other.name);
        report(`unknown ${kind} "${target}".${didYouMean(target, candidates)}`);
        return undefined;
    }

    private reaches(macro: Macro, name: string, seen: Set<string>): boolean {
        if (macro.name === name) return true;
        if (seen.has(macro.name)) return false;
        seen.add(macro.name);
        return this.calledBy(macro).some((called) => this.reaches(called, name, seen));
    }

    private calledBy(macro: Macro): Macro[] {
        return [...tagsOf(macro.template.parts)].flatMap((tag) => {
            const called = tag.kind === "call" ? this.macros.get(tag.name) : undefined;
            return called === undefined ? [] : [called];
        });
    }

    private parentsOf(macro: Macro, seen = new Set<string>()): string[] {
        if (seen.has(macro.name)) return [];
        seen.add(macro.name);
        const own = [...tagsOf(macro.template.parts)].flatMap((tag) => {
            const [, target] = /^(?:ref|source)\.(.+)$/.exec(tag.kind === "value" ? tag.name : "") ?? [];
            return target !== undefined && this.relations.has(target) ? [target] : [];
        });
        return [...own, ...this.calledBy(macro).flatMap((called) => this.parentsOf(called, seen))];
    }
}

function readSingularTest(
    file: SourceFile,
    properties: Properties,
    names: NameChecker,
    problems: Problem[],
): DataTest | undefined {
    const name = basename(file.path, ".sql");
    const declared = properties.tests.find((test) => test.name === name);
    if (declared?.config.enabled === false) return undefined;
    const template = parseTemplate(file, problems);
    return {
        kind: "test",
        name,
        template,
        args: {},
        severity: declared?.config.severity ?? "error",
        description: declared?.description ?? "",
        declaredAt: { file, offset: 0 },
        parents: names.check(template),
    };
}

function testsOf(node: Model | Seed, properties: Properties): Entity | undefined {
    return (node.kind === "model" ? properties.models : properties.seeds).find((entity) => entity.name === node.name);
}

interface GenericContext {
    readonly generic: ReadonlyMap<string, Template>;
    readonly names: NameChecker;
    readonly relations: ReadonlyMap<string, Node>;
    readonly problems: Problem[];
}

/** Names that every generic test may use beside its arguments. */
const testNames = ["model", "column_name"];
/** An argument that names a relation: `ref('x')` or `source('x', 'y')`, as dbt writes them. */
const reference = /^\s*(ref|source)\(\s*['"]([^'"]+)['"]\s*(?:,\s*['"]([^'"]+)['"]\s*)?\)\s*$/;

function genericTests(node: Node, declared: Entity | undefined, context: GenericContext): DataTest[] {
    if (declared === undefined) return [];
    return [
        ...declared.tests.flatMap((test) => genericTest(node, test, undefined, context)),
        ...declared.columns.flatMap((column) =>
            column.tests.flatMap((test) => genericTest(node, test, column.name, context)),
        ),
    ];
}

function genericTest(
    node: Node,
    property: TestProperty,
    column: string | undefined,
    { generic, names, relations, problems }: GenericContext,
): DataTest[] {
    const { generic: kind, args, config, at } = property;
    const template = generic.get(kind);
    if (!config.enabled) return [];
    if (template === undefined) {
        problems.push({ message: `unknown test "${kind}".${didYouMean(kind, generic.keys())}`, at });
        return [];
    }
    const isOwn = (name: string): boolean => !testNames.includes(name) && !/^(vars|ref|source)\./.test(name);
    const tags = [...tagsOf(template.parts)].filter((tag) => tag.kind === "value").map((tag) => tag.name);
    const wanted = [...new Set(tags.filter(isOwn))].filter((name) => name !== "quote");
    for (const name of wanted) {
        if (!Object.hasOwn(args, name)) problems.push({ message: `test "${kind}" needs an argument "${name}"`, at });
    }
    for (const name of Object.keys(args)) {
        if (wanted.includes(name) || name === "quote") continue;
        problems.push({ message: `test "${kind}" has no argument "${name}".${didYouMean(name, wanted)}`, at });
    }
    if (column === undefined && tags.includes("column_name") && !Object.hasOwn(args, "column_name")) {
        problems.push({ message: `test "${kind}" is for a column: move it below one of the columns`, at });
    }
    const parents = new Set([node.name, ...names.check(template, [...testNames, ...wanted])]);
    for (const value of Object.values(args)) {
        const referred = referenceOf(value);
        if (referred === undefined) continue;
        if (relations.has(referred)) parents.add(referred);
        else problems.push({ message: `unknown ref "${referred}".${didYouMean(referred, relations.keys())}`, at });
    }
    return [
        {
            kind: "test",
            name: property.name ?? testName(kind, node.name, column, args),
            template,
            generic: kind,
            args,
            on: node.name,
            ...(column === undefined ? {} : { column }),
            severity: config.severity,
            ...(config.where === undefined ? {} : { where: config.where }),
            description: property.description,
            declaredAt: at,
            parents: [...parents],
        },
    ];
}

/** The name of the relation that a test argument refers to, or undefined when it is something else. */
export function referenceOf(value: Argument): string | undefined {
    const match = typeof value === "string" ? reference.exec(value) : null;
    if (match === null) return undefined;
    return match[1] === "source" ? `${match[2]}.${match[3]}` : (match[3] ?? match[2]);
}

/** dbt's manner: test, node, column and arguments, shortened where it gets long. */
function testName(kind: string, node: string, column: string | undefined, args: DataTest["args"]): string {
    const values = Object.entries(args)
        .filter(([name]) => name !== "quote")
        .map(([, value]) => referenceOf(value) ?? [value].flat().join("_"));
    const words = [kind, node.replace(".", "_"), ...(column === undefined ? [] : [column]), ...values];
    const name = words.join("_").replace(/[^\p{L}\p{N}]+/gu, "_");
    return name.length <= 80 ? name.replace(/_$/, "") : name.slice(0, 80).replace(/_$/, "");
}
