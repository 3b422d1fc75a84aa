import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { PipelineError } from "../../common/errors.ts";
import { writeCompiled } from "../../runner/artifacts/write.ts";
import { sourceFreshness } from "../../runner/commands/source-freshness.ts";
import { compile } from "../../runner/compile.ts";
import { loadProject } from "../../runner/load.ts";
import { suite } from "../suite.ts";
import { mistakesIn } from "./dbt-schemas.ts";
import { makeDatabase, type Toy, toyProject } from "./toy.ts";

const test = suite("artifacts");

const dim = `select e.n, e.twice, c.label
from {{ref.doubles}} as e
join {{ref.codes}} as c on c.n = e.n
`;

/** A project with one of everything. */
async function everything(files: Readonly<Record<string, string>> = {}): Promise<Toy> {
    const toy = toyProject({
        "targets/dev.ts": 'export default { folder: "data", attach: { landing: "landing.duckdb" } };',
        "seeds/codes.csv": "n,label\n1,one\n2,two\n",
        "seeds/_seeds.yml": `seeds:
  - name: codes
    description: What numbers are called
    meta: {owner: someone}
    config: {column_types: {n: integer}}
`,
        "macros/doubled.sql": "({{value}} * 2)",
        "macros/_macros.yml": "macros: [{name: doubled, description: Twice as much, arguments: [{name: value}]}]",
        "models/staging/_sources.yml": `sources:
  - name: land
    description: What was landed
    database: landing
    schema: raw
    loader: by hand
    tables:
      - name: things
        description: One row for each thing
        identifier: raw_things
        columns: [{name: n, data_type: integer, data_tests: [not_null]}]
`,
        "models/staging/stg_things.sql": "select n from {{source.land.things}}",
        "models/doubles.sql": "select n, {{#doubled}}n{{/doubled}} as twice from {{ref.stg_things}}",
        "models/marts/dim_things.sql": dim,
        "models/_models.yml": `models:
  - name: doubles
    config: {materialized: ephemeral}
  - name: stg_things
    config: {materialized: view, publish: false}
  - name: dim_things
    description: >
      One row for each thing.
    tags: nightly
    meta: {owner: someone else}
    config: {unique_key: n, export: {as: things}, contract: {enforced: true}}
    columns:
      - name: n
        data_type: integer
        description: A number
        meta: {unit: pieces}
        data_tests:
          - unique
          - relationships: {to: ref('codes'), field: n}
          - accepted_values: {arguments: {values: [1, 2], quote: false}, config: {severity: warn, where: "n > 0"}}
          - is_even: {config: {severity: warn, error_if: "> 5", limit: 10}}
      - {name: twice, data_type: integer}
      - {name: label, data_type: varchar}
unit_tests:
  - name: doubles_it
    model: dim_things
    given:
      - input: ref('stg_things')
        rows: [{n: 7}]
      - input: ref('codes')
        format: csv
        rows: |
          n,label
          7,seven
    expect: {rows: [{n: 7, twice: 14, label: seven}]}
`,
        "tests/generic/is_even.sql": "select * from {{model}} where {{column_name}} % 2 <> 0",
        "tests/none_is_negative.sql": "select * from {{ref.dim_things}} where n < 0",
        ...files,
    });
    await makeDatabase(
        join(toy.folder, "landing.duckdb"),
        "create schema raw; create table raw.raw_things as select unnest([1, 2])::integer as n",
    );
    return toy;
}

