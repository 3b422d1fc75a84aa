import { Document, isCollection, type YAMLMap, type YAMLSeq } from "yaml";
import { PipelineError } from "../../common/errors.ts";
import { didYouMean } from "../../common/nearest.ts";
import { type Columns, check } from "../check.ts";
import { compareRelations, differenceText, keyAmong } from "../compare.ts";
import { type Compiled, compile, readsOf, relationOf } from "../compile.ts";
import { type Column, type Database, identifier, SqlError } from "../duckdb.ts";
import { type Graph, reach } from "../graph.ts";
import { type ColumnRef, traceLineage, walkable } from "../lineage.ts";
import { loadProject, type Output, type ProjectOptions } from "../load.ts";
import { isEphemeral, type Model, type Node, type Project } from "../nodes.ts";
import { attachWork, openSources, requireSources, workCatalog } from "../open.ts";
import { formatProblem, type Problem } from "../problem.ts";
import { readProperties } from "../properties.ts";
import { macrosCalled, tagsOf } from "../template.ts";
import { inFixtures, runUnitTests, tableOf, withFixtures } from "../unit-tests.ts";

export interface RecordOptions extends ProjectOptions {
    /** A condition on the model's columns. Default: its first 3 rows by `unique_key` */
    readonly where?: string | undefined;
    /** How many rows are taken at most, of the model and of each input. */
    readonly limit: number;
    readonly name?: string | undefined;
}

/**
 * A unit test as YAML: rows that a model's SQL makes of its parents as they were last built, and, of those, rows and columns
 * that it makes them of. What is given is tried out: first what lineage says, or all, then as little of it as still makes
 * those rows. Where no rows make them and nothing else, `expect` is all that is made, and a note says what differs.
 * @throws PipelineError for an unknown model, a condition that takes no rows or too many, and where the test that was
 * made does not pass, as that of a model does whose result changes by itself.
 */
export async function record(name: string, options: RecordOptions, output: Output): Promise<string> {
    if (options.limit < 1)
        throw new PipelineError(`--limit is "${options.limit}"; expected 1 or more`, { exitCode: 2 });
    const { project, graph } = await loadProject(options);
    const model = modelOf(project, name);
    const compiled = compile(project, graph);
    requireSources(project, graph, new Set([name]));
    const database = await openSources(project, { onWait: output.note });
    try {
        const columns = await check(database, project, { graph, compiled, names: [name] });
        const inputs = [...readsOf(model, project)].filter((node) => !isEphemeral(node));
        if (inputs.some((node) => node.kind !== "source")) {
            await attachWork(database, project, { write: false, onWait: output.note });
        }
        await takeWanted(database, model, { sql: compiled.get(name)?.text ?? "", options });
        const links = await linksOf(database, project, { model, graph, compiled, columns });
        const facts = { model, graph, columns, links, inputs };
        const yaml = await inFixtures([database], () => fixture(database, project, { ...facts, options, output }));
        await prove(database, project, { graph, columns, yaml });
        return yaml.trimEnd();
    } catch (error) {
        if (!(error instanceof SqlError)) throw error;
        const remedy = /does not exist/.test(error.message) ? `. Build target "${project.target.name}" first` : "";
        throw new PipelineError(`${error.message}${remedy}`, { cause: error });
    } finally {
        database.close();
    }
}

function modelOf(project: Project, name: string): Model {
    const node = project.nodes.get(name);
    if (node?.kind === "model" && node.snapshot === undefined) return node;
    const models = [...project.nodes.values()].filter((other) => other.kind === "model").map((other) => other.name);
    const message =
        node?.kind === "model"
            ? `"${name}" is a snapshot, which has no SQL of its own to test`
            : `no model is called "${name}".${didYouMean(name, models)}`;
    throw new PipelineError(message, { exitCode: 2 });
}

const wanted = "temp.main.shelfmark_wanted";

