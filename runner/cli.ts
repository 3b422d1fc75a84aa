import { relative, resolve } from "node:path";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { parse as parseYaml } from "yaml";
import { messageOf, PipelineError, systemCode } from "../common/errors.ts";
import { writeCompiled, writeManifest } from "./artifacts.ts";
import { type Command as BuildCommand, build, checkProject } from "./build.ts";
import { clean } from "./clean.ts";
import type { Var } from "./config.ts";
import { debug } from "./debug.ts";
import { newInvocation } from "./invocation.ts";
import { loadProject, type Output, type ProjectOptions, selectNodes } from "./load.ts";
import { type IndirectSelection, indirectSelections } from "./selectors.ts";

// The runner's command line: arguments, environment and exit codes (0 done, 1 something failed, 2 misuse or a bug).

interface SharedFlags {
    readonly projectDir: string;
    readonly target?: string;
    readonly vars?: Record<string, Var>;
    readonly select?: string[];
    readonly exclude?: string[];
    readonly indirectSelection?: IndirectSelection;
}

// `| head` closes the pipe when it has enough: what is being built is built all the same, with nobody to tell.
for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error) => {
        if (systemCode(error) !== "EPIPE") throw error;
    });
}

const output: Output = {
    out: (text) => void process.stdout.write(`${text}\n`),
    note: (text) => void process.stderr.write(`${text}\n`),
};

const program = new Command("models")
    .description("Builds, tests and publishes the SQL models of a project.")
    .option("--debug", "print the stack of an error")
    .exitOverride();

/** A command with the flags that all have; `selects` adds --select and --exclude. */
function command(name: string, description: string, selects = true): Command {
    const result = program
        .command(name)
        .description(description)
        .option("--project-dir <folder>", "the project's folder", ".")
        .option("-t, --target <name>", "a file of targets/ (default: what pipeline.config.ts says)")
        .option("--vars <yaml>", "values for {{vars.*}}, as in '{min_year: 1500}'", parseVars);
    if (!selects) return result;
    return result
        .option("-s, --select <selectors...>", "what to take: names, folders, tag:x, +name, name+ ...")
        .option("--exclude <selectors...>", "what to leave out of that")
        .addOption(
            new Option("--indirect-selection <mode>", "which tests come along")
                .choices(indirectSelections)
                .default("eager"),
        );
}

function parseVars(text: string): Record<string, Var> {
    let value: unknown;
    try {
        value = parseYaml(text);
    } catch (error) {
        throw new InvalidArgumentError(messageOf(error));
    }
    const isVar = (item: unknown): item is Var => ["string", "number", "boolean"].includes(typeof item);
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.values(value).every(isVar)) {
        throw new InvalidArgumentError(`expected names with values, as in '{min_year: 1500}'.`);
    }
    return value as Record<string, Var>;
}

function wholeNumber(text: string): number {
    if (/^-?\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
    throw new PipelineError(`--limit is "${text}"; expected a whole number`, { exitCode: 2 });
}

function projectOptions({ projectDir, target, vars, select, exclude, indirectSelection }: SharedFlags): ProjectOptions {
    const split = (list: string[]): string[] => list.flatMap((item) => item.split(/\s+/)).filter((item) => item !== "");
    return {
        projectDir: resolve(projectDir),
        target,
        vars,
        ...(select === undefined ? {} : { select: split(select) }),
        ...(exclude === undefined ? {} : { exclude: split(exclude) }),
        indirectSelection,
    };
}

for (const [name, description] of [
    ["build", "check, run and test seeds and models, and publish them in one step when nothing failed"],
    ["run", "run models, without their tests; publishes nothing"],
    ["test", "run the tests on the models as they were last built; publishes nothing"],
    ["seed", "load the seeds; publishes nothing"],
] satisfies [BuildCommand, string][]) {
    const runs = command(name, description);
    // Tests run whenever they are asked for.
    if (name !== "test") {
        runs.option("-f, --full-refresh", "run what is selected although nothing that it is made of has changed");
        runs.option("--explain", "say for each node why it would run or not, and run nothing");
    }
    runs.action(async (flags: SharedFlags & { fullRefresh?: boolean; explain?: boolean }) => {
        const { fullRefresh, explain } = flags;
        const interruption = new AbortController();
        // Once: whoever presses Ctrl-C twice wants out now, and the next build needs no help after that.
        for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interruption.abort());
        const { ok } = await build(
            name,
            { ...projectOptions(flags), fullRefresh, explain, signal: interruption.signal },
            output,
        );
        if (!ok) process.exitCode = 1;
    });
}

command("compile", "check everything and write the SQL of models and tests to artifacts/").action(
    async (flags: SharedFlags) => {
        const options = projectOptions(flags);
        const { project, graph, compiled, names } = await checkProject(options, output);
        writeCompiled(project, graph, compiled);
        writeManifest(project, graph, { compiled, invocation: newInvocation("compile", options) });
        output.note(
            `Checked ${names.size} nodes; their SQL is in ${relative(".", project.root) || "."}/artifacts/${project.target.name}/compiled`,
        );
        for (const name of flags.select === undefined ? [] : names) {
            const sql = compiled.get(name);
            if (sql !== undefined) output.out(`-- ${name}\n${sql.text}\n`);
        }
    },
);

command("ls", "print the names of what a build would take").action(async (flags: SharedFlags) => {
    const options = projectOptions(flags);
    const { project, graph } = await loadProject(options);
    const names = selectNodes(project, graph, { options, kinds: ["seed", "model", "test"], output });
    for (const node of graph.order) if (names.has(node.name)) output.out(node.name);
});

command("show", "print rows of a model, a seed or a query, from the models as they were last built")
    .option("--inline <sql>", "a query, with {{ref.*}} as in a model")
    .option("--limit <n>", "how many rows; -1 for all", wholeNumber, 5)
    .addOption(new Option("--output <format>", "how to print").choices(["table", "json", "csv"]).default("table"))
    .action(async (flags: SharedFlags & { inline?: string; limit: number; output: "table" | "json" | "csv" }) => {
        const { show } = await import("./show.ts");
        const { inline, limit, output: format } = flags;
        const width = process.stdout.isTTY ? process.stdout.columns : undefined;
        const own = inline === undefined ? {} : { inline };
        await show({ ...projectOptions(flags), ...own, limit, output: format, width }, output);
    });

command("clean", "remove artifacts and the target's work file; what is landed or published stays", false).action(
    async (flags: SharedFlags) => {
        for (const path of await clean(projectOptions(flags))) output.out(`removed ${path}`);
    },
);

command("debug", "print what this project, target and machine are, and whether everything can be opened", false).action(
    async (flags: SharedFlags) => {
        if (!(await debug(projectOptions(flags), output))) process.exitCode = 1;
    },
);

try {
    await program.parseAsync();
} catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else if (error instanceof PipelineError) {
        output.note(error.message);
        process.exitCode = error.exitCode;
    } else if (error instanceof Error && "syscall" in error) {
        // What the system refuses (a read-only folder, a full disk) is a person's to mend.
        output.note(error.message);
        process.exitCode = 1;
    } else {
        output.note(`a bug, or something that this program does not know: ${messageOf(error)}`);
        const stack = error instanceof Error ? error.stack : undefined;
        output.note(program.opts<{ debug?: boolean }>().debug ? (stack ?? "") : "run with --debug for the stack");
        process.exitCode = 2;
    }
}