interface Metadata {
    readonly invocation_id: string;
    readonly project_name: string;
}
interface Entry {
    readonly unique_id: string;
    readonly resource_type: string;
    readonly fqn: readonly string[];
    readonly path: string;
    readonly original_file_path: string;
    readonly patch_path: string;
    readonly description: string;
    readonly source_description: string;
    readonly relation_name: string;
    readonly raw_code: string;
    readonly compiled_code: string;
    readonly compiled_path: string;
    readonly checksum: { readonly checksum: string };
    readonly config: Readonly<Record<string, unknown>>;
    readonly meta: Readonly<Record<string, unknown>>;
    readonly tags: readonly string[];
    readonly columns: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    readonly depends_on: { readonly nodes: readonly string[]; readonly macros: readonly string[] };
    readonly attached_node: string;
    readonly column_name: string;
    readonly test_metadata: object;
    readonly given: readonly object[];
}
type Entries = Record<string, Entry>;
type Edges = Record<string, readonly string[]>;
interface Table {
    readonly metadata: Readonly<Record<string, unknown>>;
    readonly columns: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    readonly stats: Readonly<Record<string, { readonly value: unknown }>>;
}
interface NodeResult {
    readonly unique_id: string;
    readonly status: string;
    readonly message: string;
    readonly failures: number;
    readonly adapter_response: object;
    readonly timing: readonly { readonly name: string; readonly started_at: string; readonly completed_at: string }[];
}
interface Contents {
    readonly manifest: {
        readonly metadata: Metadata;
        readonly nodes: Entries;
        readonly sources: Entries;
        readonly macros: Entries;
        readonly unit_tests: Entries;
        readonly parent_map: Edges;
        readonly child_map: Edges;
    };
    readonly run_results: {
        readonly metadata: Metadata;
        readonly results: readonly NodeResult[];
        readonly args: Readonly<Record<string, unknown>>;
    };
    readonly catalog: {
        readonly metadata: Metadata;
        readonly nodes: Record<string, Table>;
        readonly sources: Record<string, Table>;
        readonly errors: null;
    };
    readonly sources: {
        readonly results: readonly {
            readonly unique_id: string;
            readonly status: string;
            readonly max_loaded_at?: string;
            readonly criteria?: unknown;
        }[];
    };
}

/** An artifact of the toy, found valid. */
function artifact<Name extends keyof Contents>(toy: Toy, name: Name): Contents[Name] {
    const content: Contents[Name] = JSON.parse(readFileSync(join(toy.folder, `artifacts/dev/${name}.json`), "utf8"));
    assert.equal(mistakesIn(name, content), []);
    return content;
}

/** What has this key, or the key that begins with it and ends in a hash. */
function of<T>(record: Readonly<Record<string, T>>, key: string): T {
    const found = Object.entries(record).find(([id]) => id === key || id.replace(/\.[0-9a-f]{10}$/, "") === key);
    if (found === undefined) throw new Error(`no ${key} among ${Object.keys(record).join(", ")}`);
    return found[1];
}

/** A build that must end with an error. */
async function fails(toy: Toy, options: Parameters<Toy["build"]>[0] = {}): Promise<void> {
    try {
        await toy.build(options);
    } catch (error) {
        assert.instance(error, PipelineError);
        return;
    }
    assert.unreachable("the build went through");
}

/** The result of a node, by the beginning of its unique id without the name of the project. */
function resultOf(toy: Toy, id: string): NodeResult {
    const { results } = artifact(toy, "run_results");
    return of(Object.fromEntries(results.map((result) => [shortId(result.unique_id), result])), id);
}

/** The status of each result, by the end of its unique id. */
function statusesIn(toy: Toy): Record<string, string> {
    const { results } = artifact(toy, "run_results");
    return Object.fromEntries(results.map((result) => [shortId(result.unique_id), result.status]));
}

function shortId(id: string): string {
    return id.replace(/^(\w+)\.toy\./, "$1.").replace(/\.[0-9a-f]{10}$/, "");
}

const allNodes = [
    ...["seed.codes", "model.stg_things", "model.dim_things", "unit_test.dim_things.doubles_it"],
    ...["test.none_is_negative", "test.not_null_land_things_n", "test.unique_dim_things_n"],
    ...["test.relationships_dim_things_n_codes_n"],
    ...["test.accepted_values_dim_things_n_1_2", "test.is_even_dim_things_n"],
];

