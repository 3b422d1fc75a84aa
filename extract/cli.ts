import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import * as v from "valibot";
import { messageOf, PipelineError } from "../common/errors.ts";
import { processText, takeLock } from "../common/lock.ts";
import { surviveClosedPipes } from "../common/pipes.ts";
import { Client } from "./client.ts";
import { findLanding, findSubjects, loadSettings } from "./config.ts";
import { extractDump } from "./dumps/extract-dump.ts";
import { extract, FailedExtraction } from "./extract.ts";
import { Progress } from "./progress.ts";
import { prune } from "./prune.ts";
import { counted, describeStatus, listRuns, megabytes, readStatus } from "./status.ts";
import { subjectKey } from "./subject-key.ts";

const politePace = 3;

const placeSchema = v.object({ projectDir: v.string(), target: v.optional(v.string()) });
const optionsSchema = v.object({
    ...placeSchema.entries,
    subject: v.optional(v.array(v.string())),
    maxWorks: v.optional(v.number()),
    baseUrl: v.optional(v.string()),
    authorsMaxAge: v.optional(v.number()),
    contact: v.optional(v.string()),
    pace: v.union([v.number(), v.literal("off")]),
    dump: v.optional(v.string()),
    authors: v.optional(v.string()),
    editions: v.optional(v.string()),
    ratings: v.optional(v.string()),
    readingLog: v.optional(v.string()),
    all: v.optional(v.boolean(), false),
    force: v.optional(v.boolean(), false),
});
type Options = v.InferOutput<typeof optionsSchema>;

const pruneSchema = v.object({ ...placeSchema.entries, keep: v.number(), dryRun: v.optional(v.boolean(), false) });
const statusSchema = v.object({ ...placeSchema.entries, json: v.optional(v.boolean(), false) });

surviveClosedPipes();

const program = new Command("extract")
    .exitOverride()
    .description("Lands all works of Open Library subjects, and the documents of their authors, in the landing file.")
    .option("--subject <key>", "a subject, repeatable; otherwise those of pipeline.config.ts", collect)
    .option("--max-works <n>", "stop after so many works of each subject", wholeNumber)
    .option("--base-url <url>", "the service; otherwise that of pipeline.config.ts, or https://openlibrary.org")
    .option("--target <name>", "the target whose landing file is written; otherwise that of pipeline.config.ts")
    .option("--contact <who>", "your e-mail address or a URL, sent with each request; or in pipeline.config.ts")
    .option("--authors-max-age <days>", "how old a landed author document may be to do again; 0 fetches all", days)
    .option(
        "--pace <n>",
        `requests a second, or "off"; above ${politePace} never for openlibrary.org`,
        pace,
        politePace,
    )
    .option("--dump <file>", "land works from this file of Open Library's monthly dumps, not from the service")
    .option("--authors <file>", "the dump's authors, which --dump needs")
    .option("--editions <file>", "the dump's editions, of which years, languages and ISBNs come")
    .option("--ratings <file>", "the dump's ratings")
    .option("--reading-log <file>", "the dump's reading log")
    .option("--all", "land every work of the dump, whatever its subjects")
    .option("--force", "land a dump that is stale or has far fewer lines than the last one all the same")
    .option("--project-dir <dir>", "the folder of pipeline.config.ts", ".")
    .option("--debug", "print the stack of an error")
    .enablePositionalOptions()
    .addHelpText("after", "\nExit codes: 0 complete, 1 failed, 2 interrupted or a bug, 3 partial.")
    .action(() => guarded(() => main(v.parse(optionsSchema, program.opts()))));
withPlace(program.command("status"))
    .description("Tells what has landed, what is under way, and what waits to be loaded.")
    .option("--json", "one JSON array of runs, newest first")
    .action((_options, command) => guarded(() => status(v.parse(statusSchema, given(command)))));