/** The rows that the test is to expect. */
async function takeWanted(
    database: Database,
    model: Model,
    { sql, options: { where, limit } }: { sql: string; options: RecordOptions },
): Promise<void> {
    const order = model.uniqueKey.length === 0 ? "all" : model.uniqueKey.map(identifier).join(", ");
    const which = where === undefined ? `order by ${order} limit ${Math.min(3, limit)}` : `where (\n${where}\n)`;
    try {
        await database.run(
            `create or replace temp table shelfmark_wanted as select * from (\n${sql}\n) as made ${which}`,
        );
    } catch (error) {
        if (!(error instanceof SqlError) || where === undefined || /does not exist/.test(error.message)) throw error;
        throw new PipelineError(`--where "${where}": ${error.message}`, { exitCode: 2, cause: error });
    }
    const count = Number(await database.value(`select count(*) from ${wanted}`));
    const meeting = where === undefined ? "" : ` that meet "${where}"`;
    if (count === 0) throw new PipelineError(`"${model.name}" has no rows${meeting}`);
    if (count > limit) {
        throw new PipelineError(
            `"${model.name}" has ${count} rows${meeting}: narrow it, or raise --limit, which is ${limit}`,
        );
    }
}

/** A column of a model, and the column of an input whose very value it is. */
interface Link {
    readonly column: string;
    readonly origin: string;
}

/** By input. */
async function linksOf(
    database: Database,
    project: Project,
    { model, graph, compiled, columns }: { model: Model; graph: Graph; compiled: Compiled; columns: Columns },
): Promise<ReadonlyMap<string, readonly Link[]>> {
    const isInlined = (name: string): boolean => isEphemeral(project.nodes.get(name));
    const names = [...reach(graph.parents, [model.name])].filter((name) => name === model.name || isInlined(name));
    const lineage = walkable(graph, await traceLineage(database, project, { graph, compiled, columns, names }));
    const originsOf = (ref: ColumnRef): readonly ColumnRef[] =>
        lineage.into(ref).flatMap(({ kind, parent: node, parentColumn: column }) => {
            if (kind !== "pass-through") return [];
            return isInlined(node) ? originsOf({ node, column }) : [{ node, column }];
        });
    const links = new Map<string, Link[]>();
    for (const { name: column } of columns.get(model.name) ?? []) {
        const origins = originsOf({ node: model.name, column });
        for (const { node, column: origin } of origins) {
            // Of two columns of one input it can't be told which it was.
            if (origins.some((other) => other.node === node && other.column !== origin)) continue;
            links.set(node, [...(links.get(node) ?? []), { column, origin }]);
        }
    }
    return links;
}

interface Recording {
    readonly model: Model;
    readonly graph: Graph;
    readonly columns: Columns;
    readonly links: ReadonlyMap<string, readonly Link[]>;
    readonly inputs: readonly Node[];
    readonly options: RecordOptions;
    readonly output: Output;
}