test("writes a manifest, run results and a catalog that are as dbt's schemas want them", async () => {
    const toy = await everything();
    assert.ok((await toy.build()).ok);
    const manifest = artifact(toy, "manifest");
    assert.equal(manifest.metadata.project_name, "toy");
    assert.equal(
        Object.keys({ ...manifest.nodes, ...manifest.sources, ...manifest.unit_tests })
            .map(shortId)
            .sort(),
        [...allNodes, "model.doubles", "source.land.things"].sort(),
    );
    assert.equal(Object.keys(manifest.macros), ["macro.toy.doubled"]);

    const model = of(manifest.nodes, "model.toy.dim_things");
    assert.is(model.raw_code, dim);
    assert.match(model.compiled_code, "(n * 2) as twice");
    assert.is(readFileSync(join(toy.folder, model.compiled_path), "utf8"), `${model.compiled_code}\n`);
    assert.is(model.checksum.checksum, createHash("sha256").update(dim).digest("hex"));
    assert.equal(model.fqn, ["toy", "marts", "dim_things"]);
    assert.is(model.original_file_path, "models/marts/dim_things.sql");
    assert.is(model.path, "marts/dim_things.sql");
    assert.is(model.patch_path, "toy://models/_models.yml");
    assert.is(model.description, "One row for each thing.");
    assert.is(model.relation_name, '"work"."main"."dim_things"');
    assert.equal(model.config.materialized, "table");
    assert.equal(model.config.unique_key, "n");
    assert.equal(model.config.contract, { enforced: true, alias_types: true });
    assert.equal(model.tags, ["nightly"]);
    assert.equal(model.meta, {
        owner: "someone else",
        shelfmark: { publish: true, export: { as: "things", format: ["csv", "parquet"] } },
    });
    const { data_type: type, meta } = of(model.columns, "n");
    assert.equal([type, meta], ["integer", { unit: "pieces" }]);
    assert.equal(model.depends_on.nodes, ["model.toy.doubles", "seed.toy.codes"]);
    assert.equal(of(manifest.nodes, "model.toy.doubles").depends_on.macros, ["macro.toy.doubled"]);
    assert.is(of(manifest.nodes, "model.toy.doubles").relation_name, null);
    assert.equal(of(manifest.nodes, "seed.toy.codes").meta.owner, "someone");

    const unique = of(manifest.nodes, "test.toy.unique_dim_things_n");
    assert.match(unique.unique_id, /^test\.toy\.unique_dim_things_n\.[0-9a-f]{10}$/);
    const relationship = of(manifest.nodes, "test.toy.relationships_dim_things_n_codes_n");
    assert.is(relationship.attached_node, "model.toy.dim_things");
    assert.is(relationship.column_name, "n");
    assert.equal(relationship.test_metadata, {
        name: "relationships",
        kwargs: {
            column_name: "n",
            to: "ref('codes')",
            field: "n",
            model: "{{ get_where_subquery(ref('dim_things')) }}",
        },
        namespace: null,
    });
    // What is referred to comes first, as in dbt: tools take the first for the parent.
    assert.equal(relationship.depends_on.nodes, ["seed.toy.codes", "model.toy.dim_things"]);
    const { severity, error_if: errorIf, limit } = of(manifest.nodes, "test.toy.is_even_dim_things_n").config;
    assert.equal([severity, errorIf, limit], ["WARN", "> 5", 10]);

    const source = of(manifest.sources, "source.toy.land.things");
    assert.is(source.relation_name, '"landing"."raw"."raw_things"');
    assert.is(source.source_description, "What was landed");
    assert.equal(source.fqn, ["toy", "staging", "land", "things"]);
    assert.equal(of(manifest.unit_tests, "unit_test.toy.dim_things.doubles_it").given[1], {
        input: "ref('codes')",
        format: "csv",
        rows: "n,label\n7,seven\n",
    });

    assert.equal(of(manifest.parent_map, "model.toy.stg_things"), ["source.toy.land.things"]);
    assert.equal(of(manifest.child_map, "model.toy.stg_things"), ["model.toy.doubles"]);
    assert.ok(of(manifest.child_map, "model.toy.dim_things").includes("unit_test.toy.dim_things.doubles_it"));
    for (const list of [...Object.values(manifest.parent_map), ...Object.values(manifest.child_map)]) {
        for (const id of list) assert.ok(id in manifest.parent_map, `${id} is in the graph`);
    }
    toy.close();
});

