import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import * as v from "valibot";
import { messageOf, PipelineError } from "../common/errors.ts";
import { takeLock } from "../common/lock.ts";
import { Client } from "./client.ts";
import { loadSettings } from "./config.ts";
import { extract, FailedExtraction } from "./extract.ts";
import { Progress } from "./progress.ts";
import { subjectKey } from "./subject-key.ts";

const politePace = 3;

const optionsSchema = v.object({
    subject: v.optional(v.array(v.string())),
    maxWorks: v.optional(v.number()),
    baseUrl: v.optional(v.string()),
    target: v.optional(v.string()),
    contact: v.optional(v.string()),
    pace: v.union([v.number(), v.literal("off")]),
    projectDir: v.string(),
    debug: v.optional(v.boolean(), false),
});
type Options = v.InferOutput<typeof optionsSchema>;

const command = new Command("extract")
    .description("Lands all works of Open Library subjects, and the documents of their authors, in the landing file.")
    .option("--subject <key>", "a subject, repeatable; otherwise those of pipeline.config.ts", collect)
    .option("--max-works <n>", "stop after so many works of each subject", wholeNumber)
    .option("--base-url <url>", "the service; otherwise that of pipeline.config.ts, or https://openlibrary.org")
    .option("--target <name>", "the target whose landing file is written; otherwise that of pipeline.config.ts")
    .option("--contact <who>", "your e-mail address or a URL, sent with each request; or in pipeline.config.ts")
    .option(
        "--pace <n>",
        `requests a second, or "off"; above ${politePace} never for openlibrary.org`,
        pace,
        politePace,
    )
    .option("--project-dir <dir>", "the folder of pipeline.config.ts", ".")
    .option("--debug", "print the stack of an error")
    .addHelpText("after", "\nExit codes: 0 complete, 1 failed, 2 interrupted or a bug, 3 partial.")
    .parse();
const options = v.parse(optionsSchema, command.opts());

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // Once: the second one ends the process at once, and the next extraction loads what it fetched.
    process.once(signal, () => interruption.abort(new PipelineError("interrupted", { exitCode: 2 })));
}
try {
    process.exitCode = await main(options);
} catch (error) {
    process.exitCode = report(error);
}

/** Extracts the subjects and returns the exit code. */
async function main({ projectDir, maxWorks, pace, ...given }: Options): Promise<number> {
    const { contact, subjects, baseUrl, landing } = await loadSettings(projectDir, {
        ...(given.contact !== undefined && { contact: given.contact }),
        ...(given.subject !== undefined && { subjects: given.subject }),
        ...(given.baseUrl !== undefined && { baseUrl: given.baseUrl }),
        ...(given.target !== undefined && { target: given.target }),
    });
    const host = new URL(baseUrl).hostname;
    if (/(^|\.)openlibrary\.org$/.test(host) && (pace === "off" || pace > politePace)) {
        throw new PipelineError(`--pace ${pace} is too fast for ${host}, which allows ${politePace} requests a second`);
    }
    const progress = new Progress(process.stderr);
    const keys = new Set<string>();
    for (const typed of subjects) {
        const key = subjectKey(typed);
        if (key !== typed) progress.say(`"${typed}" is the subject key "${key}"`);
        keys.add(key);
    }
    const unlock = takeLock(`${landing}.extract.lock`, `extract ${[...keys].join(" ")}`);
    try {
        const { signal } = interruption;
        const client = new Client({
            baseUrl,
            userAgent: `shelfmark/${version()} (+${contact})`,
            pace: pace === "off" ? undefined : pace,
            signal,
            say: (line) => progress.say(line),
        });
        const done = await extract([...keys], { landing, baseUrl, maxWorks, client, progress, signal });
        console.log(done.summary);
        return done.status === "complete" || done.isStopped ? 0 : 3;
    } finally {
        unlock();
    }
}

/** Prints an error and returns its exit code. What the system refuses (a full disk, a folder) is a person's to mend. */
function report(error: unknown): number {
    const isMendable = error instanceof PipelineError || (error instanceof Error && "syscall" in error);
    if (error instanceof FailedExtraction && error.summary !== "") console.log(error.summary);
    if (options.debug) console.error(error);
    else if (isMendable) console.error(messageOf(error));
    else console.error(`${messageOf(error)}\nThis is a bug; run with --debug for the stack.`);
    if (error instanceof PipelineError) return error.exitCode;
    return isMendable ? 1 : 2;
}

function version(): string {
    const text = readFileSync(join(import.meta.dirname, "..", "package.json"), "utf8");
    return v.parse(v.object({ version: v.string() }), JSON.parse(text)).version;
}

function collect(value: string, before: readonly string[] | undefined): string[] {
    return [...(before ?? []), value];
}

function wholeNumber(value: string): number {
    if (!/^[1-9]\d*$/.test(value)) throw new InvalidArgumentError("expected a whole number above 0");
    return Number(value);
}

function pace(value: string): number | "off" {
    if (value === "off") return value;
    if (!(Number(value) > 0)) throw new InvalidArgumentError('expected a number above 0, or "off"');
    return Number(value);
}
