import { referenceOf } from "./data-tests.ts";
import { identifier, literal } from "./duckdb.ts";
import type { Graph } from "./graph.ts";
import { type DataTest, isEphemeral, type Macro, type Model, type Node, type Project } from "./nodes.ts";
import type { Position } from "./problem.ts";
import type { Argument } from "./properties.ts";
import { endOfStatement } from "./syntax.ts";
import { callOf, concatenate, fromSource, type Rendered, render, type Scope, slice, tagsOf } from "./template.ts";

/** The SQL of a model or test. Where an incremental run of the model reads something else, `increment` is that. */
export interface NodeSql extends Rendered {
    readonly increment?: Rendered;
}

/** The SQL of every model and test by name: one SELECT each, in the engine's own dialect. */
export type Compiled = ReadonlyMap<string, NodeSql>;

/**
 * Renders the models and tests of a project: all, or those among `names`, which must hold what they read. Ephemeral models
 * become common table expressions of those that read them.
 */
export function compile(project: Project, graph: Graph, names?: ReadonlySet<string>): Compiled {
    const compiled = new Map<string, NodeSql>();
    const bodies = new Map<string, Rendered>();
    for (const node of graph.order) {
        if ((node.kind !== "model" && node.kind !== "test") || names?.has(node.name) === false) continue;
        const rendered = (isIncremental: boolean): Rendered => {
            const body =
                node.kind === "model" && node.snapshot !== undefined
                    ? allOf(node, project)
                    : trimStatement(render(node.template, scopeOf(node, project, isIncremental)));
            if (!isIncremental) bodies.set(node.name, body);
            return withEphemerals(body, [...readsOf(node, project)].filter(isEphemeral), bodies);
        };
        const differs = [...tagsOf(node.template.parts)].some((tag) => tag.kind === "section");
        compiled.set(node.name, { ...rendered(false), ...(differs ? { increment: rendered(true) } : {}) });
    }
    return compiled;
}

/** A snapshot takes all of its relation; what is wrong with that is wrong where it is declared. */
function allOf({ parents: [name = ""], declaredAt }: Model, project: Project): Rendered {
    const parent = project.nodes.get(name);
    return fromSource(`select * from ${parent === undefined ? name : relationOf(parent)}`, declaredAt, false);
}

/** How SQL names a node: `main.dim_books`, `landing.openlibrary.search_pages`, or the expression of an ephemeral model. */
export function relationOf(node: Node): string {
    if (node.kind === "source") {
        return [node.database, node.schema, node.identifier]
            .filter((part) => part !== undefined)
            .map((part) => (/^[a-z_][a-z0-9_]*$/i.test(part) ? part : identifier(part)))
            .join(".");
    }
    return isEphemeral(node) ? expressionName(node) : `main.${node.name}`;
}

function expressionName(model: Model): string {
    return `ephemeral__${model.name}`;
}

function scopeOf(node: Model | DataTest, project: Project, isIncremental: boolean): Scope {
    const relation = (name: string): string => {
        const found = project.nodes.get(name);
        return found === undefined ? name : relationOf(found);
    };
    return {
        isIncremental,
        macro: (name) => macroOf(project, name),
        value: (name, at) => {
            const [kind = "", ...rest] = name.split(".");
            if (kind === "vars") return String(project.vars[rest.join(".")]);
            if (kind === "ref" || kind === "source") return relation(rest.join("."));
            if (name === "this") return relationOf(node);
            if (node.kind === "model" && name === "window_start") return `(${windowStart(node)})`;
            if (node.kind !== "test") throw new Error(`name ${name} was not checked`);
            // What a generic test is given stands in the YAML file, so that is where its mistakes are.
            return fromSource(
                testValue(node, name, relation),
                node.generic === undefined ? at : node.declaredAt,
                false,
            );
        },
    };
}

function macroOf(project: Project, name: string): Macro {
    const macro = project.macros.get(name);
    if (macro === undefined) throw new Error(`macro ${name} was not checked`);
    return macro;
}

/** The SQL of one call of a macro, as if it stood at a place; `args` is the SQL of each argument by its name. */
export function compileCall(
    project: Project,
    name: string,
    { args, at }: { args: Readonly<Record<string, string>>; at: Position },
): Rendered {
    return render(callOf(name, macroOf(project, name).parameters, at), {
        isIncremental: false,
        macro: (other) => macroOf(project, other),
        value: (value) => args[value] ?? String(project.vars[value.replace(/^vars\./, "")]),
    });
}

/** The query for the time from which on a windowed model is made anew. */
export function windowStart(model: Model): string {
    const { eventTime, batchSize, lookback } = model.incremental?.window ?? {};
    const newest = `date_trunc('${batchSize}', max(${identifier(eventTime ?? "")}))`;
    return `select ${newest} - interval '${lookback}' ${batchSize} from ${relationOf(model)}`;
}

function testValue(test: DataTest, name: string, relation: (name: string) => string): string {
    if (name === "model") {
        const tested = relation(test.on ?? "");
        return test.where === undefined ? tested : `(select * from ${tested} where ${test.where}) as tested`;
    }
    const value = test.args[name];
    if (value === undefined) return name === "column_name" ? (test.column ?? "") : "";
    const referred = referenceOf(value);
    // `columns` holds names, every other list values.
    const isQuoted = test.args.quote !== false && name !== "columns";
    return referred === undefined ? argumentText(value, isQuoted) : relation(referred);
}

/** A list becomes SQL literals separated by commas (`quote: false`: as it is written), anything else its own text. */
function argumentText(value: Argument, quote: boolean): string {
    if (!Array.isArray(value)) return String(value);
    return value.map((item) => (quote && typeof item === "string" ? literal(item) : String(item))).join(", ");
}

/** Without the white space around, and without a closing semicolon, which would end the statement around it. */
function trimStatement(rendered: Rendered): Rendered {
    const end = endOfStatement(rendered.text);
    return slice(rendered, Math.min(end, rendered.text.length - rendered.text.trimStart().length), end);
}

/**
 * What a node's SQL reads: its parents, and what is read by the ephemeral models among them, which are written into it. Each
 * stands once, after what it reads itself.
 */
export function readsOf(node: Node, project: Project, found = new Set<Node>()): ReadonlySet<Node> {
    for (const name of node.parents) {
        const parent = project.nodes.get(name);
        if (parent === undefined || found.has(parent)) continue;
        if (isEphemeral(parent)) readsOf(parent, project, found);
        found.add(parent);
    }
    return found;
}

function withEphemerals(body: Rendered, models: readonly Model[], bodies: ReadonlyMap<string, Rendered>): Rendered {
    if (models.length === 0) return body;
    const at = body.segments[0]?.at;
    if (at === undefined) return body;
    const glue = (text: string): Rendered => fromSource(text, at, false);
    const own = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*with\b(?<recursive>\s+recursive\b)?/i.exec(body.text);
    const expressions = models.flatMap((model, i) => [
        glue(`${i === 0 ? "" : ",\n"}${expressionName(model)} as (\n`),
        bodies.get(model.name) ?? glue(""),
        glue("\n)"),
    ]);
    return concatenate([
        glue(own?.groups?.recursive === undefined ? "with " : "with recursive "),
        ...expressions,
        own === null ? glue("\n") : glue(","),
        own === null ? body : slice(body, own[0].length),
    ]);
}