test("calls a snapshot by one id everywhere, as what dbt says it is", async () => {
    const toy = await everything({
        "models/_snapshots.yml": `snapshots:
  - name: codes_over_time
    relation: ref('codes')
    config: {unique_key: n, strategy: check, check_cols: [label], hard_deletes: invalidate}
    columns: [{name: n, data_tests: [not_null]}]
`,
        "models/now.sql": "select n from {{ref.codes_over_time}} where dbt_valid_to is null",
    });
    assert.ok((await toy.build()).ok, toy.said());
    const id = "snapshot.toy.codes_over_time";
    const { nodes, parent_map, child_map } = artifact(toy, "manifest");
    const snapshot = of(nodes, id);
    assert.is(snapshot.resource_type, "snapshot");
    assert.is(snapshot.raw_code, "select * from {{ref.codes}}");
    assert.is(snapshot.compiled_code, "select * from main.codes");
    assert.is("access" in snapshot, false);
    const { materialized, strategy, unique_key, check_cols, hard_deletes } = snapshot.config;
    assert.equal(
        [materialized, strategy, unique_key, check_cols, hard_deletes],
        ["snapshot", "check", "n", ["label"], "invalidate"],
    );
    assert.equal(of(parent_map, id), ["seed.toy.codes"]);
    assert.equal(of(parent_map, "model.toy.now"), [id]);
    assert.ok(of(child_map, "seed.toy.codes").includes(id));
    assert.is(of(nodes, "test.toy.not_null_codes_over_time_n").attached_node, id);
    assert.is(resultOf(toy, "snapshot.codes_over_time").status, "success");
    assert.ok("dbt_valid_from" in of(artifact(toy, "catalog").nodes, id).columns);
    toy.close();
});

test("has a result for each node that was to run, and for each unit test", async () => {
    const toy = await everything();
    const before = Date.now();
    const { results } = await toy.build();
    const written = artifact(toy, "run_results");
    assert.equal(written.results.length, results.length + 1);
    assert.equal(Object.keys(statusesIn(toy)).sort(), [...allNodes].sort());
    assert.equal(new Set(Object.values(statusesIn(toy))), new Set(["success", "pass", "warn"]));
    assert.is(written.args.which, "build");
    assert.is(written.metadata.invocation_id, artifact(toy, "manifest").metadata.invocation_id);
    const seed = resultOf(toy, "seed.codes");
    assert.equal(seed.adapter_response, { rows_affected: 2 });
    const [compiled, executed] = seed.timing;
    assert.equal([compiled?.name, executed?.name], ["compile", "execute"]);
    const times = [executed?.started_at, executed?.completed_at].map((time) => Date.parse(time ?? ""));
    assert.equal(times, [before, ...times, Date.now() + 1].sort((a, b) => a - b).slice(1, 3));
    const warned = resultOf(toy, "test.is_even_dim_things_n");
    assert.equal([warned.status, warned.failures], ["warn", 1]);
    assert.match(warned.message, "artifacts/dev/failures/is_even_dim_things_n.csv");
    const ids = { ...artifact(toy, "manifest").nodes, ...artifact(toy, "manifest").unit_tests };
    for (const result of written.results) assert.ok(result.unique_id in ids, result.unique_id);
    toy.close();
});

test("calls a model that was reused no-op, and leaves a test that was reused passed", async () => {
    const toy = await everything();
    await toy.build();
    const first = artifact(toy, "run_results").metadata.invocation_id;
    const catalog = readFileSync(join(toy.folder, "artifacts/dev/catalog.json"), "utf8");
    await toy.build();
    const { "test.is_even_dim_things_n": warned, ...rest } = statusesIn(toy);
    assert.is(warned, "warn", "a test that warned is asked again");
    for (const [id, status] of Object.entries(rest)) {
        assert.is(status, /^(unit_)?test\./.test(id) ? "pass" : "no-op", id);
    }
    assert.match(resultOf(toy, "model.dim_things").message, "reused");
    assert.is.not(artifact(toy, "run_results").metadata.invocation_id, first);
    assert.is.not(readFileSync(join(toy.folder, "artifacts/dev/catalog.json"), "utf8"), catalog, "a test has run");
    toy.close();
});

