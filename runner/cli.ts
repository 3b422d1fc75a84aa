import { relative, resolve } from "node:path";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { parse as parseYaml } from "yaml";
import { messageOf, PipelineError } from "../common/errors.ts";
import { surviveClosedPipes } from "../common/pipes.ts";
import { newInvocation } from "./artifacts/invocation.ts";
import { writeCompiled, writeManifest } from "./artifacts/write.ts";
import { type Command as BuildCommand, type BuildOptions, build } from "./build.ts";
import { checkProject } from "./check-project.ts";
import { clean } from "./commands/clean.ts";
import { debug } from "./commands/debug.ts";
import type { LineageFormat } from "./commands/lineage.ts";
import { compile } from "./compile.ts";
import type { Var } from "./config.ts";
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

surviveClosedPipes();

const output: Output = {
    out: (text) => void process.stdout.write(`${text}\n`),
    note: (text) => void process.stderr.write(`${text}\n`),
};

const program = new Command("models")
    .description("Builds, tests and publishes the SQL models of a project.")
    .option("--debug", "print the stack of an error")
    .exitOverride();

/** A command with the flags that all have; `selects` adds --select and --exclude. */
function command(name: string, description: string, selects = true, within = program): Command {
    const result = within
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

function rowCount(text: string): number {
    if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
    throw new InvalidArgumentError("expected a number of rows.");
}

function rowCountOrAll(text: string): number {
    return text === "-1" ? -1 : rowCount(text);
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
        runs.option("-f, --full-refresh", "make what is selected anew although nothing that it is made of has changed");
        runs.option("--explain", "say for each node why it would run or not, and run nothing");
    }
    if (name === "build" || name === "run") {
        const empty = new Option("--empty", "run in memory on no rows at all; nothing is kept or published");
        runs.addOption(empty.conflicts("sample"));
        runs.option("--sample <rows>", "run in memory on the first rows of each source; nothing is kept", rowCount);
    }
    withRunFlags(runs).action(async (flags: SharedFlags & RunFlags) => {
        const { fullRefresh, explain, empty, sample } = flags;
        const sampleRows = empty === true ? 0 : sample;
        const options = { ...projectOptions(flags), ...runOptions(flags), fullRefresh, explain, sampleRows };
        if (!(await build(name, options, output)).ok) process.exitCode = 1;
    });
}

interface RunFlags {
    readonly fullRefresh?: boolean;
    readonly explain?: boolean;
    readonly empty?: boolean;
    readonly sample?: number;
    readonly failFast?: boolean;
    readonly logFormat: "text" | "json";
}

/** The flags of all commands that run nodes. */
function withRunFlags(result: Command): Command {
    return result
        .option("-x, --fail-fast", "stop at the first node that fails")
        .addOption(
            new Option("--log-format <format>", "what to print: lines, or an event a line as JSON")
                .choices(["text", "json"])
                .default("text"),
        );
}

function runOptions({ failFast, logFormat }: RunFlags): Pick<BuildOptions, "failFast" | "logFormat" | "signal"> {
    const interruption = new AbortController();
    // Once: whoever presses Ctrl-C twice wants out now, and the next build needs no help after that.
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interruption.abort());
    return { failFast, logFormat, signal: interruption.signal };
}

command("watch", "build, and again whenever a file has changed, until Ctrl-C")
    .option("--no-publish", "leave what people read as it is")
    .action(async (flags: SharedFlags & { publish: boolean }) => {
        const { watch } = await import("./commands/watch.ts");
        const { signal = new AbortController().signal } = runOptions({ logFormat: "text" });
        await watch({ ...projectOptions(flags), keepsPublication: !flags.publish, signal }, output);
    });

withRunFlags(
    command("retry", "run again what failed or was skipped in the last run, as that command would", false),
).action(async (flags: SharedFlags & RunFlags) => {
    const { retry } = await import("./commands/retry.ts");
    const { ok } = await retry({ ...projectOptions(flags), ...runOptions(flags) }, output);
    if (!ok) process.exitCode = 1;
});

