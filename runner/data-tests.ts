import { createHash } from "node:crypto";
import { basename } from "node:path";
import { didYouMean, nearest } from "../common/nearest.ts";
import type { NameChecker } from "./names.ts";
import type { DataTest, Node } from "./nodes.ts";
import type { Problem, SourceFile } from "./problem.ts";
import type { Argument, Entity, Properties, TestConfig, TestProperty } from "./properties.ts";
import { parseTemplate, type Template, tagsOf } from "./template.ts";

/** A .sql file of tests/; undefined when it is disabled. */
export function readSingularTest(
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
        ...thresholds(declared?.config ?? {}),
        description: declared?.description ?? "",
        declaredAt: { file, offset: 0 },
        parents: names.check(template),
    };
}

/** From which count of failing rows a test warns and fails; any count, where nothing else is said. */
function thresholds({
    warnIf = "!= 0",
    errorIf = "!= 0",
    limit,
}: Partial<TestConfig>): Pick<DataTest, "warnIf" | "errorIf" | "limit"> {
    return { warnIf, errorIf, ...(limit === undefined ? {} : { limit }) };
}

export interface GenericContext {
    readonly generic: ReadonlyMap<string, Template>;
    readonly names: NameChecker;
    readonly relations: ReadonlyMap<string, Node>;
    readonly problems: Problem[];
}

/** Names that every generic test may use beside its arguments. */
const testNames = ["model", "column_name"];
/** An argument that names a relation: `ref('x')` or `source('x', 'y')`, as dbt writes them. */
const reference = /^\s*(ref|source)\(\s*['"]([^'"]+)['"]\s*(?:,\s*['"]([^'"]+)['"]\s*)?\)\s*$/;

/** The tests that a YAML file declares on a node and its columns. */
export function genericTests(node: Node, declared: Entity | undefined, context: GenericContext): DataTest[] {
    if (declared === undefined) return [];
    return [
        ...declared.tests.flatMap((test) => genericTest(node, test, undefined, context)),
        ...declared.columns.flatMap((column) =>
            column.tests.flatMap((test) =>
                genericTest(node, test, column.isQuoted ? `"${column.name}"` : column.name, context),
            ),
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
    const missing = wanted.filter((name) => !Object.hasOwn(args, name));
    const strangers = Object.keys(args).filter((name) => !wanted.includes(name) && name !== "quote");
    for (const name of strangers) {
        problems.push({ message: `test "${kind}" has no argument "${name}".${didYouMean(name, wanted)}`, at });
    }
    // An argument that is misspelt is not missing too.
    for (const name of missing.filter((one) => nearest(one, strangers) === undefined)) {
        problems.push({ message: `test "${kind}" needs an argument "${name}"`, at });
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
            ...thresholds(config),
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
    if (name.length <= 80) return name.replace(/_$/, "");
    // As in dbt: shortened names are told apart by a hash of the whole.
    return `${name.slice(0, 71)}_${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
}
