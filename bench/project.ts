import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** The stand-in with so many made-up works in a process of its own, so that its work is not counted. */
export async function standIn(works: string): Promise<{ url: string; stop: () => void }> {
    const args = ["--import", "tsx", "demo/server-cli.ts", "--generate", works];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    const url = await new Promise<string>((resolve, reject) => {
        let text = "";
        child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk;
            const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? [];
            if (found !== undefined) resolve(found);
        });
        child.on("close", () => reject(new Error(`the stand-in ended: ${text}`)));
    });
    return { url, stop: () => child.kill() };
}

/** The arguments with which `extract` lands those works in a project. */
export function extraction(folder: string, url: string): string[] {
    const service = ["--base-url", url, "--contact", "bench@shelfmark.example", "--pace", "off"];
    return ["--subject", "science_fiction", "--project-dir", folder, ...service];
}

/** This project in a folder of its own, without anything that it built. */
export function copyProject(): string {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-bench-"));
    for (const name of ["models", "macros", "seeds", "targets", "tests", "pipeline.config.ts", "package.json"]) {
        cpSync(join(root, name), join(folder, name), {
            recursive: true,
            filter: (path) => !/\.test\.ts$|tests\/projects/.test(path),
        });
    }
    mkdirSync(join(folder, "data"));
    return folder;
}
