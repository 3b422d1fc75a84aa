import { once } from "node:events";
import { existsSync, type Stats } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type FSWatcher, watch as watchFiles } from "chokidar";
import { messageOf, PipelineError } from "../../common/errors.ts";
import { livingHolder, processText } from "../../common/lock.ts";
import { type BuildOptions, build, type Outcome } from "../build.ts";
import { Checker } from "../check.ts";
import { configFile, loadConfig, type StrictTarget, targetOf } from "../config.ts";
import type { Event } from "../events.ts";
import type { Output } from "../load.ts";
import { openEmpty, placesOf } from "../open.ts";
import { isProjectFile, projectFolders } from "../parse.ts";
import { details } from "../report.ts";
import { count, counted } from "../text.ts";

export interface WatchOptions extends BuildOptions {
    /** Ends it. */
    readonly signal: AbortSignal;
}

/**
 * How long nothing may happen before files are read, in milliseconds: an editor saves in steps, and of changes of one file
 * within 50 ms chokidar tells the first only.
 */
const settling = 75;

/**
 * Builds a project, and again whenever one of its files or a landing file of its target has changed, until `signal`. What
 * was checked is kept in between; no lock and no file is.
 * @throws PipelineError when it is ended in the middle of a build, when the command line is wrong, and when files can't be
 * watched.
 */
export async function watch(options: WatchOptions, output: Output): Promise<void> {
    const { projectDir: root, signal } = options;
    // A folder that is no project won't become one by being watched.
    if (!existsSync(join(root, configFile))) await loadConfig(root);
    const changes = await Changes.of(root);
    const builder = new Builder(options, output);
    try {
        changes.follow(await builder.target());
        await builder.first();
        for (let isFirst = true; ; isFirst = false) {
            changes.follow(await builder.target());
            if (isFirst) output.out("\nWatching for changes; Ctrl-C ends it");
            const paths = await changes.next(signal);
            await builder.again(paths);
        }
    } catch (error) {
        // Nothing was going on.
        if (!isAbort(error)) throw error;
    } finally {
        await changes.close();
        builder.close();
    }
}

/** Whether it was waiting for something when it was ended. */
function isAbort(error: unknown): boolean {
    return error instanceof Error && error.name === "AbortError";
}

/** The files of a project that have changed and were not asked for yet. */
class Changes {
    private readonly root: string;
    private readonly watcher: FSWatcher;
    private readonly changed = new Set<string>();
    private landings: readonly string[] = [];
    private events = 0;
    private failure: unknown;

    private constructor(root: string) {
        this.root = root;
        // The folder itself, so that models/ may be removed and come again.
        this.watcher = watchFiles(root, {
            ignoreInitial: true,
            // Removed and there again within 0.1 s would be one change; but what counts is what is there when it is read.
            atomic: false,
            ignored: (path, stats) => !this.concerns(path, stats),
        });
        this.watcher.on("all", (event, path) => {
            if (event.endsWith("Dir")) return;
            this.events++;
            this.changed.add(path);
        });
        this.watcher.on("error", (error) => (this.failure = error));
    }

    static async of(root: string): Promise<Changes> {
        const changes = new Changes(root);
        await new Promise((done) => changes.watcher.once("ready", () => done(undefined)));
        return changes;
    }

    /** Asked with and without `stats`, of which only the first knows a folder. */
    private concerns(path: string, stats: Stats | undefined): boolean {
        if (path === this.root || this.landings.some((file) => file === path || file.startsWith(path + sep)))
            return true;
        const [top = "", ...rest] = relative(this.root, path).split(sep);
        if (rest.length === 0) return [configFile, "targets", ...projectFolders].includes(top);
        if (top === "targets") return path.endsWith(".ts");
        if (!projectFolders.includes(top)) return false;
        // A folder that is a project of its own is not read either.
        if (stats?.isDirectory() === true) return !existsSync(join(path, configFile));
        return stats === undefined || isProjectFile(basename(path));
    }

    /** Watches the landing files of a target in place of those before. */
    follow(target: StrictTarget | undefined): void {
        if (target === undefined) return;
        const landings = Object.values(target.attach).map((file) => resolve(this.root, file));
        if (landings.join("\n") === this.landings.join("\n")) return;
        this.landings = landings;
        // Their folders, so that they may be replaced, and come into being.
        this.watcher.add(landings.map((file) => dirname(file)));
    }

    /** What has changed, relative to the project, as soon as there is something and no more follows. */
    async next(signal: AbortSignal): Promise<readonly string[]> {
        try {
            while (this.changed.size === 0) {
                if (this.failure !== undefined) throw this.failure;
                await once(this.watcher, "all", { signal });
            }
            for (let seen = -1; seen !== this.events; ) {
                seen = this.events;
                await sleep(settling, undefined, { signal });
            }
        } catch (error) {
            if (signal.aborted) throw error;
            const remedy = "where the system can't tell of changes, set CHOKIDAR_USEPOLLING=1";
            throw new PipelineError(`files can't be watched: ${messageOf(error)}; ${remedy}`, { cause: error });
        }
        const paths = [...this.changed].map((path) => relative(this.root, path)).sort();
        this.changed.clear();
        return paths;
    }

    close(): Promise<void> {
        return this.watcher.close();
    }
}

/** Builds again and again with one checker. */
class Builder {
    private readonly options: WatchOptions;
    private readonly output: Output;
    private checker: Checker | undefined;
    /** The target that the checker was opened for. */
    private openedFor = "";

    constructor(options: WatchOptions, output: Output) {
        this.options = options;
        this.output = output;
    }

