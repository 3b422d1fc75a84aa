import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Compiled } from "./compile.ts";
import type { Graph } from "./graph.ts";
import type { Descriptions } from "./lineage.ts";
import type { Model, Node, Project, Seed } from "./nodes.ts";

/**
 * All that a node's result depends on, each part under the words that a person would use for it: `its SQL`, `stg_works`,
 * `data/landing.duckdb`. Nodes of equal inputs have equal results.
 */
export type Inputs = Readonly<Record<string, string>>;

interface InputsOptions {
    readonly compiled: Compiled;
    /** The version of what runs the SQL. */
    readonly engine: string;
    /**
     * The inputs of nodes that are not what their files say now: of models and seeds that do not run, what they were made
     * of when they last did; of sources, their columns where only these count.
     */
    readonly standing?: ReadonlyMap<string, Inputs>;
}

/** The inputs of every node, by its name. */
export function inputsOf(
    project: Project,
    graph: Graph,
    { compiled, engine, standing }: InputsOptions,
): ReadonlyMap<string, Inputs> {
    const all = new Map<string, Inputs>();
    for (const node of graph.order) {
        const parents = node.parents.map((name): [string, string] => [name, fingerprint(all.get(name) ?? {})]);
        const now = {
            ...ownInputs(project, node, compiled),
            ...Object.fromEntries(parents),
            "DuckDB's version": engine,
        };
        all.set(node.name, standing?.get(node.name) ?? now);
    }
    return all;
}

/** A hash that is equal for equal inputs. */
export function fingerprint(inputs: Inputs): string {
    return hash(
        JSON.stringify(
            Object.entries(inputs)
                .filter(([name]) => name !== keepsHistory)
                .sort(),
        ),
    );
}

/**
 * What the work file knows models by that are never made anew: what they hold, nobody can make again. It is no reason to
 * run them: who declares it of an append does not want the same rows again.
 */
export const keepsHistory = "its history is kept";

function ownInputs(project: Project, node: Node, compiled: Compiled): Inputs {
    if (node.kind === "source") return sourceInputs(project, node.database);
    if (node.kind === "seed") {
        return {
            "its file": hash(node.file.text),
            "its settings": hash(JSON.stringify([node.columnTypes, node.delimiter])),
        };
    }
    const { text = "", increment } = compiled.get(node.name) ?? {};
    const isIncremental = node.kind === "model" && node.incremental !== undefined;
    const sql = hash(withoutComments(isIncremental ? [text, increment?.text ?? ""].join("\n") : text));
    if (node.kind === "test") {
        const { severity, warnIf, errorIf, limit } = node;
        return { "its SQL": sql, "its settings": JSON.stringify([severity, warnIf, errorIf, limit]) };
    }
    const settings = node.incremental === undefined ? node.snapshot : { ...node.incremental, fullRefresh: true };
    return {
        "its SQL": sql,
        "its materialization": node.materialized,
        ...(settings === undefined ? {} : { "its settings": hash(JSON.stringify(settings)) }),
        ...(node.kind === "model" && node.incremental?.fullRefresh === false ? { [keepsHistory]: "yes" } : {}),
    };
}

/**
 * What the file of a source holds is taken for unchanged while its size, time and place are, and those of its log, in
 * which a loader that was killed may have left rows.
 */
export function sourceInputs(project: Project, database: string | undefined): Inputs {
    const file = database === undefined ? undefined : project.target.attach[database];
    if (file === undefined) return {};
    const path = join(project.root, file);
    if (!existsSync(path)) return { [file]: "absent" };
    const states = [path, `${path}.wal`].filter(existsSync).map((each) => {
        const { size, mtimeNs, ino } = statSync(each, { bigint: true });
        return `${size} bytes, ${mtimeNs}, ${ino}`;
    });
    return { [file]: states.join("; ") };
}

/** SQL without what does not count: comments, and white space outside of quotes. */
export function withoutComments(sql: string): string {
    const lexeme =
        /\b[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|(?:--[^\n]*|\/\*[\s\S]*?\*\/|\s)+/g;
    return sql.replace(lexeme, (text) => (/^(?:[eE]?'|["$])/.test(text) ? text : " ")).trim();
}

/**
 * What changes by itself: the functions that DuckDB itself calls volatile or the same within a query only (of those that
 * give rows anything to hold), `age` of one time, which counts to today, and samples.
 */
const volatile =
    /\b(now|today|random|gen_random_uuid|uuid(v[47])?|current_(date|time|timestamp|localtime|localtimestamp)|get_current_time(stamp)?|transaction_timestamp|local(time|timestamp)|nextval|currval|txid_current|current_(transaction|query|connection)_id|tablesample|using\s+sample|age(?=\s*\((?:[^(),]|\([^()]*\))*\)))\b/i;

/** The function by which a node's result changes although no input does, if it has one. */
export function volatileFunction(sql: string): string | undefined {
    return volatile.exec(withoutComments(sql).replace(/'(?:[^']|'')*'/g, "''"))?.[0];
}

export interface PublishedFacts {
    /** Whose tables people get to read. */
    readonly published: readonly (Model | Seed)[];
    /** Whose columns are described in `meta`. */
    readonly described: readonly (Model | Seed)[];
    /** The run that made a relation. */
    readonly madeBy: (name: string) => string | undefined;
    readonly inputs: ReadonlyMap<string, Inputs>;
    readonly inherited: Descriptions;
}

/** What of a node's inputs is its own, and not what it reads: equal where nobody has changed the node. */
export function ownFingerprint(inputs: Inputs): string {
    return fingerprint(Object.fromEntries(Object.entries(inputs).filter(([name]) => name.startsWith("its "))));
}

/**
 * A hash of everything that people get to read: which run made each relation, its descriptions, how it is exported, and
 * what each node, tests included, is made of.
 */
export function publishedContent({ published, described, madeBy, inputs, inherited }: PublishedFacts): string {
    const facts = published.map((node) => [
        node.name,
        madeBy(node.name),
        node.description,
        node.kind === "model" ? [node.export, node.uniqueKey] : [],
    ]);
    const columns = described.map((node) => [
        node.name,
        node.columns.map((column) => [column.name, column.description]),
        [...(inherited.get(node.name) ?? [])],
    ]);
    const made = [...inputs].map(([name, its]) => [name, ownFingerprint(its)]);
    return hash(JSON.stringify([facts, columns, made]));
}

/** SHA-256, in hexadecimal digits. */
export function hash(text: string): string {
    return createHash("sha256").update(text).digest("hex");
}
