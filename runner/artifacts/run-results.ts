import type { Compiled } from "../compile.ts";
import { originLines } from "../failures.ts";
import type { Node, Project } from "../nodes.ts";
import { formatProblem, type Problem } from "../problem.ts";
import { isRun, type Result, type Status } from "../run.ts";
import { relationName, uniqueIdOf, unitTestId } from "./dbt-names.ts";
import { type Invocation, metadataOf } from "./invocation.ts";

/** What a command came to, or had come to when it was ended. */
export interface Finished {
    readonly invocation: Invocation;
    readonly compiled: Compiled;
    /** What was selected. */
    readonly names: ReadonlySet<string>;
    readonly results: readonly Result[];
    /** What the check found; nothing has run then. */
    readonly problems: readonly Problem[];
    /** How long it took in all. */
    readonly seconds: number;
}

/** dbt's words. What was reused has done nothing; a test that was reused has passed. */
const statuses: Readonly<Record<Status, string>> = {
    ...{ success: "success", pass: "pass", warn: "warn", fail: "fail", error: "error", skip: "skipped" },
    reused: "no-op",
};

/**
 * dbt's run results (schema v6): one for each node that was to run, and for each unit test of what was selected. After a
 * check that found mistakes, they are the results of the nodes that have them, and all else that was selected is skipped.
 */
export function runResultsOf(
    project: Project,
    { invocation, compiled, names, results, problems, seconds }: Finished,
): object {
    return {
        metadata: metadataOf("run-results/v6", invocation),
        results: [
            ...(problems.length > 0 ? resultsOfCheck(project, { names, problems, compiled }) : []),
            ...unitTestResults(project, { names, problems, hasRun: results.length > 0 }),
            ...results.map((result) => resultOf(project, result, compiled)),
        ],
        elapsed_time: seconds,
        args: invocation.args,
    };
}

function resultOf(project: Project, result: Result, compiled: Compiled): object {
    const { node, status, startedAt, seconds, rows, failures = null, stored } = result;
    const isReused = status === "reused";
    const counted =
        stored === undefined ? null : [`${failures} failing rows: ${stored}`, ...originLines(result)].join("\n");
    const started = Date.parse(startedAt);
    const time = (after: number): string => new Date(started + after * 1000).toISOString();
    return {
        ...outcome(isReused && node.kind === "test" ? "pass" : statuses[status]),
        ...(status === "skip" || isReused
            ? {}
            : {
                  // Everything is compiled before the first node runs: what is left of it here takes no time.
                  timing: [
                      { name: "compile", started_at: time(0), completed_at: time(0) },
                      { name: "execute", started_at: time(0), completed_at: time(seconds) },
                  ],
              }),
        execution_time: seconds,
        adapter_response: rows === undefined ? {} : { rows_affected: rows },
        message: result.message ?? (isReused ? "reused: nothing it is made of has changed" : counted),
        failures,
        ...nodeFacts(project, node, compiled),
    };
}

/** The nodes in which the check found mistakes, with these as their message, and those that were not run for it. */
function resultsOfCheck(
    project: Project,
    { names, problems, compiled }: { names: ReadonlySet<string>; problems: readonly Problem[]; compiled: Compiled },
): object[] {
    return [...project.nodes.values()].flatMap((node) => {
        const own = problems.filter(({ subject }) => subject === node);
        if (own.length === 0 && !(names.has(node.name) && isRun(node))) return [];
        const message = own.length === 0 ? "the check found mistakes elsewhere" : own.map(formatProblem).join("\n");
        const status = own.length === 0 ? "skipped" : "error";
        return [{ ...outcome(status), message, ...nodeFacts(project, node, compiled) }];
    });
}

/** Unit tests belong to the check, which they end: where anything has run after them, all of them have passed. */
function unitTestResults(
    project: Project,
    { names, problems, hasRun }: { names: ReadonlySet<string>; problems: readonly Problem[]; hasRun: boolean },
): object[] {
    const tests = project.unitTests.filter((test) => names.has(test.model));
    const haveRun = hasRun || tests.some((test) => problems.some(({ subject }) => subject === test));
    if (!haveRun && problems.length === 0) return [];
    return tests.map((test) => {
        const problem = problems.find(({ subject }) => subject === test);
        const status = problem !== undefined ? "fail" : haveRun ? "pass" : "skipped";
        return {
            ...outcome(status),
            ...(haveRun ? { failures: problem === undefined ? 0 : 1 } : {}),
            message: problem === undefined ? null : formatProblem(problem),
            ...{ unique_id: unitTestId(project, test), compiled: null, compiled_code: null, relation_name: null },
        };
    });
}

/** The result of what took no time and left nothing. */
function outcome(status: string) {
    return {
        ...{ status, timing: [], thread_id: "main", execution_time: 0, adapter_response: {} },
        ...{ message: null, failures: null },
    };
}

function nodeFacts(project: Project, node: Node, compiled: Compiled): object {
    const sql = compiled.get(node.name)?.text;
    return {
        unique_id: uniqueIdOf(project, node),
        compiled: node.kind === "seed" ? null : sql !== undefined,
        compiled_code: sql ?? null,
        relation_name: relationName(node),
    };
}