command("diff", "build without publishing, and show what that would change for readers")
    .option("--limit <n>", "how many differing rows of each table to show", rowCount, 5)
    .addOption(new Option("--output <format>", "how to print").choices(["text", "json"]).default("text"))
    .action(async (flags: SharedFlags & { limit: number; output: "text" | "json" }) => {
        const { diff } = await import("./commands/diff.ts");
        const { limit, output: format } = flags;
        const { signal = new AbortController().signal } = runOptions({ logFormat: "text" });
        if (!(await diff({ ...projectOptions(flags), limit, output: format, signal }, output))) process.exitCode = 1;
    });

command("verify", "make incremental models anew beside what stands, and show the rows that differ")
    .argument("[models...]", "the models; as --select")
    .option("--limit <n>", "how many differing rows of each model to show", rowCount, 5)
    .action(async (models: string[], flags: SharedFlags & { limit: number }) => {
        const { verify } = await import("./commands/verify.ts");
        const select = [...models, ...(flags.select ?? [])];
        const own = select.length === 0 ? flags : { ...flags, select };
        if (!(await verify({ ...projectOptions(own), limit: flags.limit }, output))) process.exitCode = 1;
    });

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
    const compiled = compile(project, graph);
    const names = await selectNodes(project, graph, { options, compiled, kinds: ["seed", "model", "test"], output });
    for (const node of graph.order) if (names.has(node.name)) output.out(node.name);
});

const source = program.command("source").description("source freshness: say how old the newest rows of sources are");
command("freshness", "say how old the newest rows of sources are; 1 when one is too old", true, source).action(
    async (flags: SharedFlags) => {
        const { sourceFreshness } = await import("./commands/source-freshness.ts");
        if (!(await sourceFreshness(projectOptions(flags), output)).ok) process.exitCode = 1;
    },
);

command("show", "print rows of a model, a seed or a query, from the models as they were last built")
    .addOption(new Option("--inline <sql>", "a query, with {{ref.*}} as in a model").conflicts(["select", "exclude"]))
    .option("--limit <n>", "how many rows; -1 for all", rowCountOrAll, 5)
    .addOption(new Option("--output <format>", "how to print").choices(["table", "json", "csv"]).default("table"))
    .action(async (flags: SharedFlags & { inline?: string; limit: number; output: "table" | "json" | "csv" }) => {
        const { show } = await import("./commands/show.ts");
        const { inline, limit, output: format } = flags;
        // A terminal that does not know its width says 0.
        const width = (process.stdout.isTTY && process.stdout.columns) || undefined;
        const own = inline === undefined ? {} : { inline };
        await show({ ...projectOptions(flags), ...own, limit, output: format, width }, output);
    });

command("record", "print a unit test of a model, made of real rows", false)
    .argument("<model>", "the model; its SQL is run on its parents as they were last built")
    .option("--where <sql>", "a condition on the model's columns (default: its first 3 rows)")
    .option("--limit <n>", "how many rows of an input, or of the model, at most", rowCount, 200)
    .option("--name <name>", "the unit test's name")
    .action(async (model: string, flags: SharedFlags & { where?: string; limit: number; name?: string }) => {
        const { record } = await import("./commands/record.ts");
        const { where, limit, name } = flags;
        output.out(await record(model, { ...projectOptions(flags), where, limit, name }, output));
    });

command("lineage", "print what the columns of a model are made of, down to the sources", false)
    .argument("<column>", "a model, seed or source, or one of its columns: dim_books, dim_books.title")
    .addOption(new Option("--upstream", "what it is made of (the default)").conflicts("downstream"))
    .option("--downstream", "what is made of it")
    .addOption(new Option("--output <format>", "how to print").choices(["text", "json", "mermaid"]).default("text"))
    .action(async (name: string, flags: SharedFlags & { downstream?: boolean; output: LineageFormat }) => {
        const { showLineage } = await import("./commands/lineage.ts");
        const direction = flags.downstream ? "downstream" : "upstream";
        await showLineage(name, { ...projectOptions(flags), direction, format: flags.output }, output);
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
