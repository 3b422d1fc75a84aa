import { createRequire } from "node:module";
import type { DuckDBConnection, DuckDBInstance, DuckDBType } from "@duckdb/node-api";
import { messageOf, PipelineError } from "../common/errors.ts";

// `import` reads each of this CommonJS package's 120 files twice, first for the names that it exports: 60 ms more.
const duckdb = createRequire(import.meta.url)("@duckdb/node-api") as typeof import("@duckdb/node-api");

/** Types that the API writes otherwise than DuckDB: those with names or other types in them. */
const compound = new Set<number>(
    (["ENUM", "LIST", "STRUCT", "MAP", "UNION", "ARRAY", "GEOMETRY", "VARIANT"] as const).map(
        (name) => duckdb.DuckDBTypeId[name],
    ),
);

/** Types of which a column of a table is as the query has it, and that are written as they are called. */
const plain = new Set<number>(
    (
        [
            ...["BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL"],
            ...["VARCHAR", "BLOB", "UUID", "INTERVAL", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_TZ"],
        ] as (keyof typeof duckdb.DuckDBTypeId)[]
    ).map((name) => duckdb.DuckDBTypeId[name] as number),
);

/** A value as DuckDB's JSON conversion gives it: bigints and decimals come as text. */
export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };
export type Row = Record<string, Value>;

export interface Column {
    readonly name: string;
    readonly type: string;
}

/** What DuckDB said against a statement. `offset` counts UTF-16 code units in the statement's text. */
export class SqlError extends Error {
    override readonly name = "SqlError";
    readonly offset: number | undefined;
    /** The column that is not there, when that is the mistake, of which table if one was named, and what DuckDB finds near. */
    readonly unknownColumn:
        | { readonly name: string; readonly table?: string | undefined; readonly near: readonly string[] }
        | undefined;
    /** Whether it is about a file, and not about the statement. */
    readonly isOfFile: boolean;

    constructor(message: string, { offset, unknownColumn, isOfFile = false, cause }: SqlErrorFacts) {
        super(message, { cause });
        this.offset = offset;
        this.unknownColumn = unknownColumn;
        this.isOfFile = isOfFile;
    }

    /** The same error as one of the text that begins `prefix` code units later. */
    after(prefix: number): SqlError {
        const { message, offset } = this;
        const moved = offset === undefined ? undefined : Math.max(0, offset - prefix);
        return new SqlError(message, { ...this, offset: moved, cause: this.cause });
    }
}

interface SqlErrorFacts {
    readonly offset?: number | undefined;
    readonly unknownColumn?: SqlError["unknownColumn"];
    readonly isOfFile?: boolean;
    readonly cause?: unknown;
}

interface TableToBe {
    /** Undefined where they are not told without making it, because of a type that has others in it, or two columns of one name. */
    readonly columns: Column[] | undefined;
    /** A column that has a struct without names in it: no table can be made of it. */
    readonly unnamed: string | undefined;
}