    /** The target as its file says now; undefined while that or pipeline.config.ts can't be read, which a build tells. */
    async target(): Promise<StrictTarget | undefined> {
        try {
            return (await targetOf(this.options)).target;
        } catch (error) {
            if (error instanceof PipelineError) return undefined;
            throw error;
        }
    }

    /** Builds as `build` does. What is wrong with the command line ends it, what is wrong with the project does not. */
    async first(): Promise<void> {
        await this.attempt({}, true);
    }

    /** Builds after changes, and says in few lines what came of it. */
    async again(paths: readonly string[]): Promise<void> {
        const { options, output } = this;
        const started = performance.now();
        const named = paths.map((path) => (existsSync(join(options.projectDir, path)) ? path : `${path} (removed)`));
        output.out(`\n${new Date().toTimeString().slice(0, 8)}  ${listed(named, 3)}`);
        const events: Event[] = [];
        const onEvent = (event: Event, text: string | undefined): void => {
            events.push(event);
            if (event.type === "freshness" && text !== undefined) output.out(text);
        };
        // What it prints itself is long: the verdict says it.
        const outcome = await this.attempt({ onEvent }, false);
        if (outcome === undefined) return;
        const seconds = (performance.now() - started) / 1000;
        const keepsPublication = options.keepsPublication === true;
        output.out(verdict(outcome, { events, seconds, keepsPublication }));
    }

    /** Undefined where nothing ran, and was told why. */
    private async attempt(own: Partial<BuildOptions>, isFirst: boolean): Promise<Outcome | undefined> {
        const { options, output } = this;
        try {
            const checker = await this.open();
            const known = checker === undefined ? {} : { checker };
            return await build("build", { ...options, ...own, ...known }, output);
        } catch (error) {
            // The command line is wrong, or it was interrupted.
            const isFinal = error instanceof PipelineError && error.exitCode === 2;
            if (options.signal.aborted) {
                // It says so itself, or it was waiting for others.
                if (isFinal || isAbort(error)) throw error;
                throw new PipelineError("interrupted. What people read is as it was", { exitCode: 2, cause: error });
            }
            // A file may be gone between being listed and being read.
            const isOutside = error instanceof PipelineError || (error instanceof Error && "syscall" in error);
            if ((isFinal && isFirst) || !isOutside) throw error;
            output.note(error.message);
            output.out(nothing);
            return undefined;
        }
    }

    /** The checker for the target as it is now, as soon as no other process builds it. */
    private async open(): Promise<Checker | undefined> {
        const { projectDir: root, signal } = this.options;
        const target = await this.target();
        if (target === undefined) return undefined;
        const { lock } = placesOf({ root, target });
        for (let isTold = false; ; isTold = true) {
            const holder = livingHolder(lock);
            if (holder === undefined) break;
            if (!isTold) this.output.note(`"${holder.command}" is running (${processText(holder)}); waiting for it`);
            await sleep(200, undefined, { signal });
        }
        const facts = JSON.stringify(target);
        if (this.checker === undefined || facts !== this.openedFor) {
            this.close();
            this.checker = await Checker.open(await openEmpty({ root, target }));
            this.openedFor = facts;
        }
        return this.checker;
    }

    close(): void {
        this.checker?.database.close();
        this.checker = undefined;
    }
}

const nothing = "published  nothing, what people read is as it was";

/** What a build came to: what was checked, what ran, what the tests said, what was published or why nothing was. */
function verdict(
    outcome: Outcome,
    { events, seconds, keepsPublication }: { events: readonly Event[]; seconds: number; keepsPublication: boolean },
): string {
    const { results, publication } = outcome;
    const checked = events.find((event) => event.type === "checked");
    if (checked === undefined) return "Nothing to do";
    const units = checked.unit_tests === 0 ? "" : ` and ${counted(checked.unit_tests, "unit test")}`;
    const ran = results.filter(({ node, status }) => node.kind !== "test" && status !== "reused");
    const made = ran.map(({ node, status, rows }) => {
        const fact = status === "success" ? (rows === undefined ? "" : ` (${counted(rows, "row")})`) : ` (${status})`;
        return `${node.name}${fact}`;
    });
    const tests = results.filter(({ node }) => node.kind === "test");
    const tested = (["pass", "warn", "fail", "error", "skip", "reused"] as const).flatMap((status) => {
        const found = tests.filter((result) => result.status === status).length;
        return found === 0 ? [] : [`${count(found)} ${status}`];
    });
    const wrong = details(results);
    const finished = events.find((event) => event.type === "finished");
    const why = finished?.reasons.map((reason) => `\n    ${reason}`).join("") ?? "";
    const published =
        publication !== undefined
            ? `published  ${counted(publication.relations.length, "table")} and ${counted(publication.files.length, "file")}, run ${publication.runId}, ${seconds.toFixed(2)} s`
            : !outcome.ok
              ? `${nothing}${why}`
              : keepsPublication
                ? "published  nothing: --no-publish"
                : "published  nothing new";
    return [
        `checked    ${counted(checked.nodes, "node")}${units} in ${Math.round(checked.seconds * 1000)} ms`,
        `ran        ${made.length === 0 ? "nothing" : listed(made, 5)}`,
        `tests      ${tested.length === 0 ? "none" : tested.join(", ")}`,
        ...(wrong === "" ? [] : [wrong]),
        published,
    ].join("\n");
}

/** `a, b and 3 more` */
function listed(names: readonly string[], most: number): string {
    const shown = names.length <= most ? names : names.slice(0, most);
    const more = names.length - shown.length;
    return `${shown.join(", ")}${more === 0 ? "" : ` and ${count(more)} more`}`;
}