/** Makes the test: fills what stands for the inputs, takes away what is not needed, and writes down what is left. */
async function fixture(database: Database, project: Project, recording: Recording): Promise<string> {
    const { model, graph, columns, inputs, options, output } = recording;
    const needed = reach(graph.parents, [model.name]);
    const sql = compile(withFixtures(project, {}), graph, needed).get(model.name)?.text ?? "";
    const trial = new Trial(database, sql);
    await fill(trial, recording);
    const sizes = new Map<Node, number>();
    for (const input of inputs) sizes.set(input, (await trial.ids(input.name)).length);
    const largestFirst = [...inputs].sort((a, b) => (sizes.get(b) ?? 0) - (sizes.get(a) ?? 0));
    for (const { name } of largestFirst) await trial.dropRows(name);
    for (const { name } of inputs) {
        const dropped = await trial.cut(name, options.limit);
        if (dropped > 0)
            output.note(`"${name}": the first ${options.limit} of ${options.limit + dropped} rows are given`);
    }
    await database.run(`create or replace table shelfmark_made as select * from (\n${sql}\n) as made`);
    const names = (columns.get(model.name) ?? []).map((column) => column.name);
    const key = keyAmong(names, model.uniqueKey);
    const comparison = { before: wanted, after: "shelfmark_made", columns: names, key, limit: 5 };
    const { added, gone, changed, rows } = await compareRelations(database, comparison);
    if (added + gone + changed > 0) {
        const more = added + gone + changed - rows.length;
        const lines = [...rows.map((row) => differenceText(row, key)), ...(more > 0 ? [`and ${more} more`] : [])];
        const what = "the given rows don't make just the rows that were asked for, so all that they make is expected";
        output.note(`${what} (- asked for, + made, ~ changed):${lines.map((line) => `\n    ${line}`).join("")}`);
    }
    const made = added - gone + Number(await database.value(`select count(*) from ${wanted}`));
    if (made > options.limit) {
        const why = `"${model.name}" makes ${made} rows of what these are made of`;
        throw new PipelineError(`${why}: take others, or raise --limit, which is ${options.limit}`);
    }
    // What is expected now is all that is made, and no column may change any of it.
    await database.run("create or replace temp table shelfmark_wanted as from shelfmark_made");
    await trial.measure();
    for (const { name } of inputs) {
        for (const column of columns.get(name) ?? []) await trial.dropColumn(name, column.name);
    }
    const given = [];
    for (const { name, kind } of inputs) {
        const [source, table] = name.split(".");
        const input = kind === "source" ? `source('${source}', '${table}')` : `ref('${name}')`;
        const found = await yamlRows(database, columns.get(name) ?? [], {
            relation: identifier(tableOf(name)),
            order: [],
        });
        const rows = found.map((row) => withoutNulls(row));
        if (rows.length > 0) given.push({ input, rows });
    }
    const order = key.length > 0 ? key : ["all"];
    const expected = await yamlRows(database, columns.get(model.name) ?? [], { relation: "shelfmark_made", order });
    const vars = varsOf(project, needed, model);
    return yamlOf({
        name: options.name ?? freeName(project, model.name),
        model: model.name,
        ...(Object.keys(vars).length === 0 ? {} : { overrides: { vars } }),
        ...(given.length === 0 ? {} : { given }),
        expect: { rows: expected },
    });
}

/** Fills the inputs: with the rows that have the values which the model passes on, or by its key only, or with all. */
async function fill(trial: Trial, { model, columns, links, inputs }: Recording): Promise<void> {
    const isKey = ({ column }: Link): boolean => model.uniqueKey.includes(column);
    for (const isTaken of [() => true, isKey, () => false]) {
        for (const input of inputs) {
            const own = (links.get(input.name) ?? []).filter(isTaken);
            await trial.fill(input, columns.get(input.name) ?? [], own);
        }
        if ((await trial.measure()).missing === 0) return;
    }
    throw new PipelineError(
        `"${model.name}" makes other rows each time of the same inputs, so no test of it would pass`,
    );
}

/** A trial may end in an error: what is left need not be data that the SQL can take. */
const useless = { missing: Number.POSITIVE_INFINITY, extra: Number.POSITIVE_INFINITY };

/** Inputs from which rows and columns are taken away for as long as the wanted rows are made of the rest. */
class Trial {
    private readonly database: Database;
    private readonly sql: string;
    private now = useless;

    constructor(database: Database, sql: string) {
        this.database = database;
        this.sql = sql;
    }

    /** Fills an input with the rows that agree with a wanted row in all links; without links, with all. */
    async fill(input: Node, columns: readonly Column[], links: readonly Link[]): Promise<void> {
        const names = columns.map((column) => identifier(column.name)).join(", ");
        const isWanted = links.map(
            ({ column, origin }) => `w.${identifier(column)} is not distinct from i.${identifier(origin)}`,
        );
        const filter =
            links.length === 0 ? "" : `where exists (select 1 from ${wanted} as w where ${isWanted.join(" and ")})`;
        const where = "database" in input && input.database !== undefined ? "" : `${workCatalog}.`;
        await this.database.run(
            `create or replace table ${heldOf(input.name)} as
             select row_number() over () as shelfmark_id, true as shelfmark_on, ${names} from ${where}${relationOf(input)} as i ${filter}`,
        );
        await this.database.run(
            `create or replace view ${identifier(tableOf(input.name))} as
             select ${names} from ${heldOf(input.name)} where shelfmark_on order by shelfmark_id`,
        );
    }