const unnamedStruct = /\bSTRUCT\("" /;

/** The one place that speaks to DuckDB: an in-memory instance to which files are attached, and a connection. */
export class Database {
    private readonly instance: DuckDBInstance;
    private readonly connection: DuckDBConnection;

    private readonly isFirst: boolean;
    private besides: readonly Database[] = [];
    private isClosed = false;

    private constructor(instance: DuckDBInstance, connection: DuckDBConnection, { isFirst }: { isFirst: boolean }) {
        this.instance = instance;
        this.connection = connection;
        this.isFirst = isFirst;
    }

    /** `settings` are DuckDB's own, such as `memory_limit`. */
    static async open(settings: Readonly<Record<string, string>> = {}): Promise<Database> {
        const fixed = { autoinstall_known_extensions: "false", errors_as_json: "true" };
        try {
            const instance = await duckdb.DuckDBInstance.create(":memory:", { ...fixed, ...settings });
            const connection = await instance.connect();
            // Else the same SQL would give other dates and texts on a machine of another zone, without any of its inputs changed.
            await connection.run("set global timezone = 'UTC'");
            return new Database(instance, connection, { isFirst: true });
        } catch (error) {
            throw new PipelineError(`DuckDB does not start with these settings: ${messageOf(error)}`, { cause: error });
        }
    }

    /** Another connection to the same instance, which must be closed before this one. What was set with `set` or `use` is its own. */
    async beside(): Promise<Database> {
        const beside = new Database(this.instance, await this.instance.connect(), { isFirst: false });
        this.besides = [...this.besides.filter((each) => !each.isClosed), beside];
        return beside;
    }

    /** Runs one statement for its effect. @throws SqlError */
    async run(sql: string): Promise<void> {
        try {
            await this.connection.run(sql);
        } catch (error) {
            throw toSqlError(error, sql);
        }
    }

    /** All rows of a query. @throws SqlError */
    async rows(sql: string): Promise<Row[]> {
        try {
            const reader = await this.connection.runAndReadAll(sql);
            return reader.getRowObjectsJson() as Row[];
        } catch (error) {
            throw toSqlError(error, sql);
        }
    }

    /** A query's columns with their types, and its rows. @throws SqlError */
    async table(sql: string): Promise<{ columns: Column[]; rows: Row[] }> {
        try {
            const reader = await this.connection.runAndReadAll(sql);
            const types = reader.columnTypes();
            const columns = reader.deduplicatedColumnNames().map((name, i) => ({ name, type: String(types[i]) }));
            return { columns, rows: reader.getRowObjectsJson() as Row[] };
        } catch (error) {
            throw toSqlError(error, sql);
        }
    }

    /** Binds a query without running it: names, types, functions. @throws SqlError */
    async bind(sql: string): Promise<void> {
        await this.preparedColumns(sql);
    }

    /** The columns of a relation, their types as DuckDB writes them. @throws SqlError */
    async columns(relation: string): Promise<Column[]> {
        const columns = await this.preparedColumns(`from ${relation}`);
        // `describe` knows how all types are written, but takes three times as long.
        if (columns.every(({ type }) => !compound.has(type.typeId))) {
            return columns.map(({ name, type }) => ({ name, type: type.alias ?? String(type) }));
        }
        const rows = await this.rows(`describe select * from ${relation}`);
        return rows.map((row) => ({ name: String(row.column_name), type: String(row.column_type) }));
    }

    /** What a table made of a query would be. The query is bound, not run. @throws SqlError */
    async tableToBe(sql: string): Promise<TableToBe> {
        const columns = await this.preparedColumns(sql);
        const unnamed = columns.find(({ type }) => unnamedStruct.test(String(type)))?.name;
        const isTold =
            columns.every(({ type }) => plain.has(type.typeId) && type.alias === undefined) &&
            new Set(columns.map(({ name }) => name.toLowerCase())).size === columns.length;
        return {
            unnamed,
            columns: isTold ? columns.map(({ name, type }) => ({ name, type: String(type) })) : undefined,
        };
    }

    private async preparedColumns(sql: string): Promise<{ name: string; type: DuckDBType }[]> {
        try {
            const statement = await this.connection.prepare(sql);
            // `$1` can be prepared, but is never given anything.
            if (statement.parameterCount > 0) await this.connection.run(`explain ${sql}`);
            const columns = Array.from({ length: statement.columnCount }, (_, i) => {
                return { name: statement.columnName(i), type: statement.columnType(i) };
            });
            statement.destroySync();
            return columns;
        } catch (error) {
            throw toSqlError(error, sql);
        }
    }

    /** The names of a query's columns as the query gives them, repeated ones included; it is not run. @throws SqlError */
    async columnNames(sql: string): Promise<readonly string[]> {
        try {
            const statement = await this.connection.prepare(sql);
            const names = Array.from({ length: statement.columnCount }, (_, i) => statement.columnName(i));
            statement.destroySync();
            return names;
        } catch (error) {
            throw toSqlError(error, sql);
        }
    }

    /** The first column of a query's first row, or null when there is none. @throws SqlError */
    async value(sql: string): Promise<Value> {
        const [row] = await this.rows(sql);
        return row === undefined ? null : (Object.values(row)[0] ?? null);
    }

    /** Runs `work` in a transaction; whatever it throws rolls everything back. */
    async transaction(work: () => Promise<void>): Promise<void> {
        await this.run("begin");
        try {
            await work();
            await this.run("commit");
        } catch (error) {
            // After a failed commit there is nothing to roll back; the first error is the one that tells.
            await this.run("rollback").catch(() => undefined);
            throw error;
        }
    }

    /** Stops the statement that is running, here and on the connections beside; it is rejected. */
    interrupt(): void {
        for (const each of [this, ...this.besides]) if (!each.isClosed) each.connection.interrupt();
    }

    close(): void {
        this.isClosed = true;
        this.connection.closeSync();
        if (this.isFirst) this.instance.closeSync();
    }
}

interface JsonError {
    readonly exception_type?: string;
    readonly exception_message?: string;
    readonly position?: string;
    readonly error_subtype?: string;
    readonly type?: string;
    readonly name?: string;
    readonly candidates?: string;
}

function toSqlError(error: unknown, sql: string): SqlError {
    const text = error instanceof Error ? error.message : String(error);
    const json = parseJson(text.slice(Math.max(0, text.indexOf("{"))));
    // What fails as it commits is told without JSON.
    if (json?.exception_message === undefined)
        return new SqlError(text, { isOfFile: /^(IO|FATAL|TransactionContext) Error\b/.test(text), cause: error });
    const offset = json.position === undefined ? undefined : toUtf16(sql, Number(json.position));
    const unknownColumn = unknownColumnOf(json);
    const isOfFile = ["IO", "FATAL"].includes(json.exception_type ?? "");
    const message = unknownEntry(json) ?? wording(json.exception_message);
    return new SqlError(message, { offset, unknownColumn, isOfFile, cause: error });
}

function unknownColumnOf({
    error_subtype,
    exception_message = "",
    name,
    candidates,
}: JsonError): SqlError["unknownColumn"] {
    if (error_subtype === "COLUMN_NOT_FOUND" && name !== undefined) return { name, near: candidates?.split(",") ?? [] };
    const [, table, column, bindings = ""] =
        /^(?:Table|Values list) "(.+?)" does not have a column named "(.+?)"(?:\s+Candidate bindings: (.*))?/s.exec(
            exception_message,
        ) ?? [];
    if (column === undefined) return undefined;
    // Of an expression's columns it names none.
    return { name: column, table, near: [...bindings.matchAll(/"([^"]+)"/g)].map(([, near = ""]) => near) };
}

/** A function or type that is not there: DuckDB leaves its name without quotes. */
function unknownEntry({ error_subtype, type, name, candidates }: JsonError): string | undefined {
    const kind = type?.endsWith("Function") ? "function" : type === "Type" ? "type" : undefined;
    if (error_subtype !== "MISSING_ENTRY" || name === undefined || kind === undefined) return undefined;
    return `unknown ${kind} "${name}".${candidates === undefined ? "" : ` Did you mean "${candidates.split(",")[0]}"?`}`;
}

function parseJson(text: string): JsonError | undefined {
    try {
        return JSON.parse(text) as JsonError;
    } catch {
        return undefined;
    }
}

/** DuckDB counts bytes of UTF-8, JavaScript counts UTF-16 code units. */
export function toUtf16(text: string, bytes: number): number {
    return Buffer.from(text, "utf8").subarray(0, bytes).toString("utf8").length;
}

/** DuckDB's message in one line, without the lists of candidates, the piece of SQL, and what follows from what happened first. */
function wording(message: string): string {
    const [first = message] = message.split(/\n\s*(?:Candidate functions|Candidate bindings|LINE \d+)/);
    return first
        .replace(/^.*\binvalidated\b.*?Original error: /s, "")
        .trim()
        .replace(/\s*\n\s*/g, " ")
        .replace(/^[A-Z](?=[a-z])/, (char) => char.toLowerCase());
}

/** Makes a table without rows, in place of one that may be there. `relation` is as SQL names it. */
export async function createEmpty(database: Database, relation: string, columns: readonly Column[]): Promise<void> {
    const list = columns.map(({ name, type }) => `${identifier(name)} ${type}`).join(", ");
    await database.run(`create or replace table ${relation} (${list})`);
}

/** `'it''s'` */
export function literal(text: string): string {
    return `'${text.replaceAll("'", "''")}'`;
}

/** `"a name"` */
export function identifier(name: string): string {
    return `"${name.replaceAll('"', '""')}"`;
}