test("catalogues what stands in the work file and in the files of the sources", async () => {
    const toy = await everything();
    await toy.build();
    const { nodes, sources, errors } = artifact(toy, "catalog");
    assert.is(errors, null);
    assert.equal(Object.keys(nodes).sort(), ["model.toy.dim_things", "model.toy.stg_things", "seed.toy.codes"]);
    const { metadata, columns, stats } = of(nodes, "model.toy.dim_things");
    assert.equal([metadata.type, metadata.database, metadata.schema], ["BASE TABLE", "work", "main"]);
    assert.is(metadata.comment, "One row for each thing.");
    assert.equal(of(columns, "twice"), { name: "twice", type: "INTEGER", index: 2, comment: null });
    assert.is(of(columns, "n").comment, "A number");
    assert.equal([of(stats, "has_stats").value, of(stats, "num_rows").value], [true, 2]);
    assert.is(of(nodes, "model.toy.stg_things").metadata.type, "VIEW");
    assert.is(of(nodes, "model.toy.stg_things").stats.has_stats?.value, false);
    assert.equal(of(sources, "source.toy.land.things").metadata.name, "raw_things");
    assert.is(of(sources, "source.toy.land.things").stats.num_rows?.value, 2);
    toy.close();
});

test("catalogues anew when only what is told about the models has changed", async () => {
    const toy = await everything({
        "models/_models.yml": "models: []",
        "tests/none_is_negative.sql": "select 1 limit 0",
    });
    const yaml = (text: string): string => `models: [{name: stg_things, description: ${text}}]`;
    const comment = (): unknown => of(artifact(toy, "catalog").nodes, "model.toy.stg_things").metadata.comment;
    toy.write("models/_models.yml", yaml("before"));
    await toy.build();
    assert.is(comment(), "before");
    const { metadata } = artifact(toy, "catalog");
    await toy.build();
    assert.equal(artifact(toy, "catalog").metadata, metadata, "nothing has changed, the catalog is left");
    toy.write("models/_models.yml", yaml("after"));
    await toy.build();
    assert.is(comment(), "after");
    toy.close();
});

test("tells of a failing test and of what was skipped for it", async () => {
    const toy = await everything({
        "models/reader.sql": "select * from {{ref.dim_things}}",
        "tests/none_is_negative.sql": "select * from {{ref.dim_things}}",
    });
    assert.is((await toy.build()).ok, false);
    const statuses = statusesIn(toy);
    assert.is(statuses["test.none_is_negative"], "fail");
    assert.is(statuses["model.reader"], "skipped");
    assert.match(resultOf(toy, "test.none_is_negative").message, "2 failing rows: artifacts/dev/failures/none_is_neg");
    assert.match(resultOf(toy, "model.reader").message, "failed its test none_is_negative");
    assert.ok("model.toy.dim_things" in artifact(toy, "catalog").nodes);
    artifact(toy, "manifest");
    toy.close();
});

test("tells of a model that fails as it runs", async () => {
    const toy = await everything({
        "models/stops.sql": "select cast(label as integer) as label from {{ref.codes}}",
        "models/reader.sql": "select * from {{ref.stops}}",
    });
    assert.is((await toy.build()).ok, false);
    const statuses = statusesIn(toy);
    assert.equal([statuses["model.stops"], statuses["model.reader"]], ["error", "skipped"]);
    assert.is(statuses["model.dim_things"], "success");
    assert.match(resultOf(toy, "model.stops").message, /^models\/stops\.sql.* convert/s);
    assert.not.ok("model.toy.stops" in artifact(toy, "catalog").nodes);
    toy.close();
});

test("tells of the mistakes that the check found, and that nothing has run for them", async () => {
    const toy = await everything();
    await toy.build();
    toy.write("models/marts/dim_things.sql", dim.replace("e.twice", "e.thrice"));
    toy.write("models/other.sql", "select nothing from {{ref.codes}}");
    await fails(toy);
    const statuses = statusesIn(toy);
    assert.equal([statuses["model.dim_things"], statuses["model.other"]], ["error", "error"]);
    assert.equal(Object.keys(statuses).sort(), [...allNodes, "model.other"].sort());
    const { "model.dim_things": _, "model.other": __, ...rest } = statuses;
    assert.equal(new Set(Object.values(rest)), new Set(["skipped"]));
    assert.match(resultOf(toy, "model.dim_things").message, /^models\/marts\/dim_things\.sql:1:\d+ .*thrice/);
    assert.is(resultOf(toy, "seed.codes").message, "the check found mistakes elsewhere");
    toy.close();
});

