import { type Answer, fastApi } from "./http.ts";

interface Problem {
    readonly type: string;
    readonly loc: readonly ["query", string];
    readonly msg: string;
    readonly input: string;
    readonly ctx?: Readonly<Record<string, unknown>>;
}

/**
 * Reads URL parameters as FastAPI does: of a repeated one the last counts, every problem is collected, and all of them
 * are one 422. Wording of the problems: pydantic's.
 */
export class Parameters {
    readonly #query: URLSearchParams;
    readonly #problems: Problem[] = [];

    constructor(query: URLSearchParams) {
        this.#query = query;
    }

    /** The 422 that names every problem met so far, or undefined when there is none. */
    rejection(): Answer | undefined {
        return this.#problems.length === 0 ? undefined : fastApi({ detail: this.#problems }, 422);
    }

    text(name: string): string | undefined {
        return this.#query.getAll(name).at(-1);
    }

    integer<Fallback>(name: string, fallback: Fallback, bounds: { min: number; max?: number }): number | Fallback {
        const input = this.text(name);
        if (input === undefined) return fallback;
        const value = Number(input);
        if (!/^\s*[+-]?\d+(\.0*)?\s*$/.test(input)) {
            this.report(
                name,
                "int_parsing",
                "Input should be a valid integer, unable to parse string as an integer",
                input,
            );
        } else if (value < bounds.min) {
            const msg = `Input should be greater than or equal to ${bounds.min}`;
            this.report(name, "greater_than_equal", msg, input, { ge: bounds.min });
        } else if (bounds.max !== undefined && value > bounds.max) {
            const msg = `Input should be less than or equal to ${bounds.max}`;
            this.report(name, "less_than_equal", msg, input, { le: bounds.max });
        }
        return value;
    }

    flag(name: string): boolean {
        const input = this.text(name) ?? "false";
        if (/^(true|1|yes|on|y|t)$/i.test(input)) return true;
        if (!/^(false|0|no|off|n|f)$/i.test(input)) {
            const msg = "Input should be a valid boolean, unable to interpret input";
            this.report(name, "bool_parsing", msg, input);
        }
        return false;
    }

    report(name: string, type: string, msg: string, input: string, ctx?: Readonly<Record<string, unknown>>): void {
        this.#problems.push({ type, loc: ["query", name], msg, input, ...(ctx === undefined ? {} : { ctx }) });
    }
}
