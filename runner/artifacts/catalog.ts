import { type Database, identifier, literal } from "../duckdb.ts";
import type { Node, Project } from "../nodes.ts";
import { workCatalog } from "../open.ts";
import { placeOf, uniqueIdOf } from "./dbt-names.ts";
import { type Invocation, metadataOf } from "./invocation.ts";

/** A model, seed or source that stands in a file. */
export interface Relation {
    readonly node: Exclude<Node, { kind: "test" }>;
    readonly columns: readonly { readonly name: string; readonly type: string }[];
    /** Undefined for a view: counting its rows would be running it. */
    readonly rows: number | undefined;
}

/** dbt's catalog (schema v1): each relation with its columns and types as they are, and its rows. */
export function catalogOf(project: Project, standing: readonly Relation[], invocation: Invocation): object {
    const tables = (isSource: boolean): object =>
        Object.fromEntries(
            standing
                .filter(({ node }) => (node.kind === "source") === isSource)
                .map((relation) => [uniqueIdOf(project, relation.node), tableOf(project, relation)]),
        );
    return {
        metadata: metadataOf("catalog/v1", invocation),
        nodes: tables(false),
        sources: tables(true),
        errors: null,
    };
}

function tableOf(project: Project, { node, columns, rows }: Relation): object {
    const { database, schema, identifier: name } = placeOf(node);
    const described = new Map(node.columns.map((column) => [column.name.toLowerCase(), column.description]));
    const stats = [
        {
            ...{ id: "has_stats", label: "Has Stats?", value: rows !== undefined, include: false },
            description: "Indicates whether there are statistics for this table",
        },
        ...(rows === undefined
            ? []
            : [{ id: "num_rows", label: "# Rows", value: rows, include: true, description: "Rows of the table" }]),
    ];
    return {
        metadata: {
            ...{ type: rows === undefined ? "VIEW" : "BASE TABLE", database, schema, name, owner: null },
            comment: node.description.trim() || null,
        },
        columns: Object.fromEntries(
            columns.map((column, i) => [
                column.name,
                {
                    ...{ name: column.name, type: column.type, index: i + 1 },
                    comment: described.get(column.name.toLowerCase())?.trim() || null,
                },
            ]),
        ),
        stats: Object.fromEntries(stats.map((stat) => [stat.id, stat])),
        unique_id: uniqueIdOf(project, node),
    };
}

/** Reads what stands in the work file that is attached, and in the files of the sources. */
export async function readStanding(database: Database, project: Project): Promise<Relation[]> {
    const nodes = new Map(
        [...project.nodes.values()].flatMap((node): [string, Relation["node"]][] =>
            node.kind === "test" ? [] : [[keyOf(...attachedAs(node)), node]],
        ),
    );
    const catalogs = [workCatalog, ...Object.keys(project.target.attach)].map(literal).join(", ");
    const relations = await database.rows(
        `select c.database_name as catalog, c.schema_name as schema, c.table_name as name,
            bool_or(t.table_oid is not null) as is_table,
            list({'name': c.column_name, 'type': c.data_type} order by c.column_index) as columns
        from duckdb_columns() as c
        left join duckdb_tables() as t on t.database_oid = c.database_oid and t.table_oid = c.table_oid
        where c.database_name in (${catalogs}) group by all order by all`,
    );
    const found = relations.flatMap((row) => {
        const path = [row.catalog, row.schema, row.name].map(String);
        const node = nodes.get(keyOf(...path));
        if (node === undefined) return [];
        const columns = row.columns as { name: string; type: string }[];
        return [{ node, columns, table: row.is_table === true ? path.map(identifier).join(".") : undefined }];
    });
    // What DuckDB keeps as a table's size still has the rows that were deleted.
    const counts = found.flatMap(({ table }, i) =>
        table === undefined ? [] : [`select ${i} as i, count(*) as n from ${table}`],
    );
    const counted = counts.length === 0 ? [] : await database.rows(counts.join("\nunion all\n"));
    const rows = new Map(counted.map(({ i, n }) => [Number(i), Number(n)]));
    return found.map(({ node, columns }, i) => ({ node, columns, rows: rows.get(i) }));
}

/** Where a node stands in the builder's own instance. */
function attachedAs(node: Relation["node"]): string[] {
    return node.kind === "source"
        ? [node.database ?? workCatalog, node.schema, node.identifier]
        : [workCatalog, "main", node.name];
}

/** SQL does not tell Dim from dim. */
function keyOf(...path: readonly string[]): string {
    return JSON.stringify(path).toLowerCase();
}
