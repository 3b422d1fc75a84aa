import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Command, InvalidArgumentError } from "commander";
import * as v from "valibot";
import { messageOf, PipelineError, systemCode } from "../common/errors.ts";
import { type CatalogueRecord, catalogueOf, readCatalogue } from "./catalogue-file.ts";
import { readPlan } from "./faults.ts";
import { type GeneratorOptions, generate } from "./generator.ts";
import { startStandIn } from "./server.ts";

const optionsSchema = v.object({
    catalogue: v.optional(v.array(v.string())),
    generate: v.optional(v.number()),
    seed: v.number(),
    subject: v.string(),
    port: v.number(),
    rateLimit: v.optional(v.boolean(), false),
    faults: v.optional(v.string()),
    write: v.optional(v.string()),
    debug: v.optional(v.boolean(), false),
});
type Options = v.InferOutput<typeof optionsSchema>;

const command = new Command("stand-in")
    .description("Serves a catalogue as Open Library's HTTP interface would, on this machine only.")
    .option("--catalogue <path...>", "files or folders of .ndjson records; otherwise demo/catalogue")
    .option("--generate <n>", "make up so many works, instead of or beside a catalogue", wholeNumber)
    .option("--seed <n>", "what the made-up works follow from", wholeNumber, 1)
    .option("--subject <key>", "the subject that made-up works carry", "science_fiction")
    .option("--port <n>", "TCP port; 0 is any free one", wholeNumber, 0)
    .option("--rate-limit", "answer 429 to more than 3 requests a second, as Open Library does")
    .option("--faults <plan.json>", "what goes wrong, and on which requests: demo/README.md describes it")
    .option("--write <file>", "write the made-up catalogue to a file instead of serving it")
    .option("--debug", "show the stack of an error")
    .action(async () => {
        const options = v.parse(optionsSchema, command.opts());
        try {
            if (options.write === undefined) await serve(options);
            else await write(options.write, options);
        } catch (error) {
            report(error, options.debug);
        }
    });

await command.parseAsync();

async function serve(options: Options): Promise<void> {
    const catalogue = catalogueOf(recordsOf(options));
    const { port, rateLimit } = options;
    const faults = options.faults === undefined ? [] : readPlan(options.faults);
    const standIn = await startStandIn(catalogue, { port, rateLimit, faults }).catch((error: unknown) => {
        if (systemCode(error) !== "EADDRINUSE") throw error;
        throw new PipelineError(`port ${port} is in use; give another with --port, or none for any free one`);
    });
    console.log("This is a stand-in for Open Library and NOT openlibrary.org.");
    console.log(standIn.url);
    console.log(`${catalogue.works.length} works, ${catalogue.documents.size} author documents. Ctrl-C ends it.`);
    if (faults.length > 0) console.log(`It fails on purpose, as ${options.faults} plans.`);
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => standIn.close());
}

function* recordsOf(options: Options): Generator<CatalogueRecord, void, undefined> {
    const made = generation(options);
    if (options.catalogue !== undefined || made === undefined) {
        const { works, documents } = readCatalogue(options.catalogue ?? [join(import.meta.dirname, "catalogue")]);
        yield* works;
        yield* documents.values();
    }
    if (made !== undefined) yield* generate(made);
}

/** Streams, so that a catalogue of any size can be written. */
async function write(file: string, options: Options): Promise<void> {
    const made = generation(options);
    if (made === undefined || options.catalogue !== undefined) {
        throw new PipelineError("--write writes what --generate makes up: give --generate, and no --catalogue");
    }
    const lines = function* (): Generator<string, void, undefined> {
        const { works, seed, subject } = made;
        yield `// Made up by Shelfmark: ${works} works of "${subject}", seed ${seed}. None of it is Open Library's.\n`;
        for (const record of generate(made)) yield `${JSON.stringify(record)}\n`;
    };
    await pipeline(Readable.from(lines()), createWriteStream(file));
    console.log(`wrote ${made.works} works and their authors to ${file}`);
}

function generation({ generate: works, seed, subject }: Options): GeneratorOptions | undefined {
    return works === undefined ? undefined : { works, seed, subject };
}

function report(error: unknown, debug: boolean): void {
    const isMendable = error instanceof PipelineError || systemCode(error) !== undefined;
    if (debug) console.error(error);
    else if (isMendable) console.error(messageOf(error));
    else console.error(`${messageOf(error)}\nThis is a bug; run with --debug for the stack.`);
    process.exitCode = error instanceof PipelineError ? error.exitCode : isMendable ? 1 : 2;
}

function wholeNumber(value: string): number {
    if (!/^\d+$/.test(value)) throw new InvalidArgumentError("expected a whole number");
    return Number(value);
}
