import { randomBytes } from "node:crypto";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf, PipelineError } from "../common/errors.ts";
import { type Event, eventLine, finishedEvent, nodeRecord, problemRecord, type RunStatus } from "./events.ts";
import type { Run } from "./history.ts";
import type { Output } from "./load.ts";
import type { Project } from "./nodes.ts";
import { placesOf } from "./open.ts";
import { ProjectError } from "./problem.ts";
import type { Published } from "./publish.ts";
import { closingLine, resultLine } from "./report.ts";
import type { Result } from "./run.ts";

export interface TellOptions {
    /** What is written: lines for people, or an event a line as JSON. Default: text */
    readonly logFormat?: "text" | "json" | undefined;
    /** Told of what happens, in place of its being printed; `text` is the line that people would get for it, if any. */
    readonly onEvent?: (event: Event, text: string | undefined) => void;
}

/** Tells what happens in one call of a command, as it happens: to who waits, and to the file of events. */
export class Teller {
    readonly run: Run;
    /** What was told of nodes. */
    readonly results: Result[] = [];
    private readonly options: TellOptions;
    private readonly output: Output;
    private readonly started = performance.now();
    private file: string | undefined;
    private hasEnded = false;

    constructor(command: string, options: TellOptions, output: Output) {
        this.run = { runId: newRunId(), command, startedAt: new Date().toISOString() };
        this.options = options;
        this.output = output;
    }

    /** From now on what is told is also kept, in artifacts/<target>/events.ndjson, which begins anew. */
    keepIn(project: Pick<Project, "root" | "target">): void {
        const { artifacts } = placesOf(project);
        mkdirSync(artifacts, { recursive: true });
        this.file = join(artifacts, "events.ndjson");
        writeFileSync(this.file, "");
    }

    /** How long it has taken until now. */
    get seconds(): number {
        return (performance.now() - this.started) / 1000;
    }

    /** Tells an event. People get `text` for it, if anything. */
    tell(event: Event, text?: string): void {
        const line = eventLine(this.run.runId, event);
        this.keep(line);
        const { onEvent, logFormat } = this.options;
        if (onEvent !== undefined) onEvent(event, text);
        else if (logFormat === "json") this.output.out(line);
        else if (text !== undefined) this.output.out(text);
    }

    /** Tells what became of a node. */
    result(result: Result, position: { index: number; total: number }): void {
        this.results.push(result);
        // Of tests, only those that found something are news, but to who asked for tests.
        const isQuiet = result.node.kind === "test" && ["pass", "skip"].includes(result.status);
        const isNews = result.status !== "reused" && (!isQuiet || this.run.command === "test");
        const text = isNews ? resultLine(result, position) : undefined;
        this.tell({ type: "node", ...position, ...nodeRecord(result) }, text);
    }

    /** Tells that there is nothing to do, and why. */
    nothing(why: string): void {
        this.end("success", { results: [], published: { reasons: [why] } }, `${why}\n${closingLine([])}`);
    }

    /** Tells what it came to; `conclusion` is that for people. */
    finish(ok: boolean, ended: Ended, conclusion: string): void {
        const finished = `Finished ${this.run.command} in ${this.seconds.toFixed(1)} s`;
        this.end(ok ? "success" : "error", ended, [conclusion, finished, closingLine(ended.results)].join("\n"));
    }

    /** Tells that it was interrupted, and where: "before anything ran". Returns what is to be thrown. */
    interrupted(results: readonly Result[], where: string): PipelineError {
        this.end("interrupted", { results, published: { reasons: [`interrupted ${where}`] } });
        return new PipelineError(`interrupted ${where}. What people read is as it was`, { exitCode: 2 });
    }

    /** Tells of the error that ended it, unless that was told. Returns it: people read it where all errors are printed. */
    failed(error: unknown): unknown {
        if (this.hasEnded) return error;
        if (error instanceof ProjectError) this.tell({ type: "refused", problems: error.problems.map(problemRecord) });
        else this.end("error", { results: this.results, published: { reasons: [messageOf(error)] } });
        return error;
    }

    /** On a full disk it is what fails of the run itself that counts, and not that this can't be written down. */
    private keep(line: string): void {
        if (this.file === undefined) return;
        try {
            appendFileSync(this.file, `${line}\n`);
        } catch (error) {
            this.output.note(`${this.file} ends here, it can't be written: ${messageOf(error)}`);
            this.file = undefined;
        }
    }

    private end(status: RunStatus, { results, published }: Ended, text?: string): void {
        this.hasEnded = true;
        this.tell(
            finishedEvent({ command: this.run.command, status, seconds: this.seconds }, results, published),
            text,
        );
    }
}

interface Ended {
    readonly results: readonly Result[];
    readonly published: Published;
}

/** The run's own time first, so that run ids sort by time: 20261122T160501.123Z-3fa9. */
function newRunId(): string {
    const time = new Date().toISOString().replace(/[-:]/g, "");
    return `${time}-${randomBytes(2).toString("hex")}`;
}
