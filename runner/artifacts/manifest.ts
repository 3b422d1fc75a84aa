import { createHash } from "node:crypto";
import type { Compiled } from "../compile.ts";
import { configFile } from "../config.ts";
import type { Graph } from "../graph.ts";
import {
    type DataTest,
    type Export,
    type Macro,
    type Model,
    type Node,
    type Project,
    resourceType,
    type Seed,
    type Snapshot,
    type Source,
} from "../nodes.ts";
import type { SourceFile } from "../problem.ts";
import type { ColumnProperty, Rows, UnitTest } from "../properties.ts";
import { type Template, tagsOf } from "../template.ts";
import { compiledPath, placeOf, relationName, uniqueIdOf, unitTestId } from "./dbt-names.ts";
import { type Invocation, metadataOf } from "./invocation.ts";

/**
 * dbt's manifest (schema v12): every node, source, macro and unit test, and what reads what. What dbt has no word for
 * (`publish`, `export`) stands in `meta.shelfmark`. Generic tests are in `test_metadata`, not among the macros.
 */
export function manifestOf(
    project: Project,
    graph: Graph,
    { compiled, invocation }: { compiled: Compiled; invocation: Invocation },
): object {
    const { name } = project.config;
    const entries = graph.order.map((node): [string, Node] => [uniqueIdOf(project, node), node]);
    const unitTests = project.unitTests.map((test): [string, UnitTest] => [unitTestId(project, test), test]);
    const parents = new Map([
        ...entries.map(([id, node]): [string, string[]] => [id, parentsOf(project, node)]),
        ...unitTests.map(([id, test]): [string, string[]] => [id, [modelId(project, test)]]),
    ]);
    const children = new Map([...parents.keys()].map((id): [string, string[]] => [id, []]));
    for (const [id, list] of parents) for (const parent of list) children.get(parent)?.push(id);
    return {
        metadata: { ...metadataOf("manifest/v12", invocation), project_name: name, adapter_type: "duckdb" },
        nodes: Object.fromEntries(
            entries.flatMap(([id, node]) => (node.kind === "source" ? [] : [[id, nodeOf(project, node, compiled)]])),
        ),
        sources: Object.fromEntries(
            entries.flatMap(([id, node]) => (node.kind === "source" ? [[id, sourceOf(project, node)]] : [])),
        ),
        macros: Object.fromEntries(
            [...project.macros.values()].map((macro) => [`macro.${name}.${macro.name}`, macroOf(project, macro)]),
        ),
        unit_tests: Object.fromEntries(unitTests.map(([id, test]) => [id, unitTestOf(project, test)])),
        parent_map: Object.fromEntries(parents),
        child_map: Object.fromEntries(children),
        docs: { [overviewId]: overviewOf(project) },
        exposures: {},
        metrics: {},
        groups: {},
        group_map: {},
        selectors: {},
        disabled: {},
        saved_queries: {},
        semantic_models: {},
        functions: {},
    };
}

/** In dbt's order, which tools rely on: of a relationships test the node that is referred to comes before its own. */
function parentsOf(project: Project, node: Node): string[] {
    const on = node.kind === "test" ? node.on : undefined;
    const names = on === undefined ? node.parents : [...node.parents.filter((name) => name !== on), on];
    return names.flatMap((name) => {
        const parent = project.nodes.get(name);
        return parent === undefined ? [] : [uniqueIdOf(project, parent)];
    });
}

function modelId(project: Project, test: UnitTest): string {
    const model = project.nodes.get(test.model);
    if (model === undefined) throw new Error(`unit test ${test.name} was not checked`);
    return uniqueIdOf(project, model);
}

function nodeOf(project: Project, node: Exclude<Node, Source>, compiled: Compiled): object {
    if (node.kind === "seed") return seedOf(project, node);
    const sql = compiled.get(node.name)?.text;
    const common = {
        ...(node.kind === "model" ? modelOf(project, node) : testOf(project, node)),
        language: "sql",
        metrics: [],
        ...readsOf(project, node),
        depends_on: { macros: macrosOf(project, node.template), nodes: parentsOf(project, node) },
    };
    if (sql === undefined) return common;
    return {
        ...common,
        compiled: true,
        compiled_path: `artifacts/${project.target.name}/${compiledPath(node)}`,
        compiled_code: sql,
        extra_ctes_injected: true,
        extra_ctes: [],
    };
}

const docs = { show: true, node_color: null };
/** What dbt writes where nothing was said: tools take it for granted that it is there. */
const unsaid = { tags: [], meta: {}, columns: {}, group: null, docs, patch_path: null, unrendered_config: {} };
const unsaidConfig = {
    enabled: true,
    alias: null,
    schema: null,
    database: null,
    group: null,
    docs,
    tags: [],
    meta: {},
    contract: { enforced: false, alias_types: true },
    persist_docs: {},
    quoting: {},
    grants: {},
    packages: [],
    column_types: {},
    "pre-hook": [],
    "post-hook": [],
};