    /** How many of the wanted rows are not made, and how many others are. */
    async measure(): Promise<typeof useless> {
        const [row] = await this.database.rows(
            `with shelfmark_made as materialized (\n${this.sql}\n)
             select (select count(*) from (from ${wanted} except all from shelfmark_made)) as missing,
                 (select count(*) from (from shelfmark_made except all from ${wanted})) as extra`,
        );
        this.now = { missing: Number(row?.missing), extra: Number(row?.extra) };
        return this.now;
    }

    async ids(input: string): Promise<readonly number[]> {
        const rows = await this.database.rows(
            `select shelfmark_id as id from ${heldOf(input)} where shelfmark_on order by all`,
        );
        return rows.map(({ id }) => Number(id));
    }

    /** Takes away rows: all at once, then by halves, quarters and so on, up to a hundred parts. */
    async dropRows(input: string): Promise<void> {
        let ids = await this.ids(input);
        for (let size = ids.length; size >= 1 && ids.length / size <= 100; size = Math.floor(size / 2)) {
            const before = ids.length;
            for (let i = 0; i < ids.length; i += size) {
                const part = ids.slice(i, i + size).join(", ");
                await this.attempt(`update ${heldOf(input)} set shelfmark_on = false where shelfmark_id in (${part})`);
            }
            ids = await this.ids(input);
            // Where none of many parts can go, hardly any of more can.
            if (ids.length === before && before / size > 16) return;
        }
    }

    /** Takes away rows behind the first ones, and tells how many. */
    async cut(input: string, limit: number): Promise<number> {
        const rest = (await this.ids(input)).slice(limit);
        if (rest.length === 0) return 0;
        await this.database.run(
            `update ${heldOf(input)} set shelfmark_on = false where shelfmark_id in (${rest.join(", ")})`,
        );
        await this.measure();
        return rest.length;
    }

    async dropColumn(input: string, column: string): Promise<void> {
        await this.attempt(`update ${heldOf(input)} set ${identifier(column)} = null where shelfmark_on`);
    }

    /** Makes a change, and takes it back when it makes things worse. */
    private async attempt(change: string): Promise<void> {
        const before = this.now;
        await this.database.run("begin");
        const after = await this.database
            .run(change)
            .then(() => this.measure())
            .catch((error: unknown) => {
                if (error instanceof SqlError) return useless;
                throw error;
            });
        const isWorse = after.missing > before.missing || after.extra > before.extra;
        await this.database.run(isWorse ? "rollback" : "commit");
        if (isWorse) this.now = before;
    }
}

function heldOf(input: string): string {
    return identifier(`shelfmark_held_${tableOf(input)}`);
}

type YamlRow = Readonly<Record<string, unknown>>;

/** Rows as a unit test reads them back: by way of text, which is cast to the column's type. */
async function yamlRows(
    database: Database,
    columns: readonly Column[],
    { relation, order }: { relation: string; order: readonly string[] },
): Promise<YamlRow[]> {
    const list = columns.map(({ name, type }, i) => {
        const column = identifier(name);
        const text = `cast(${column} as varchar) as t${i}`;
        if (!isNested(type)) return text;
        // What JSON can't hold, such as maps of numbers, is read back from DuckDB's own text.
        const isSame = `try_cast(to_json(${column}) as ${type}) is not distinct from ${column}`;
        return `${text}, case when ${isSame} then cast(to_json(${column}) as varchar) end as j${i}`;
    });
    const by =
        order.length === 0
            ? ""
            : ` order by ${order.map((name) => (name === "all" ? name : identifier(name))).join(", ")}`;
    const rows = await database.rows(`select ${list.join(", ")} from ${relation}${by}`);
    return rows.map((row) =>
        Object.fromEntries(
            columns.map(({ name, type }, i) => [name, yamlValue(type, row[`t${i}`] as string | null, row[`j${i}`])]),
        ),
    );
}

