import { PipelineError } from "../../common/errors.ts";
import { check } from "../check.ts";
import { compile } from "../compile.ts";
import type { Database, Row, Value } from "../duckdb.ts";
import { identifier } from "../duckdb.ts";
import { buildGraph } from "../graph.ts";
import { type Output, type ProjectOptions, selectNodes } from "../load.ts";
import type { Model, Node, Project } from "../nodes.ts";
import { attachWork, openSources } from "../open.ts";
import { parse, withInline } from "../parse.ts";
import { counted, valueText } from "../text.ts";
import { widthOf } from "./width.ts";

export interface ShowOptions extends ProjectOptions {
    readonly inline?: string;
    /** How many rows; below 0 all of them. */
    readonly limit: number;
    readonly output: "table" | "json" | "csv";
    /** The width of the terminal in columns; unlimited when absent. */
    readonly width?: number | undefined;
}

/**
 * Prints the first rows of what the selected models, seeds and tests, or a query of one's own, give on the models as they
 * were last built. Nothing is written: a model's own SQL is run as it stands in its file, on what its parents hold.
 */
export async function show(options: ShowOptions, output: Output): Promise<void> {
    if (options.inline === undefined && options.select === undefined) {
        throw new PipelineError("show takes --select with a model or seed, or --inline with a query", { exitCode: 2 });
    }
    const parsed = await parse(options.projectDir, options);
    const project = options.inline === undefined ? parsed : withInline(parsed, options.inline);
    const graph = buildGraph(project);
    const compiled = compile(project, graph);
    const names =
        options.inline === undefined
            ? await selectNodes(project, graph, { options, compiled, kinds: ["model", "seed"], output })
            : new Set(["inline"]);
    if (names.size === 0) throw new PipelineError("none of what is selected is a model or a seed");
    const database = await openSources(project, { onWait: output.note });
    try {
        await check(database, project, { graph, compiled, names });
        await attachWork(database, project, { write: false, onWait: output.note });
        for (const node of graph.order) {
            if (!names.has(node.name)) continue;
            const sql = compiled.get(node.name)?.text ?? `select * from main.${identifier(node.name)}`;
            const order = options.inline === undefined ? orderOf(node) : "";
            const limit = options.limit < 0 ? "" : `\nlimit ${options.limit}`;
            const table = await query(database, project, `select * from (\n${sql}\n) as shown${order}${limit}`);
            if (names.size > 1) output.note(`${node.name}:`);
            output.out(await format(table, options));
        }
    } finally {
        database.close();
    }
}

/** So that the same data is shown the same way. A query of one's own keeps the order that it asked for. */
function orderOf(node: Node): string {
    const key = node.kind === "model" ? (node as Model).uniqueKey : [];
    return key.length === 0 ? "" : `\norder by ${key.map(identifier).join(", ")}`;
}

interface Table {
    readonly columns: readonly { readonly name: string; readonly isNumber: boolean }[];
    readonly rows: readonly Row[];
}

const numeric = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*|DOUBLE|FLOAT)$/;

async function query(database: Database, project: Project, sql: string): Promise<Table> {
    try {
        const { columns, rows } = await database.table(sql);
        const described = columns.map(({ name, type }) => ({ name, isNumber: numeric.test(type) }));
        const numbers = described.filter((column) => column.isNumber).map((column) => column.name);
        return { columns: described, rows: rows.map((row) => withNumbers(row, numbers)) };
    } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        const remedy = /does not exist/.test(message) ? `. Build target "${project.target.name}" first` : "";
        throw new PipelineError(`${message}${remedy}`, { cause: error });
    }
}

/** DuckDB's big integers and decimals come as text; they are numbers again where JavaScript holds every digit of them. */
function withNumbers(row: Row, columns: readonly string[]): Row {
    const changed = columns.map((name): [string, Value] => {
        const value = row[name] ?? null;
        return [name, typeof value === "string" && isExact(value) ? Number(value) : value];
    });
    return { ...row, ...Object.fromEntries(changed) };
}

function isExact(digits: string): boolean {
    const shortest = digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
    return Math.abs(Number(shortest)) < 2 ** 53 && String(Number(shortest)) === shortest;
}

async function format({ columns, rows }: Table, { output, width }: ShowOptions): Promise<string> {
    if (output === "table") return textTable({ columns, rows }, width);
    if (output === "json") return JSON.stringify(rows, undefined, 2);
    // arquero takes a tenth of a second to load: only who asks for CSV pays for it.
    const { table } = await import("arquero");
    const flat = (value: Value): Value => (value !== null && typeof value === "object" ? JSON.stringify(value) : value);
    const data = columns.map(({ name }): [string, Value[]] => [name, rows.map((row) => flat(row[name] ?? null))]);
    // Who prints it ends the last line.
    return table(data).toCSV().replace(/\n$/, "");
}

/** Columns under their names, numbers to the right; what does not fit a terminal is left out and counted. */
function textTable({ columns, rows }: Table, width = Number.POSITIVE_INFINITY): string {
    const cells = columns.map(({ name, isNumber }) => {
        const texts = rows.map((row) => valueText(row[name] ?? null));
        const wide = texts.reduce((most, text) => Math.max(most, widthOf(text)), widthOf(name));
        const pad = (text: string): string => {
            const spaces = " ".repeat(wide - widthOf(text));
            return isNumber ? spaces + text : text + spaces;
        };
        return { lines: [pad(name), "-".repeat(wide), ...texts.map(pad)], wide };
    });
    let used = 0;
    const fitting = cells.filter(({ wide }, i) => {
        used += wide + 2;
        return i === 0 || used <= width;
    });
    const lines = [...Array(rows.length + 2).keys()].map((i) =>
        fitting
            .map((cell) => cell.lines[i])
            .join("  ")
            .trimEnd(),
    );
    const hidden = cells.length - fitting.length;
    return [...lines, ...(hidden === 0 ? [] : [`(${counted(hidden, "more column")}; --output csv shows all)`])].join(
        "\n",
    );
}
