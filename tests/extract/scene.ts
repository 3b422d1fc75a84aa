import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { DuckDBInstance } from "@duckdb/node-api";
import * as assert from "uvu/assert";
import { type Catalogue, type CatalogueRecord, catalogueOf } from "../../demo/catalogue-file.ts";
import {
    type Answer,
    type StandIn,
    type StandInOptions,
    type StandInRequest,
    startStandIn,
} from "../../demo/server.ts";
import { Client } from "../../extract/client.ts";
import { type Extraction, type ExtractOptions, extract } from "../../extract/extract.ts";
import { Progress } from "../../extract/progress.ts";

const root = join(import.meta.dirname, "..", "..");

const cleanUps: (() => unknown)[] = [];

/** For a suite's `after`: ends servers and processes also when a test has failed, which would hang otherwise. */
export async function cleanUp(): Promise<void> {
    for (const end of cleanUps.splice(0).reverse()) await end();
}

/** Has `cleanUp` do this as well. */
export function atCleanUp(end: () => unknown): void {
    cleanUps.push(end);
}

export type Intercept = NonNullable<StandInOptions["intercept"]>;
type Row = Record<string, unknown>;

/** A stand-in with a landing file of its own: what a test of the extractor plays in. */
export interface Scene {
    readonly standIn: StandIn;
    readonly landing: string;
    /** What was said about the extractions so far. */
    readonly said: () => string;
    /** Extracts "science_fiction" or other subjects in this process, as fast as it goes and with a backoff of milliseconds. */
    extract(options?: Partial<ExtractOptions & { readonly subjects: readonly string[] }>): Promise<Extraction>;
    /** Extracts at the command line, in a process of its own. */
    cli(...args: string[]): Cli;
    /** Rows of the landing file; its tables are in the schema "openlibrary". */
    rows(sql: string): Promise<Row[]>;
}

export interface Cli {
    readonly process: ChildProcess;
    readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>;
}

/** Sets a scene with a catalogue; a number makes that many works by half as many authors. */
export async function setScene(content: Catalogue | number, intercept?: Intercept): Promise<Scene> {
    const catalogue = typeof content === "number" ? catalogueOf(shelf(content)) : content;
    const standIn = await startStandIn(catalogue, intercept && { intercept });
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-extract-"));
    atCleanUp(() => rmSync(folder, { recursive: true }));
    atCleanUp(() => standIn.close());
    const landing = join(folder, "data", "landing.duckdb");
    writeProject(folder, { contact: "tests@example.org", subjects: ["science_fiction"], baseUrl: standIn.url });
    const sink = new Sink();
    return {
        standIn,
        landing,
        said: () => sink.text,
        extract: ({ subjects = ["science_fiction"], ...options } = {}) => {
            const progress = new Progress(sink);
            const client = new Client({
                baseUrl: standIn.url,
                userAgent: "shelfmark/test (+tests@example.org)",
                backoff: 1,
                say: (line) => progress.say(line),
                ...(options.signal && { signal: options.signal }),
            });
            return extract(subjects, { landing, baseUrl: standIn.url, client, progress, ...options });
        },
        cli: (...args) => runCli("--project-dir", folder, "--pace", "off", ...args),
        rows: (sql) => readRows(landing, sql),
    };
}

/** Writes the little of a project that the extractor reads. */
export function writeProject(folder: string, config: object): void {
    mkdirSync(join(folder, "targets"), { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(
        join(folder, "pipeline.config.ts"),
        `export default { name: "scene" };\nexport const extract = ${JSON.stringify(config)};\n`,
    );
    const target = '{ folder: "data", attach: { landing: "data/landing.duckdb" } }';
    writeFileSync(join(folder, "targets", "dev.ts"), `export default ${target};\n`);
}

export function runCli(...args: string[]): Cli {
    return runProgram(process.execPath, "--import", "tsx", "extract/cli.ts", ...args);
}

export function runProgram(program: string, ...args: string[]): Cli {
    const child = spawn(program, args, { cwd: root });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
        child.on("close", (code) => resolve({ code, out, err }));
    });
    atCleanUp(() => child.kill("SIGKILL"));
    return { process: child, ended };
}

/** Works "/works/OL10001W" and on, of one or two authors each, and the documents of these. */
export function shelf(works: number): CatalogueRecord[] {
    const authors = Math.ceil(works / 2);
    const author = (n: number): string => `OL${10_001 + (n % authors)}A`;
    return [
        ...Array.from({ length: works }, (_, n) => ({
            key: `/works/OL${10_001 + n}W`,
            title: `Title „${n}“ 星`,
            subject: ["Science fiction"],
            author_key: n % 5 === 0 ? [author(n), author(n + 1)] : [author(n)],
            first_publish_year: 1950 + (n % 70),
        })),
        ...Array.from({ length: authors }, (_, n) => ({
            key: `/authors/${author(n)}`,
            type: { key: "/type/author" as const },
            name: `Author ${n}`,
        })),
    ];
}

/** Is this a question for works, not for their count? */
export function asksForWorks({ path, query }: StandInRequest): boolean {
    return path === "/search.json" && query.get("limit") !== "0";
}

export function asksForRange(request: StandInRequest): boolean {
    return asksForWorks(request) && query(request, "q").includes(" TO ");
}

export function query(request: StandInRequest, name: string): string {
    return request.query.get(name) ?? "";
}

export function json(value: unknown, status = 200): Answer {
    return { status, headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) };
}

export function html(status: number): Answer {
    return { status, headers: { "Content-Type": "text/html" }, body: `<html><h1>${status}</h1></html>` };
}

/** Checks that work fails, and what with. */
export async function failsWith(work: Promise<unknown>, expected: string | RegExp): Promise<void> {
    const message = await work.then(
        () => "nothing failed",
        (error) => error.message,
    );
    if (typeof expected === "string") assert.is(message, expected);
    else assert.ok(expected.test(message), `${expected} is not in: ${message}`);
}

/** The rows of a run that do not depend on how often it was interrupted. */
export async function contentOf(
    scene: Pick<Scene, "rows">,
    runId: string,
): Promise<{ works: string[]; authors: string[] }> {
    const works = new Set<string>();
    const authors = new Set<string>();
    for (const { body } of await scene.rows(`select body from openlibrary.search_pages where run_id = '${runId}'`)) {
        for (const doc of JSON.parse(String(body)).docs) works.add(JSON.stringify(doc));
    }
    const pages = `select body from openlibrary.author_pages where run_id = '${runId}' and http_status = 200`;
    for (const { body } of await scene.rows(pages)) {
        const answer = JSON.parse(String(body));
        for (const document of Object.values(answer.result ?? { answer })) authors.add(JSON.stringify(document));
    }
    return { works: [...works].sort(), authors: [...authors].sort() };
}

/** Rows of a landing file; its tables are in the schema "openlibrary". */
export async function readRows(landing: string, sql: string): Promise<Row[]> {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    try {
        await connection.run(`attach '${landing}' as landing (read_only)`);
        await connection.run("use landing");
        const rows = (await connection.runAndReadAll(sql)).getRowObjectsJson();
        return rows.map((row) => ({ ...row }));
    } finally {
        connection.closeSync();
        instance.closeSync();
    }
}

class Sink extends Writable {
    text = "";
    override _write(chunk: Buffer, _encoding: string, done: () => void): void {
        this.text += chunk.toString();
        done();
    }
}
