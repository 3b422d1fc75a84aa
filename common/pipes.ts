import { messageOf, systemCode } from "./errors.ts";

/**
 * `| head` closes the pipe when it has enough: what is under way goes on all the same, with nobody to tell. So it does where
 * the output goes to a full disk, but that is no success.
 */
export function surviveClosedPipes(): void {
    for (const stream of [process.stdout, process.stderr]) {
        stream.on("error", (error) => {
            if (systemCode(error) === "EPIPE" || process.exitCode === 1) return;
            process.exitCode = 1;
            if (stream === process.stdout) process.stderr.write(`the output can't be written: ${messageOf(error)}\n`);
        });
    }
}
