import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { stringify } from "yaml";
import type { Compiled } from "../runner/compile.ts";
import { relationOf } from "../runner/compile.ts";
import type { DataTest, Model, Node, Project, Source } from "../runner/nodes.ts";

/** The dbt that $SHELFMARK_DBT names or that is on the PATH, with its versions; undefined where there is none. */
export function findDbt(): { program: string; versions: string } | undefined {
    const program = process.env.SHELFMARK_DBT ?? "dbt";
    const { stdout, status } = spawnSync(program, ["--version"], { encoding: "utf8" });
    if (status !== 0) return undefined;
    const [, core = "?"] = /installed:\s*(\S+)/.exec(stdout) ?? [];
    const [, adapter] = /duckdb:\s*(\S+)/.exec(stdout) ?? [];
    return adapter === undefined ? undefined : { program, versions: `dbt-core ${core}, dbt-duckdb ${adapter}` };
}

const builtIn = ["not_null", "unique", "accepted_values", "relationships"];

/**
 * Writes the project as one of dbt's: each model's compiled SQL (macros and vars in it as they are here) with `ref` and
 * `source` in place of relations, of the same materialization; dbt's own generic tests in YAML, all others as singular
 * tests; the seeds as they are. It builds into `file` and reads the sources' files where they are.
 */
export function writeDbtProject(
    folder: string,
    project: Project,
    { compiled, file }: { compiled: Compiled; file: string },
): void {
    const write = (path: string, content: string | object): void => {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), typeof content === "string" ? content : stringify(content));
    };
    const nodes = [...project.nodes.values()];
    const tests = nodes.filter((node): node is DataTest => node.kind === "test");
    const sql = (name: string): string => {
        const { text = "", increment } = compiled.get(name) ?? {};
        const whole = withRefs(text, nodes, name);
        if (increment === undefined) return whole;
        return `{% if is_incremental() %}\n${withRefs(increment.text, nodes, name)}\n{% else %}\n${whole}\n{% endif %}`;
    };
    const described = (node: Node): object => ({ ...propertiesOf(node, tests), name: node.name });
    const models = nodes.filter((node): node is Model => node.kind === "model");
    const seeds = nodes.filter((node) => node.kind === "seed");
    const sources = nodes.filter((node): node is Source => node.kind === "source");

    for (const model of models) {
        if (model.materialized === "ephemeral") throw new Error(`${model.name} is ephemeral, which is not compared`);
        if (model.snapshot !== undefined) throw new Error(`${model.name} is a snapshot, which is not compared`);
        const strategy =
            model.incremental === undefined ? "" : `, incremental_strategy='${model.incremental.strategy}'`;
        const config = `{{ config(materialized='${model.materialized}'${strategy}, unique_key=${JSON.stringify(model.uniqueKey)}) }}`;
        write(`models/${model.name}.sql`, `${config}\n${sql(model.name)}\n`);
    }
    for (const test of tests.filter((one) => !isBuiltIn(one))) {
        write(`tests/${test.name}.sql`, `{{ config(${settingsOf(test, "=")}) }}\n${sql(test.name)}\n`);
    }
    for (const seed of seeds) {
        mkdirSync(join(folder, "seeds"), { recursive: true });
        cpSync(join(project.root, seed.file.path), join(folder, "seeds", basename(seed.file.path)));
    }
    write("models/_models.yml", { models: models.map(described) });
    write("seeds/_seeds.yml", {
        seeds: seeds.map((seed) => ({
            ...described(seed),
            config: { column_types: seed.columnTypes, delimiter: seed.delimiter },
        })),
    });
    write("models/_sources.yml", {
        sources: sources.map((source) => ({
            name: source.name,
            ...(source.database === undefined ? {} : { database: source.database }),
            schema: source.schema,
            tables: [{ ...propertiesOf(source, tests), name: source.identifier }],
        })),
    });
    write("dbt_project.yml", { name: "compared", version: "1.0", profile: "compared" });
    const attach = Object.entries(project.target.attach).map(([alias, path]) => {
        return { alias, path: join(project.root, path), read_only: true };
    });
    const output = { type: "duckdb", path: file, attach };
    write("profiles.yml", {
        compared: { target: "t1", outputs: { t1: { ...output, threads: 1 }, t2: { ...output, threads: 2 } } },
    });
}

/** Compiled SQL of a node as dbt's templates: a relation becomes the tag that stands for it. */
function withRefs(sql: string, nodes: readonly Node[], own: string): string {
    if (/\{[{%#]/.test(sql)) throw new Error("compiled SQL that Jinja would take for its own");
    return nodes
        .filter((node) => node.kind !== "test")
        .reduce((text, node) => {
            const relation = new RegExp(`(?<![\\w.])${relationOf(node).replaceAll(".", "\\.")}(?![\\w.])`, "g");
            const other =
                node.kind === "source" ? `source('${node.name}', '${node.identifier}')` : `ref('${node.name}')`;
            const tag = node.name === own ? "this" : other;
            return text.replace(relation, `{{ ${tag} }}`);
        }, sql);
}

function isBuiltIn(test: DataTest): boolean {
    return test.on !== undefined && builtIn.includes(test.generic ?? "");
}

/** The tests of dbt's own that are declared on a node, by column. */
function propertiesOf(node: Node, tests: readonly DataTest[]): object {
    const columns = new Map<string, object[]>();
    for (const test of tests) {
        if (test.on !== node.name || !isBuiltIn(test) || test.column === undefined) continue;
        const config = Object.fromEntries(settings(test));
        const list = columns.get(test.column) ?? [];
        columns.set(test.column, [...list, { [test.generic ?? ""]: { ...test.args, config } }]);
    }
    return { columns: [...columns].map(([name, list]) => ({ name, data_tests: list })) };
}

function settings({ severity, warnIf, errorIf, limit, where }: DataTest): [string, string | number][] {
    const all = { severity, warn_if: warnIf, error_if: errorIf, limit, where };
    return Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
}

function settingsOf(test: DataTest, sign: string): string {
    // `where` is already in the compiled SQL.
    const own = settings(test).filter(([name]) => name !== "where");
    return own.map(([name, value]) => `${name}${sign}${JSON.stringify(value)}`).join(", ");
}
