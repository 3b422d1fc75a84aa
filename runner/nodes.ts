import type { Materialization, StrictConfig, StrictTarget, Var } from "./config.ts";
import type { Position, SourceFile } from "./problem.ts";
import type { Argument, ColumnProperty, Freshness, MacroTest, Meta, Severity, UnitTest } from "./properties.ts";
import type { Template } from "./template.ts";

/** How an incremental model takes in the rows of a run, in dbt's terms. */
export interface Incremental {
    readonly strategy: "append" | "delete+insert" | "merge" | "microbatch";
    /** What becomes of columns that the SQL has and the kept table has not, or the other way round. */
    readonly onSchemaChange: "fail" | "ignore" | "append_new_columns" | "sync_all_columns";
    /** Whether --full-refresh makes it anew. */
    readonly fullRefresh: boolean;
    /** Columns that a merge sets, or leaves as they are. */
    readonly mergeUpdate?: readonly string[];
    readonly mergeExclude?: readonly string[];
    /** Of microbatch: what is `lookback` batches before the newest batch or later is made anew. */
    readonly window?: { readonly eventTime: string; readonly batchSize: BatchSize; readonly lookback: number };
}

/** How a snapshot tells that a row has changed, and what it makes of rows that are gone, in dbt's terms. */
export type Snapshot = { readonly hardDeletes: "ignore" | "invalidate" | "new_record" } & (
    | { readonly strategy: "timestamp"; readonly updatedAt: string }
    | { readonly strategy: "check"; readonly checkColumns: "all" | readonly string[] }
);

export type BatchSize = "hour" | "day" | "month" | "year";

/** The files, beside the warehouse, that a model is published as. */
export interface Export {
    /** The file name, without ending. */
    readonly as: string;
    readonly formats: readonly ("csv" | "parquet" | "json")[];
    /** Columns by whose values the rows are laid into folders. */
    readonly partitionBy: readonly string[];
}

/** A SELECT in a file of models/, or a snapshot, which is declared in YAML and takes all of one relation. */
export interface Model {
    readonly kind: "model";
    readonly name: string;
    readonly file: SourceFile;
    readonly template: Template;
    readonly materialized: Materialization;
    /** Of incremental models only. */
    readonly incremental?: Incremental;
    /** Of snapshots only; what they take is their one parent. */
    readonly snapshot?: Snapshot;
    readonly publish: boolean;
    /** The columns that tell the rows apart; exports are sorted by them, failing rows are named by them. */
    readonly uniqueKey: readonly string[];
    readonly uniqueKeyAt: Position;
    readonly export?: Export;
    /** Whether the columns must be just those that are declared, of the declared types. */
    readonly hasContract: boolean;
    readonly description: string;
    readonly columns: readonly ColumnProperty[];
    /** Where the YAML file names the model; its own file where none does. */
    readonly declaredAt: Position;
    readonly tags: readonly string[];
    readonly meta: Meta;
    /** What the model reads: names of models, seeds and sources ("openlibrary.search_pages"). */
    readonly parents: readonly string[];
}

/** A CSV file of seeds/. */
export interface Seed {
    readonly kind: "seed";
    readonly name: string;
    readonly file: SourceFile;
    readonly columnTypes: Readonly<Record<string, string>>;
    readonly columnTypesAt: Position;
    readonly delimiter: string;
    readonly publish: boolean;
    readonly description: string;
    readonly columns: readonly ColumnProperty[];
    readonly tags: readonly string[];
    readonly meta: Meta;
    readonly parents: readonly [];
}

/** A table that something else fills; `name` is "source.table". */
export interface Source {
    readonly kind: "source";
    readonly name: string;
    readonly database?: string;
    readonly schema: string;
    readonly identifier: string;
    readonly freshness?: Freshness;
    readonly description: string;
    /** Of all tables that the file declares together with this one. */
    readonly sourceDescription: string;
    readonly loader: string;
    readonly columns: readonly ColumnProperty[];
    readonly tags: readonly string[];
    readonly meta: Meta;
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
    readonly warnIf: string;
    readonly errorIf: string;
    readonly limit?: number;
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
    readonly unitTests: readonly UnitTest[];
    readonly macroTests: readonly MacroTest[];
}

/** What dbt calls the kind of a node: a snapshot is one of its own. */
export function resourceType(node: Node): Node["kind"] | "snapshot" {
    return node.kind === "model" && node.snapshot !== undefined ? "snapshot" : node.kind;
}

/** Whether a node has no relation of its own: it is written into what reads it. */
export function isEphemeral(node: Node | undefined): node is Model & { readonly materialized: "ephemeral" } {
    return node?.kind === "model" && node.materialized === "ephemeral";
}
