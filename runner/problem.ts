import { PipelineError } from "../common/errors.ts";

/** A file of the project. `path` is relative to the project folder, with forward slashes. */
export interface SourceFile {
    readonly path: string;
    readonly text: string;
}

/** A place in a file; `offset` counts UTF-16 code units from 0. */
export interface Position {
    readonly file: SourceFile;
    readonly offset: number;
}

/** One mistake of a project's author. `calls` are the macro calls that led to `at`, innermost first. */
export interface Problem {
    readonly message: string;
    readonly at?: Position;
    /** The node or unit test that the check found it in. */
    readonly subject?: object;
    readonly calls?: readonly Position[];
}

/** The mistakes that one step found, all of them at once. */
export class ProjectError extends PipelineError {
    readonly problems: readonly Problem[];

    constructor(problems: readonly Problem[]) {
        super(problems.map(formatProblem).join("\n"));
        this.problems = problems;
    }
}

/** Throws when there is anything to report. */
export function failOn(problems: readonly Problem[]): void {
    if (problems.length > 0) throw new ProjectError(problems);
}

/** Line and column, both from 1; a column counts characters, so a line of Greek or Chinese counts as it is read. */
export function lineAndColumn({ file, offset }: Position): { line: number; column: number; text: string } {
    const start = offset === 0 ? 0 : file.text.lastIndexOf("\n", offset - 1) + 1;
    const end = file.text.indexOf("\n", offset);
    const text = file.text.slice(start, end < 0 ? undefined : end).replace(/\r$/, "");
    let line = 1;
    for (let i = file.text.indexOf("\n"); i >= 0 && i < start; i = file.text.indexOf("\n", i + 1)) line++;
    return { line, column: [...file.text.slice(start, offset)].length + 1, text };
}

/** `models/marts/x.sql:12:7` */
export function formatPosition(position: Position): string {
    const { line, column } = lineAndColumn(position);
    return `${position.file.path}:${line}:${column}`;
}

/** The position and message, the line with a caret under the place, and the macro calls that led there. */
export function formatProblem({ message, at, calls = [] }: Problem): string {
    if (at === undefined) return message;
    const { line, column, text } = lineAndColumn(at);
    const gutter = `    ${line} | `;
    const indent = [...text].slice(0, column - 1).map((char) => (char === "\t" ? "\t" : " "));
    const lines = [`${at.file.path}:${line}:${column}  ${message}`];
    if (text.trim() !== "") {
        lines.push(`${gutter}${text}`, `${" ".repeat(gutter.length - 2)}| ${indent.join("")}^`);
    }
    for (const call of calls) lines.push(`    called at ${formatPosition(call)}`);
    return lines.join("\n");
}