/** What every node has. `file` is where it is declared; its path is counted from the folder of its kind. */
function resourceOf(project: Project, node: Node, file: SourceFile) {
    const { database, schema } = placeOf(node);
    const [, ...path] = file.path.split("/");
    const names = node.kind === "source" ? node.name.split(".") : [node.name];
    return {
        database,
        schema,
        name: node.name,
        resource_type: resourceType(node),
        package_name: project.config.name,
        path: path.join("/"),
        original_file_path: file.path,
        unique_id: uniqueIdOf(project, node),
        fqn: [project.config.name, ...path.slice(0, -1), ...names],
        description: node.description.trim(),
    };
}

function modelOf(project: Project, model: Model): object {
    const { file, declaredAt, materialized, uniqueKey, hasContract } = model;
    const own = { publish: model.publish, ...(model.export === undefined ? {} : { export: exportOf(model.export) }) };
    const [meta, tags] = [{ ...model.meta, shelfmark: own }, [...model.tags]];
    const contract = { enforced: hasContract, alias_types: true };
    const [key = null, ...more] = uniqueKey;
    const config = { materialized, tags, meta, contract, unique_key: more.length > 0 ? uniqueKey : key };
    const common = {
        ...unsaid,
        ...resourceOf(project, model, file),
        alias: model.name,
        checksum: checksumOf(file),
        config: { ...unsaidConfig, ...config },
        tags,
        meta,
        columns: columnsOf(model.columns),
        contract: { ...contract, checksum: null },
        patch_path: declaredAt.file === file ? null : `${project.config.name}://${declaredAt.file.path}`,
        relation_name: relationName(model),
    };
    if (model.snapshot !== undefined) {
        const [parent = ""] = model.parents;
        const tag = project.nodes.get(parent)?.kind === "source" ? "source" : "ref";
        return {
            ...common,
            config: { ...common.config, ...snapshotConfig(model.snapshot) },
            raw_code: `select * from {{${tag}.${parent}}}`,
        };
    }
    return {
        ...common,
        raw_code: file.text,
        access: "protected",
        constraints: [],
        version: null,
        latest_version: null,
        deprecation_date: null,
        primary_key: uniqueKey,
    };
}

function snapshotConfig(snapshot: Snapshot): object {
    const { strategy, hardDeletes: hard_deletes } = snapshot;
    return snapshot.strategy === "timestamp"
        ? { strategy, hard_deletes, updated_at: snapshot.updatedAt }
        : { strategy, hard_deletes, check_cols: snapshot.checkColumns };
}

/** In the words of the YAML file. */
function exportOf({ as, formats, partitionBy }: Export): object {
    return { as, format: formats, ...(partitionBy.length === 0 ? {} : { partition_by: partitionBy }) };
}

function seedOf(project: Project, seed: Seed): object {
    const { file, columnTypes, delimiter } = seed;
    const [meta, tags] = [{ ...seed.meta, shelfmark: { publish: seed.publish } }, seed.tags];
    return {
        ...unsaid,
        ...resourceOf(project, seed, file),
        alias: seed.name,
        checksum: checksumOf(file),
        config: { ...unsaidConfig, materialized: "seed", tags, meta, column_types: columnTypes, delimiter },
        tags,
        meta,
        columns: columnsOf(seed.columns),
        relation_name: relationName(seed),
        raw_code: "",
        depends_on: { macros: [] },
    };
}

function testOf(project: Project, test: DataTest): object {
    const { name, template, generic, args, on, column, where = null, limit = null, warnIf, errorIf } = test;
    const shared = {
        ...unsaid,
        alias: name,
        config: {
            enabled: true,
            tags: [],
            meta: {},
            materialized: "test",
            severity: test.severity.toUpperCase(),
            where,
            limit,
            fail_calc: "count(*)",
            warn_if: warnIf,
            error_if: errorIf,
        },
        relation_name: null,
        raw_code: template.file.text,
    };
    if (generic === undefined) {
        return { ...resourceOf(project, test, template.file), ...shared, checksum: checksumOf(template.file) };
    }
    const tested = project.nodes.get(on ?? "");
    const call = tested?.kind === "source" ? `source('${on?.replace(".", "', '")}')` : `ref('${on}')`;
    const unquoted = column?.replace(/^"(.*)"$/, "$1");
    const onColumn = unquoted === undefined ? {} : { column_name: unquoted };
    return {
        ...resourceOf(project, test, test.declaredAt.file),
        path: `${name}.sql`,
        ...shared,
        checksum: { name: "none", checksum: "" },
        ...onColumn,
        file_key_name: tested?.kind === "source" ? `sources.${on?.split(".")[0]}` : `${tested?.kind}s.${on}`,
        attached_node: tested === undefined || tested.kind === "source" ? null : uniqueIdOf(project, tested),
        test_metadata: {
            name: generic,
            // Tools look for the tested relation in the words that dbt has there.
            kwargs: { ...onColumn, ...args, model: `{{ get_where_subquery(${call}) }}` },
            namespace: null,
        },
    };
}

