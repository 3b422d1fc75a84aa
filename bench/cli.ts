// `npm run bench -- <name> [flags]`: repeatable measurements. Each file beside this one is one of them.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const names = readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith(".bench.ts"))
    .map((file) => file.replace(/\.bench\.ts$/, ""));
const [name = "", ...flags] = process.argv.slice(2);

if (names.includes(name)) {
    const { bench } = (await import(pathToFileURL(join(import.meta.dirname, `${name}.bench.ts`)).href)) as {
        bench: (flags: string[]) => Promise<void>;
    };
    await bench(flags);
} else {
    console.error(`npm run bench -- <name> [--flags]; names: ${names.join(", ")}`);
    process.exitCode = 2;
}