test("tells of a mistake in what is read although only its reader was selected", async () => {
    const toy = await everything({ "models/staging/stg_things.sql": "select m as n from {{source.land.things}}" });
    await fails(toy, { select: ["dim_things"], indirectSelection: "empty" });
    assert.equal(statusesIn(toy), {
        "model.stg_things": "error",
        "model.dim_things": "skipped",
        "unit_test.dim_things.doubles_it": "skipped",
    });
    toy.close();
});

test("tells of a unit test that fails", async () => {
    const toy = await everything({ "macros/doubled.sql": "({{value}} * 3)" });
    await fails(toy);
    const statuses = statusesIn(toy);
    assert.is(statuses["unit_test.dim_things.doubles_it"], "fail");
    assert.is(statuses["model.dim_things"], "skipped");
    assert.match(resultOf(toy, "unit_test.dim_things.doubles_it").message, "twice=14 but 21");
    toy.close();
});

test("leaves no results of an earlier run where a command ends before it has any", async () => {
    const toy = await everything();
    await toy.build();
    const results = join(toy.folder, "artifacts/dev/run_results.json");
    assert.ok(existsSync(results));
    toy.write("models/other.sql", "select 1 from {{ref.nowhere}}");
    await fails(toy);
    assert.not.ok(existsSync(results));
    rmSync(join(toy.folder, "models/other.sql"));
    await toy.build({ select: ["no_such_thing"] });
    assert.equal(artifact(toy, "run_results").results, []);
    toy.close();
});

test("tells what had run when it was interrupted", async () => {
    const toy = await everything();
    const interruption = new AbortController();
    interruption.abort();
    await fails(toy, { signal: interruption.signal });
    assert.equal(Object.keys(statusesIn(toy)), ["unit_test.dim_things.doubles_it", "test.not_null_land_things_n"]);
    toy.close();
});

test("explaining writes the manifest and leaves the results of the last run", async () => {
    const toy = await everything();
    await toy.build();
    const [{ metadata: before }, results] = [artifact(toy, "manifest"), artifact(toy, "run_results")];
    await toy.build({ explain: true });
    assert.is.not(artifact(toy, "manifest").metadata.invocation_id, before.invocation_id);
    assert.equal(artifact(toy, "run_results"), results);
    toy.close();
});

test("other commands tell of their own nodes", async () => {
    const toy = await everything();
    await toy.build({ command: "seed" });
    assert.equal(statusesIn(toy), { "seed.codes": "success" });
    await toy.build({ command: "run", select: ["stg_things"] });
    assert.equal(statusesIn(toy), { "model.stg_things": "success" });
    assert.is(artifact(toy, "run_results").args.which, "run");
    assert.equal(artifact(toy, "run_results").args.select, ["stg_things"]);
    assert.equal(Object.keys(artifact(toy, "catalog").nodes).sort(), ["model.toy.stg_things", "seed.toy.codes"]);
    toy.close();
});

test("source freshness writes how old sources are as dbt's schema wants it", async () => {
    const toy = toyProject({
        "targets/dev.ts": 'export default { folder: "data", attach: { landing: "landing.duckdb" } };',
        "models/_sources.yml": `sources:
  - name: land
    database: landing
    schema: main
    loaded_at_field: loaded_at
    freshness: {warn_after: {count: 1, period: hour}}
    tables:
      - {name: fresh}
      - {name: old, freshness: {error_after: {count: 90, period: minute}, filter: "loaded_at < now()"}}
      - {name: empty}
`,
    });
    await makeDatabase(
        join(toy.folder, "landing.duckdb"),
        `create table fresh as select now() as loaded_at; create table empty (loaded_at timestamptz);
         create table old as select timestamptz '2020-01-01 00:00:00+00' as loaded_at`,
    );
    const quiet = { out: () => undefined, note: () => undefined };
    assert.not((await sourceFreshness({ projectDir: toy.folder }, quiet)).ok);
    const written = artifact(toy, "sources");
    assert.equal(mistakesIn("sources", written), []);
    assert.equal(
        written.results.map((result) => [result.unique_id, result.status]),
        [
            ["source.toy.land.fresh", "pass"],
            ["source.toy.land.old", "error"],
            ["source.toy.land.empty", "runtime error"],
        ],
    );
    assert.equal(written.results[1]?.criteria, {
        warn_after: { count: 1, period: "hour" },
        error_after: { count: 90, period: "minute" },
        filter: "loaded_at < now()",
    });
    assert.is(written.results[1]?.max_loaded_at, "2020-01-01T00:00:00.000Z");
    toy.close();
});