withPlace(program.command("prune"))
    .description("Drops all but the newest runs of each subject, and gives their room on the disk back.")
    .requiredOption("--keep <n>", "how many runs of each subject stay, complete ones before others", wholeNumber)
    .option("--dry-run", "only tell what would be dropped")
    .action((_options, command) => guarded(() => pruneLanding(v.parse(pruneSchema, given(command)))));

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // Once: the second one ends the process at once, and the next extraction loads what it fetched.
    process.once(signal, () => interruption.abort(new PipelineError("interrupted", { exitCode: 2 })));
}
try {
    await program.parseAsync();
} catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : 2;
}

/** The options of every command below the extraction itself. */
function withPlace(command: Command): Command {
    return command
        .option("--target <name>", "the target whose landing file is meant; otherwise that of pipeline.config.ts")
        .option("--project-dir <dir>", "the folder of pipeline.config.ts")
        .option("--debug", "print the stack of an error");
}

/** Options may stand before the command as well as after it. */
function given(command: Command): object {
    return { ...program.opts(), ...command.opts() };
}

/** Runs a command, reports how it fails, and sets the exit code. */
async function guarded(command: () => Promise<number>): Promise<void> {
    try {
        process.exitCode = await command();
    } catch (error) {
        process.exitCode = report(error);
    }
}

async function status({ projectDir, target, json }: v.InferOutput<typeof statusSchema>): Promise<number> {
    const found = await readStatus(await findLanding(projectDir, target));
    // Without its runs, an array would say that there are none.
    if (json && found.runs === undefined) {
        throw new PipelineError(`${found.heldBy} writes to ${found.landing}; ask again when it is done`);
    }
    console.log(json ? JSON.stringify(listRuns(found), undefined, 2) : describeStatus(found));
    return 0;
}

async function pruneLanding(options: v.InferOutput<typeof pruneSchema>): Promise<number> {
    const { keep, dryRun, projectDir, target } = options;
    const landing = await findLanding(projectDir, target);
    const unlock = lockOf(landing, `extract prune --keep ${keep}`);
    try {
        const say = (line: string): void => console.error(`extract prune: ${line}`);
        const { runs, pages, bytes } = await prune(landing, { keep, dryRun, say, signal: interruption.signal });
        for (const run of runs) console.log(run);
        const back = megabytes(Math.max(0, bytes.before - bytes.after));
        const dropped = `${counted(runs.length, "run")} and ${counted(pages, "page")}`;
        if (runs.length === 0 && pages === 0) console.log("extract prune: there is nothing to drop");
        else if (dryRun) console.log(`extract prune: would drop ${dropped}, and give about ${back} back`);
        else console.log(`extract prune: dropped ${dropped}, gave ${back} back; ${megabytes(bytes.after)} are left`);
        return 0;
    } finally {
        unlock();
    }
}

/** Extracts the subjects and returns the exit code. */
function main(options: Options): Promise<number> {
    const { dump, authors, ...others } = options;
    const ofDump = ["authors", "editions", "ratings", "readingLog", "all", "force"] as const;
    const ofService = ["maxWorks", "baseUrl", "authorsMaxAge"] as const;
    const stray = (dump === undefined ? ofDump : ofService).find(
        (name) => options[name] !== undefined && options[name] !== false,
    );
    if (stray !== undefined) {
        const flag = stray.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
        const what =
            dump === undefined ? "a dump: give its works too, with --dump" : "the service, and not about a dump";
        throw new PipelineError(`--${flag} is about ${what}`, { exitCode: 2 });
    }
    if (dump === undefined) return fromService(options);
    if (authors !== undefined) return fromDump({ ...others, works: dump, authors });
    throw new PipelineError("--dump needs the authors of that dump: give --authors too", { exitCode: 2 });
}