function isNested(type: string): boolean {
    return type.endsWith("]") || type.startsWith("STRUCT");
}

const wholeOrDecimal = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*)$/;

function yamlValue(type: string, text: string | null, json: unknown): unknown {
    if (text === null) return null;
    if (typeof json === "string" && !/\d{16}/.test(json)) return JSON.parse(json);
    if (type === "BOOLEAN") return text === "true";
    const number = Number(text);
    const isExact = /^(DOUBLE|FLOAT)$/.test(type)
        ? Number.isFinite(number)
        : wholeOrDecimal.test(type) && text.replace(/\D/g, "").length <= 15;
    return isExact ? number : text;
}

/** Columns that are not given are NULL; a row that has nothing else needs one of them to be there. */
function withoutNulls(row: YamlRow): YamlRow {
    const some = Object.entries(row).filter(([, value]) => value !== null);
    return Object.fromEntries(some.length > 0 ? some : Object.entries(row).slice(0, 1));
}

/** The vars that a model's SQL is made with: whoever changes one later does not change what this test is about. */
function varsOf(project: Project, needed: ReadonlySet<string>, model: Model): Record<string, unknown> {
    const nodes = [...project.nodes.values()].filter(
        (node) => node === model || (isEphemeral(node) && needed.has(node.name)),
    );
    const templates = nodes.flatMap((node) => ("template" in node ? [node.template] : []));
    const called = templates.flatMap((template) => [...macrosCalled(template, project.macros)]);
    const macros = called.flatMap((name) => project.macros.get(name)?.template ?? []);
    const tags = [...templates, ...macros].flatMap(({ parts }) => [...tagsOf(parts)].map((tag) => tag.name));
    const names = new Set(tags.flatMap((tag) => (tag.startsWith("vars.") ? [tag.slice("vars.".length)] : [])));
    return Object.fromEntries([...names].sort().map((name) => [name, project.vars[name]]));
}

function freeName(project: Project, model: string): string {
    const taken = new Set([...project.unitTests, ...project.macroTests].map((test) => test.name));
    let name = `${model}_as_recorded`;
    for (let i = 2; taken.has(name); i++) name = `${model}_as_recorded_${i}`;
    return name;
}

/** Text that other readers of YAML would take for a date or a yes is in quotes too. */
function yamlOf(test: Readonly<Record<string, unknown>>): string {
    const document = new Document({ unit_tests: [test] }, { compat: "yaml-1.1", aliasDuplicateObjects: false });
    const lists = [
        ["expect", "rows"],
        ...((test.given as readonly unknown[] | undefined) ?? []).map((_, i) => ["given", i, "rows"]),
    ];
    for (const path of lists) {
        const rows = document.getIn(["unit_tests", 0, ...path]) as YAMLSeq<YAMLMap<unknown, unknown>>;
        for (const row of rows.items) {
            row.flow = JSON.stringify(row).length <= 110;
            for (const { value } of row.items) if (isCollection(value)) value.flow = true;
        }
    }
    return document.toString({ lineWidth: 0, blockQuote: false });
}

/** Runs the test just as it is written. @throws PipelineError when it does not pass. */
async function prove(
    database: Database,
    project: Project,
    { graph, columns, yaml }: { graph: Graph; columns: Columns; yaml: string },
): Promise<void> {
    const problems: Problem[] = [];
    const { unitTests: tests } = readProperties({ path: "what was recorded", text: yaml }, problems);
    problems.push(...(await runUnitTests([database], project, { graph, columns, tests })));
    if (problems.length === 0) return;
    throw new PipelineError(
        `the test that was made of these rows does not pass, so it is not printed:\n${problems.map(formatProblem).join("\n")}`,
    );
}
