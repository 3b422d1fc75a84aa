import { problemOf } from "./check-node.ts";
import { compileCall } from "./compile.ts";
import { type Database, literal, SqlError } from "./duckdb.ts";
import type { Macro, Project } from "./nodes.ts";
import type { Position, Problem } from "./problem.ts";
import type { MacroTest } from "./properties.ts";
import { wellPlaced } from "./syntax.ts";
import { macrosCalled } from "./template.ts";
import { type Connections, cast, problemsOf } from "./unit-tests.ts";

/** The unit tests of the macros that nodes among `names` call; all of them where these are all models. */
export function macroTestsOf(project: Project, names: ReadonlySet<string>): readonly MacroTest[] {
    const nodes = [...project.nodes.values()];
    if (nodes.every((node) => node.kind !== "model" || names.has(node.name))) return project.macroTests;
    const called = new Set<string>();
    for (const node of nodes) {
        if (names.has(node.name) && "template" in node) macrosCalled(node.template, project.macros, called);
    }
    return project.macroTests.filter((test) => called.has(test.macro));
}

/**
 * Runs unit tests of macros: each row is a call, on values and not on columns, because there are functions that take
 * nothing else for some of their arguments. What differs is returned, one problem a test.
 */
export async function runMacroTests(
    connections: Connections,
    project: Project,
    tests: readonly MacroTest[],
): Promise<Problem[]> {
    return problemsOf(connections, tests, (database, test) => {
        const macro = project.macros.get(test.macro);
        if (macro === undefined) throw new Error(`macro ${test.macro} was not checked`);
        return mistakeIn(database, { ...project, vars: { ...project.vars, ...test.vars } }, { macro, test });
    });
}

const shownCalls = 10;

async function mistakeIn(
    database: Database,
    project: Project,
    { macro, test }: { macro: Macro; test: MacroTest },
): Promise<Problem | undefined> {
    const types = await argumentTypes(database, macro, test);
    if (!(types instanceof Map)) return types;
    const differing: { readonly text: string; readonly at: Position }[] = [];
    for (const [i, row] of test.rows.entries()) {
        const at = test.rowsAt.each[i] ?? test.rowsAt.all;
        const told = macro.parameters.map((name) => `${name}=${shown(row[name])}`).join("  ");
        const args = macro.parameters.map((name): [string, string] => [name, cast(row[name], types.get(name) ?? "")]);
        const call = compileCall(project, macro.name, { args: Object.fromEntries(args), at });
        const before = "create or replace temp table shelfmark_made as select (\n";
        try {
            await database.run(`${before}${call.text}\n) as result`);
        } catch (error) {
            if (!(error instanceof SqlError)) throw error;
            const placed = await wellPlaced(database, call.text, error.after(before.length));
            const problem = problemOf(placed, call);
            return { ...problem, message: `${problem.message} (${told})` };
        }
        try {
            const differs = await difference(database, row.expect);
            if (differs !== undefined) differing.push({ text: `${told}: ${differs}`, at });
        } catch (error) {
            if (!(error instanceof SqlError)) throw error;
            return { message: `expect is ${shown(row.expect)}: ${error.message}`, at };
        }
    }
    await database.run("drop table if exists temp.main.shelfmark_made");
    const [first] = differing;
    if (first === undefined) return undefined;
    const lines = differing.slice(0, shownCalls).map(({ text }) => `\n    ${text}`);
    const more = differing.length > shownCalls ? `\n    and ${differing.length - shownCalls} more` : "";
    return { message: `"${macro.name}" gives something else:${lines.join("")}${more}`, at: first.at };
}

/**
 * The types of arguments: what is said, or one that holds the values of all rows, as DuckDB finds it. An argument that is
 * always null has none.
 */
async function argumentTypes(
    database: Database,
    { parameters }: Macro,
    { rows, rowsAt, types, typesAt }: MacroTest,
): Promise<Map<string, string> | Problem> {
    const found = new Map<string, string>();
    for (const name of parameters) {
        const said = types[name];
        const values = rows.map((row) => row[name]).filter((value) => value !== null);
        if (said === undefined && values.length === 0) continue;
        const sql = said === undefined ? values.map((value) => `(${literalOf(value)})`).join(", ") : `(null::${said})`;
        try {
            const [column] = await database.columns(`(select * from (values ${sql}) as given(value))`);
            found.set(name, column?.type ?? "");
        } catch (error) {
            if (!(error instanceof SqlError)) throw error;
            if (said !== undefined)
                return { message: `the type of "${name}" is ${said}: ${error.message}`, at: typesAt };
            const message = `the values of "${name}" have no type in common: ${error.message}. Say it below "types:"`;
            return { message, at: rowsAt.all };
        }
    }
    return found;
}

/** A value of a YAML file as SQL that DuckDB gives a type. */
function literalOf(value: unknown): string {
    if (value === null) return "null";
    if (Array.isArray(value)) return `[${value.map(literalOf).join(", ")}]`;
    if (typeof value === "object") {
        const fields = Object.entries(value as object).map(([key, inner]) => `${literal(key)}: ${literalOf(inner)}`);
        return `{${fields.join(", ")}}`;
    }
    if (typeof value === "string") return literal(value);
    return typeof value === "number" && !Number.isFinite(value) ? `'${value}'::double` : String(value);
}

/** How what was made differs from what is expected, which is taken for a value of the same type. */
async function difference(database: Database, expected: unknown): Promise<string | undefined> {
    const [{ type } = { type: "" }] = await database.columns("temp.main.shelfmark_made");
    const rows = await database.rows(
        `select result, expected, result is not distinct from expected as same
         from (select result, ${cast(expected, type)} as expected from temp.main.shelfmark_made)`,
    );
    const [row] = rows;
    if (row === undefined || rows.length > 1) return `${rows.length} values made, and not one`;
    // DuckDB rounds 1.5 to the integer 2.
    const isRounded = typeof expected === "number" && /INT|DECIMAL/.test(type) && Number(row.expected) !== expected;
    if (isRounded) return `expected ${shown(expected)}, made ${shown(row.result)}, of type ${type}`;
    return row.same === true ? undefined : `expected ${shown(row.expected)}, made ${shown(row.result)}`;
}

/** As JSON, so that text is told from numbers, and its white space can be seen. */
function shown(value: unknown): string {
    const text = JSON.stringify(value);
    return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}
