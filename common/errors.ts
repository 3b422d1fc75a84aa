/** A mistake that a person can mend. Printed without a stack; the process exits with `exitCode` (1 unless given). */
export class PipelineError extends Error {
    override readonly name = "PipelineError";
    readonly exitCode: number;

    constructor(message: string, options: { cause?: unknown; exitCode?: number } = {}) {
        super(message, options.cause === undefined ? undefined : { cause: options.cause });
        this.exitCode = options.exitCode ?? 1;
    }
}

/** Anything that was thrown, as one line of text. */
export function messageOf(error: unknown): string {
    return error instanceof Error ? error.message : String(error);
}

/** The `code` of a Node.js system error ("ENOENT", "EACCES" ...), or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
    if (!(error instanceof Error) || !("code" in error)) return undefined;
    return typeof error.code === "string" ? error.code : undefined;
}
