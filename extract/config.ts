import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import * as v from "valibot";
import { messageOf, PipelineError } from "../common/errors.ts";
import { didYouMean } from "../common/nearest.ts";

/** The `extract` export of pipeline.config.ts. */
export interface ExtractConfig {
    /** An e-mail address or URL at which Open Library can reach whoever runs this; sent in the User-Agent. */
    readonly contact?: string;
    /** Subject keys as Open Library writes them ("science_fiction"), extracted when the command line names none. */
    readonly subjects?: readonly string[];
    /** Where the service is. Default: https://openlibrary.org */
    readonly baseUrl?: string;
    /** For how many days an author document that has landed is not fetched again; 0 fetches all. Default: 7 */
    readonly authorsMaxAge?: number;
}

/** What one start of the extractor works with: the configuration and the target, with the command line over both. */
export interface Settings {
    readonly contact: string;
    readonly subjects: readonly string[];
    /** Without a slash at its end. */
    readonly baseUrl: string;
    /** In days. */
    readonly authorsMaxAge: number;
    /** The absolute path of the landing file. */
    readonly landing: string;
}

/** What the command line may say in place of the configuration. */
export interface Overrides extends ExtractConfig {
    readonly target?: string;
}

const configName = "pipeline.config.ts";
const noSubject = `no subject to extract; name one with --subject science_fiction, or in ${configName} under extract.subjects`;

const extractConfig = v.strictObject({
    contact: v.optional(v.string()),
    subjects: v.optional(v.array(v.string())),
    baseUrl: v.optional(v.string()),
    authorsMaxAge: v.optional(v.pipe(v.number(), v.minValue(0))),
});
const configModule = v.object({
    default: v.object({ target: v.optional(v.string(), "dev") }),
    extract: v.optional(extractConfig, {}),
});
const targetModule = v.object({ default: v.object({ attach: v.object({ landing: v.string() }) }) });

/**
 * Reads pipeline.config.ts and targets/<target>.ts of a project folder. Their other keys are the runner's to judge.
 * @throws PipelineError that lists all that is wrong, also when there is no contact: without one, nothing is fetched.
 */
export async function loadSettings(projectDir: string, overrides: Overrides): Promise<Settings> {
    const { extract } = await load(projectDir, configName, configModule);
    const landing = await findLanding(projectDir, overrides.target);
    const contact = (overrides.contact ?? extract.contact ?? "").trim();
    const subjects = overrides.subjects ?? extract.subjects ?? [];
    const baseUrl = (overrides.baseUrl ?? extract.baseUrl ?? "https://openlibrary.org").replace(/\/+$/, "");
    const authorsMaxAge = overrides.authorsMaxAge ?? extract.authorsMaxAge ?? 7;
    const problems = [
        contactProblem(contact),
        subjects.length === 0 ? noSubject : undefined,
        /^https?:/.test(baseUrl) && URL.canParse(baseUrl)
            ? undefined
            : `the base URL is "${baseUrl}"; expected something like "https://openlibrary.org"`,
    ].filter((problem) => problem !== undefined);
    if (problems.length > 0) throw new PipelineError(problems.join("\n"));
    return { contact, subjects, baseUrl, authorsMaxAge, landing };
}

/** The subjects that pipeline.config.ts names. @throws PipelineError when it names none. */
export async function findSubjects(projectDir: string): Promise<readonly string[]> {
    const { extract } = await load(projectDir, configName, configModule);
    if ((extract.subjects ?? []).length === 0) throw new PipelineError(noSubject);
    return extract.subjects ?? [];
}

/** The absolute path of a target's landing file. Default of `target`: that of pipeline.config.ts */
export async function findLanding(projectDir: string, target?: string): Promise<string> {
    const { default: project } = await load(projectDir, configName, configModule);
    const file = targetFile(projectDir, target ?? project.target);
    const { attach } = (await load(projectDir, file, targetModule)).default;
    return resolve(projectDir, attach.landing);
}

function contactProblem(contact: string): string | undefined {
    const where = `in ${configName} under extract.contact, or with --contact you@example.org`;
    if (contact === "") {
        return `Open Library asks every program for a contact: put your e-mail address or a URL ${where}`;
    }
    if (!/@|http/i.test(contact)) {
        return `the contact is "${contact}"; expected an e-mail address or a URL, ${where}`;
    }
    if (!/^[ -~]+$/.test(contact)) {
        return `the contact is "${contact}"; a User-Agent can only carry ASCII, so write it so ${where}`;
    }
    return undefined;
}

/** `targets/dev.ts` for "dev". */
function targetFile(projectDir: string, target: string): string {
    const file = join("targets", `${target}.ts`);
    if (existsSync(join(projectDir, file))) return file;
    const folder = join(projectDir, "targets");
    const known = existsSync(folder)
        ? readdirSync(folder)
              .filter((name) => name.endsWith(".ts"))
              .map((name) => name.slice(0, -3))
        : [];
    throw new PipelineError(`unknown target "${target}": there is no ${file}.${didYouMean(target, known)}`);
}

async function load<T extends v.GenericSchema>(dir: string, file: string, schema: T): Promise<v.InferOutput<T>> {
    const path = resolve(dir, file);
    if (!existsSync(path)) throw new PipelineError(`no ${file} in ${resolve(dir)}; run in the project folder`);
    let module: unknown;
    try {
        module = { ...(await import(pathToFileURL(path).href)) };
    } catch (error) {
        throw new PipelineError(`${file} can't be loaded: ${messageOf(error)}`, { cause: error });
    }
    const parsed = v.safeParse(schema, module);
    if (parsed.success) return parsed.output;
    throw new PipelineError(parsed.issues.map((issue) => `${file}  ${problem(issue)}`).join("\n"));
}

function problem(issue: v.BaseIssue<unknown>): string {
    const path = (v.getDotPath(issue) ?? "").replace(/^default\./, "");
    if (issue.expected === "never") {
        const key = path.split(".").at(-1) ?? path;
        return `unknown key "${path}".${didYouMean(key, Object.keys(extractConfig.entries))}`;
    }
    if (issue.received === "undefined") return `${path} is missing`;
    return `${path} is ${issue.received}; expected ${issue.expected === "Array" ? "an array" : `a ${issue.expected}`}`;
}