function sourceOf(project: Project, source: Source): object {
    const [name = "", table = ""] = source.name.split(".");
    const { tags, meta, loader, identifier } = source;
    const { path: _, original_file_path, ...common } = resourceOf(project, source, source.declaredAt.file);
    return {
        ...common,
        // Of a source dbt gives the whole path in both.
        path: original_file_path,
        original_file_path,
        name: table,
        source_name: name,
        source_description: source.sourceDescription.trim(),
        loader,
        identifier,
        tags,
        meta,
        config: { enabled: true, tags, meta },
        columns: columnsOf(source.columns),
        relation_name: relationName(source),
    };
}

function macroOf(project: Project, { name, template, parameters, description }: Macro): object {
    return {
        name,
        resource_type: "macro",
        package_name: project.config.name,
        path: template.file.path,
        original_file_path: template.file.path,
        unique_id: `macro.${project.config.name}.${name}`,
        macro_sql: template.file.text,
        depends_on: { macros: macrosOf(project, template) },
        description: description.trim(),
        ...{ meta: {}, docs, config: { meta: {}, docs }, patch_path: null },
        arguments: parameters.map((parameter) => ({ name: parameter, type: null, description: "" })),
    };
}

function unitTestOf(project: Project, test: UnitTest): object {
    const { name, model, at, given, expected, vars } = test;
    const [, ...path] = at.file.path.split("/");
    return {
        name,
        model,
        resource_type: "unit_test",
        package_name: project.config.name,
        schema: "main",
        path: path.join("/"),
        original_file_path: at.file.path,
        unique_id: unitTestId(project, test),
        fqn: [project.config.name, ...path.slice(0, -1), model, name],
        description: test.description.trim(),
        given: given.map(({ input, rows }) => ({ input, ...rowsOf(rows) })),
        expect: rowsOf(expected),
        overrides: { vars },
        depends_on: { macros: [], nodes: [modelId(project, test)] },
        config: { enabled: true, tags: [], meta: {} },
    };
}

/** dbt's documentation site opens with this, and shows nothing without it. */
const overviewId = "doc.dbt.__overview__";

function overviewOf({ config, nodes, unitTests }: Project): object {
    const count = (kind: Node["kind"]): number => [...nodes.values()].filter((node) => node.kind === kind).length;
    const what = [`${count("model")} models`, `${count("seed")} seeds`, `${count("source")} tables of sources`];
    const tests = [`${count("test")} data tests`, `${unitTests.length} unit tests`];
    return {
        name: "__overview__",
        resource_type: "doc",
        package_name: "dbt",
        unique_id: overviewId,
        path: configFile,
        original_file_path: configFile,
        block_contents: `# ${config.name}\n\n${[...what, ...tests].join(", ")}.`,
    };
}

function rowsOf(rows: Rows): object {
    return { format: rows.format, rows: rows.format === "dict" ? rows.rows : rows.text };
}

function columnsOf(columns: readonly ColumnProperty[]): object {
    return Object.fromEntries(
        columns.map(({ name, description, dataType, isQuoted, tags, meta }) => [
            name,
            {
                name,
                description: description.trim(),
                data_type: dataType ?? null,
                quote: isQuoted || null,
                tags,
                meta,
                config: { tags, meta },
                constraints: [],
            },
        ]),
    );
}

/** What a node refers to, by the names of the project. */
function readsOf(project: Project, node: Node): object {
    const isSource = (name: string): boolean => project.nodes.get(name)?.kind === "source";
    const named = (name: string): object => ({ name, package: null, version: null });
    return {
        refs: node.parents.filter((name) => !isSource(name)).map(named),
        sources: node.parents.filter(isSource).map((name) => name.split(".")),
    };
}

/** The macros that a template calls by itself. */
function macrosOf({ config }: Project, template: Template): string[] {
    const calls = [...tagsOf(template.parts)].filter((tag) => tag.kind === "call");
    return [...new Set(calls.map((tag) => `macro.${config.name}.${tag.name}`))];
}

function checksumOf({ text }: SourceFile): object {
    return { name: "sha256", checksum: createHash("sha256").update(text).digest("hex") };
}
