import type { Writable } from "node:stream";

/** Where a run stands: of `total` things `done` are landed. */
export interface Standing {
    readonly what: "works" | "authors";
    readonly done: number;
    readonly total: number;
    /** Requests made by this process. */
    readonly requests: number;
}

/**
 * Tells how a run goes on: on a terminal in one line that is written again and again, elsewhere in plain lines, the first
 * at once, then one every five seconds at most, and a last one.
 */
export class Progress {
    readonly #stream: Writable & { readonly isTTY?: boolean };
    #name = "extract";
    #current: (() => string) | undefined;

    constructor(stream: Writable & { readonly isTTY?: boolean }) {
        this.#stream = stream;
    }

    /** Prints a line of its own, under the name of what is followed. */
    say(line: string): void {
        this.#clear();
        this.#stream.write(`${this.#name}: ${line}\n`);
        this.#draw();
    }

    /** Follows what `standing` returns until the function that this returns is called. */
    follow(name: string, standing: () => Standing | undefined): () => void {
        const line = describe(standing);
        const isTerminal = this.#stream.isTTY === true;
        this.#name = name;
        if (isTerminal) this.#current = line;
        const print = (): void => {
            if (isTerminal) this.#draw();
            else this.say(line());
        };
        print();
        const timer = setInterval(print, isTerminal ? 200 : 5000);
        timer.unref();
        return () => {
            clearInterval(timer);
            this.#clear();
            this.#current = undefined;
            if (standing() !== undefined) this.say(line());
            this.#name = "extract";
        };
    }

    #clear(): void {
        if (this.#current !== undefined) this.#stream.write("\r\x1b[2K");
    }

    #draw(): void {
        if (this.#current === undefined) return;
        this.#stream.write(`\r\x1b[2K${this.#name}: ${this.#current()}`);
    }
}

/** `6,000 of 19,353 works, 3.0 requests/s, 4 s left`. The rates are those since what is counted changed. */
function describe(standing: () => Standing | undefined): () => string {
    let from: { what: Standing["what"]; done: number; requests: number; at: number } | undefined;
    return () => {
        const now = standing();
        if (now === undefined) return "asking how many works there are";
        const at = performance.now();
        if (from?.what !== now.what) from = { ...now, at };
        const seconds = (at - from.at) / 1000;
        const parts = [`${count(now.done)} of ${count(now.total)} ${now.what}`];
        if (seconds >= 1) {
            parts.push(`${((now.requests - from.requests) / seconds).toFixed(1)} requests/s`);
            const left = ((now.total - now.done) / (now.done - from.done)) * seconds;
            if (Number.isFinite(left) && left > 0) parts.push(`${duration(left)} left`);
        }
        return parts.join(", ");
    };
}

/** `19,353`. */
export function count(value: number): string {
    return value.toLocaleString("en-US");
}

/** `96 s`, and from ten minutes on `12 min`. */
export function duration(seconds: number): string {
    return seconds < 600 ? `${Math.round(seconds)} s` : `${count(Math.round(seconds / 60))} min`;
}