test("these schemas refuse what they do not know", async () => {
    const toy = await everything();
    await toy.build();
    const manifest = artifact(toy, "manifest");
    Object.assign(of(manifest.nodes, "model.toy.dim_things"), { published: true });
    assert.ok(mistakesIn("manifest", manifest).length > 0);
    const results = artifact(toy, "run_results");
    Object.assign(results.results[0] ?? {}, { status: "reused" });
    assert.ok(mistakesIn("run_results", results).length > 0);
    const { nodes: _, ...catalog } = artifact(toy, "catalog");
    assert.ok(mistakesIn("catalog", catalog).length > 0);
    toy.close();
});

test("never shows a reader half of a file", async () => {
    // Large, so that writing takes its time.
    const toy = await everything({ "models/marts/dim_things.sql": `/* ${"filler ".repeat(40_000)}*/\n${dim}` });
    await toy.build();
    const reader = `
        const { readFileSync } = require("node:fs");
        const seen = new Set();
        let reads = 0;
        let end = false;
        process.stdin.on("data", () => (end = true));
        (function read() {
            for (const name of ["manifest", "run_results", "catalog"]) {
                let text;
                try {
                    text = readFileSync("artifacts/dev/" + name + ".json", "utf8");
                } catch (error) {
                    // Between the start of a command and its end there are no run results.
                    if (error.code === "ENOENT" && name === "run_results") continue;
                    throw error;
                }
                seen.add(JSON.parse(text).metadata.invocation_id);
                reads++;
            }
            if (end) process.stdout.write(JSON.stringify({ reads, seen: seen.size }), () => process.exit());
            else setImmediate(read);
        })();`;
    const child = spawn(process.execPath, ["-e", reader], { cwd: toy.folder, stdio: ["pipe", "pipe", "pipe"] });
    let [out, err] = ["", ""];
    child.stdout.on("data", (text) => (out += text));
    child.stderr.on("data", (text) => (err += text));
    const closed = new Promise((resolve) => child.on("close", resolve));
    for (let i = 0; i < 20; i++) await toy.build({ fullRefresh: true });
    child.stdin.end("end");
    await closed;
    assert.is(err, "");
    const { reads, seen } = JSON.parse(out);
    assert.ok(reads > 20 && seen > 5, `${reads} reads of ${seen} runs`);
    const files = readdirSync(join(toy.folder, "artifacts/dev"));
    assert.equal(
        files.filter((name) => name.endsWith(".tmp")),
        [],
    );
    toy.close();
});

test("writes the SQL that changed, leaves the rest, and removes that of nodes that are gone", async () => {
    const toy = toyProject({
        "models/deep/a.sql": "select 1 as id",
        "models/b.sql": "select id from {{ref.a}}",
        "models/_models.yml": "models: [{name: b, columns: [{name: id, data_tests: [unique]}]}]",
    });
    const write = async (): Promise<void> => {
        const { project, graph } = await loadProject({ projectDir: toy.folder });
        writeCompiled(project, graph, compile(project, graph));
    };
    const path = (name: string): string => join(toy.folder, "artifacts/dev/compiled", name);
    await write();
    assert.is(readFileSync(path("models/b.sql"), "utf8"), "select id from main.a\n");
    assert.ok(existsSync(path("tests/unique_b_id.sql")));
    for (const file of ["models/deep/a.sql", "models/b.sql"]) utimesSync(path(file), 1, 1);
    toy.write("models/b.sql", "select id + 1 as id from {{ref.a}}");
    toy.write("models/_models.yml", "models: [{name: b}]");
    await write();
    assert.is(readFileSync(path("models/b.sql"), "utf8"), "select id + 1 as id from main.a\n");
    assert.is(statSync(path("models/deep/a.sql")).mtimeMs, 1000);
    assert.not.ok(existsSync(path("tests/unique_b_id.sql")));
    toy.close();
});

test.run();
