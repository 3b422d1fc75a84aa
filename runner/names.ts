import { didYouMean } from "../common/nearest.ts";
import type { Var } from "./config.ts";
import type { Macro, Node } from "./nodes.ts";
import type { Problem } from "./problem.ts";
import { incrementalSection, type Part, type Template, tagsOf } from "./template.ts";

/** Checks every name in a template and gives what the template reads, macros included. */
export class NameChecker {
    private readonly relations: ReadonlyMap<string, Node>;
    private readonly macros: ReadonlyMap<string, Macro>;
    private readonly vars: Readonly<Record<string, Var>>;
    private readonly problems: Problem[];

    constructor(
        relations: ReadonlyMap<string, Node>,
        macros: ReadonlyMap<string, Macro>,
        vars: Readonly<Record<string, Var>>,
        problems: Problem[],
    ) {
        this.relations = relations;
        this.macros = macros;
        this.vars = vars;
        this.problems = problems;
    }

    /** `own` are names that mean something in this file only: a macro's parameters, a generic test's arguments. */
    check(template: Template, own: readonly string[] = [], within?: string): string[] {
        const parents = new Set<string>();
        for (const tag of tagsOf(template.parts)) {
            const at = { file: template.file, offset: tag.start };
            const report = (message: string): void => void this.problems.push({ message, at });
            if (tag.kind === "section") {
                if (!own.includes(tag.name)) report(`{{#${tag.name}}} has a meaning in models only`);
            } else if (tag.kind === "call") {
                const macro = this.macro(tag.name, tag.args.length, report);
                if (macro === undefined) continue;
                if (this.reaches(macro, within ?? "", new Set())) report(`macro "${tag.name}" calls itself`);
                else for (const parent of this.parentsOf(macro)) parents.add(parent);
            } else if (!own.includes(tag.name)) {
                const parent = this.value(tag.name, own, report);
                if (parent !== undefined) parents.add(parent);
            }
        }
        return [...parents];
    }

    /** A model's template: `{{this}}` is what an incremental run finds there, `{{window_start}}` from when on it replaces. */
    checkModel(template: Template, hasWindow: boolean): string[] {
        const own = ["this", ...(hasWindow ? ["window_start"] : [])];
        for (const tag of outsideOfIncremental(template.parts)) {
            if (tag.kind !== "value" || !own.includes(tag.name)) continue;
            const message = `"${tag.name}" means nothing in a first run: write it inside {{#incremental}}...{{/incremental}}`;
            this.problems.push({ message, at: { file: template.file, offset: tag.start } });
        }
        return this.check(template, [...own, incrementalSection]);
    }

    private macro(name: string, given: number, report: (message: string) => void): Macro | undefined {
        const macro = this.macros.get(name);
        if (macro === undefined) {
            report(`unknown macro "${name}".${didYouMean(name, this.macros.keys())}`);
        } else if (macro.parameters.length !== given) {
            const expected = macro.parameters.length;
            const names = expected === 0 ? "" : ` (${macro.parameters.join(", ")})`;
            report(`macro "${name}" takes ${expected} argument${expected === 1 ? "" : "s"}${names}, not ${given}`);
        }
        return macro;
    }

    private value(name: string, own: readonly string[], report: (message: string) => void): string | undefined {
        const [kind = "", ...rest] = name.split(".");
        const target = rest.join(".");
        if (kind === "vars") {
            if (!Object.hasOwn(this.vars, target)) {
                report(`unknown var "${target}".${didYouMean(target, Object.keys(this.vars))}`);
            }
            return undefined;
        }
        if (kind !== "ref" && kind !== "source") {
            const jinja = /^(ref|source|var)\(/.exec(name);
            if (jinja !== null) {
                const words = [...name.matchAll(/['"]([^'"]+)['"]/g)].map((match) => match[1]);
                const tag = [jinja[1] === "var" ? "vars" : jinja[1], ...words].join(".");
                report(`"${name}" is Jinja; write {{${tag}}}`);
                return undefined;
            }
            if (name.startsWith("config(")) {
                report('settings do not stand in a model: write them below "config:" in a YAML file beside it');
                return undefined;
            }
            if (name === "window_start") {
                report('"window_start" needs an incremental model with an "event_time" in its config');
                return undefined;
            }
            const known = [...own, ...["ref.", "source.", "vars."].map((prefix) => `${prefix}${target || name}`)];
            const macro = this.macros.has(name) ? ` A macro is called as {{#${name}}}...{{/${name}}}` : "";
            report(`unknown name "${name}".${macro || didYouMean(name, known)}`);
            return undefined;
        }
        if (target === "") {
            const example = kind === "ref" ? "ref.<model>" : "source.<source>.<table>";
            report(`"${name}" names no ${kind}: write {{${example}}}`);
            return undefined;
        }
        const node = this.relations.get(target);
        if (node !== undefined && (node.kind === "source") === (kind === "source")) return target;
        const candidates = [...this.relations.values()]
            .filter((other) => (other.kind === "source") === (kind === "source"))
            .map((other) => other.name);
        report(`unknown ${kind} "${target}".${didYouMean(target, candidates)}`);
        return undefined;
    }

    private reaches(macro: Macro, name: string, seen: Set<string>): boolean {
        if (macro.name === name) return true;
        if (seen.has(macro.name)) return false;
        seen.add(macro.name);
        return this.calledBy(macro).some((called) => this.reaches(called, name, seen));
    }

    private calledBy(macro: Macro): Macro[] {
        return [...tagsOf(macro.template.parts)].flatMap((tag) => {
            const called = tag.kind === "call" ? this.macros.get(tag.name) : undefined;
            return called === undefined ? [] : [called];
        });
    }

    private parentsOf(macro: Macro, seen = new Set<string>()): string[] {
        if (seen.has(macro.name)) return [];
        seen.add(macro.name);
        const own = [...tagsOf(macro.template.parts)].flatMap((tag) => {
            const [, target] = /^(?:ref|source)\.(.+)$/.exec(tag.kind === "value" ? tag.name : "") ?? [];
            return target !== undefined && this.relations.has(target) ? [target] : [];
        });
        return [...own, ...this.calledBy(macro).flatMap((called) => this.parentsOf(called, seen))];
    }
}

/** The tags that count in a first run too. */
function* outsideOfIncremental(parts: readonly Part[]): Generator<Exclude<Part, { kind: "text" }>> {
    for (const part of parts) {
        if (part.kind === "text") continue;
        yield part;
        if (part.kind === "call") for (const arg of part.args) yield* outsideOfIncremental(arg);
        if (part.kind === "section" && part.isInverted) yield* outsideOfIncremental(part.parts);
    }
}