async function fromDump(given: Omit<Options, "dump"> & { works: string; authors: string }): Promise<number> {
    const { projectDir, target, subject, all, force } = given;
    const landing = await findLanding(projectDir, target);
    const progress = new Progress(process.stderr);
    // Beside all works, only those subjects count on their own that are named.
    const subjects = keysOf(subject ?? (all ? [] : await findSubjects(projectDir)), progress);
    const unlock = lockOf(landing, `extract --dump ${given.works}`);
    try {
        const { signal } = interruption;
        const done = await extractDump(given, { landing, subjects, all, force, progress, signal });
        console.log(done.summary);
        return 0;
    } finally {
        unlock();
    }
}

async function fromService({ projectDir, maxWorks, pace, ...given }: Options): Promise<number> {
    const { contact, subjects, baseUrl, authorsMaxAge, landing } = await loadSettings(projectDir, {
        ...(given.contact !== undefined && { contact: given.contact }),
        ...(given.subject !== undefined && { subjects: given.subject }),
        ...(given.baseUrl !== undefined && { baseUrl: given.baseUrl }),
        ...(given.authorsMaxAge !== undefined && { authorsMaxAge: given.authorsMaxAge }),
        ...(given.target !== undefined && { target: given.target }),
    });
    const host = new URL(baseUrl).hostname;
    if (/(^|\.)openlibrary\.org$/.test(host) && (pace === "off" || pace > politePace)) {
        const text = `--pace ${pace} is too fast for ${host}, which allows ${politePace} requests a second`;
        throw new PipelineError(text, { exitCode: 2 });
    }
    const progress = new Progress(process.stderr);
    const keys = keysOf(subjects, progress);
    const unlock = lockOf(landing, `extract ${keys.join(" ")}`);
    try {
        const { signal } = interruption;
        const client = new Client({
            baseUrl,
            userAgent: `shelfmark/${version()} (+${contact})`,
            pace: pace === "off" ? undefined : pace,
            signal,
            say: (line) => progress.say(line),
        });
        const done = await extract(keys, { landing, baseUrl, maxWorks, authorsMaxAge, client, progress, signal });
        console.log(done.summary);
        return done.status === "complete" || done.isStopped ? 0 : 3;
    } finally {
        unlock();
    }
}

/** The lock of a landing file. Who has lost it ends at once, as if it were killed: that loses nothing that another has not. */
function lockOf(landing: string, command: string): () => void {
    return takeLock(`${landing}.extract.lock`, command, (other) => {
        const who = other === undefined ? "" : ` ("${other.command}", ${processText(other)})`;
        console.error(`this process was stopped for more than a minute, and another has gone on${who}: it ends here`);
        process.exit(1);
    });
}

/** The keys of subjects as they were typed, each once. */
function keysOf(typed: readonly string[], progress: Progress): string[] {
    const keys = typed.map((text) => {
        const key = subjectKey(text);
        if (key !== text) progress.say(`"${text}" is the subject key "${key}"`);
        return key;
    });
    return [...new Set(keys)];
}

/** Prints an error and returns its exit code. What the system refuses (a full disk, a folder) is a person's to mend. */
function report(error: unknown): number {
    const isMendable = error instanceof PipelineError || (error instanceof Error && "syscall" in error);
    if (error instanceof FailedExtraction && error.summary !== "") console.log(error.summary);
    if (process.argv.includes("--debug")) console.error(error);
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
    const number = Number(value);
    if (/^[1-9]\d*$/.test(value) && Number.isSafeInteger(number)) return number;
    throw new InvalidArgumentError("expected a whole number above 0");
}

function days(value: string): number {
    const isNumber = /^\d+(\.\d+)?$/.test(value);
    // A hundred years: before that there is nothing, and times far enough back are none.
    if (isNumber && Number(value) <= 36_525) return Number(value);
    throw new InvalidArgumentError("expected a number of days, from 0 to 36525");
}

function pace(value: string): number | "off" {
    if (value === "off") return value;
    if (!(Number(value) > 0)) throw new InvalidArgumentError('expected a number above 0, or "off"');
    return Number(value);
}
