// `npm run demo`: the whole job against the stand-in, with the commands that a person would type.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { readCatalogue } from "./catalogue-file.ts";
import { startStandIn } from "./server.ts";

const root = join(import.meta.dirname, "..");

/** Types a command of the project for the person who watches, and ends the demo where it fails. */
async function type(script: string, args: readonly string[]): Promise<void> {
    console.log(`\n$ npm run ${script} -- ${args.map((arg) => (/[\s{]/.test(arg) ? `"${arg}"` : arg)).join(" ")}`);
    const child = spawn("npm", ["run", "--silent", script, "--", ...args], { cwd: root, stdio: "inherit" });
    const exit = await new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? 2)));
    if (exit !== 0) {
        console.error(`the demo stops here: npm run ${script} ended with ${exit}`);
        process.exit(exit);
    }
}

const standIn = await startStandIn(readCatalogue([join(import.meta.dirname, "catalogue")]));
try {
    console.log(
        `This is a stand-in for Open Library with some four hundred well-known works, not openlibrary.org: ${standIn.url}`,
    );
    const subjectFlags = ["science_fiction", "fantasy"].flatMap((subject) => ["--subject", subject]);
    const service = ["--base-url", standIn.url, "--contact", "demo@shelfmark.example", "--pace", "off"];
    await type("extract", ["--target", "demo", ...subjectFlags, ...service]);
    await type("build-models", ["--target", "demo"]);
    const firstRows =
        "select author_name, publish_year, works, works_fractional from {{ref.fct_author_year}} " +
        "join {{ref.dim_authors}} using (author_key) where subject = 'science_fiction' " +
        "order by works desc, author_name, publish_year";
    await type("models", ["show", "--target", "demo", "--limit", "10", "--inline", firstRows]);
} finally {
    await standIn.close();
}
