// `dumps-land.ts <landing> <subject or *> <works> <authors> [editions]`: what the benchmark measures of a dump.
import { Writable } from "node:stream";
import { extractDump } from "../extract/dumps/extract-dump.ts";
import { Progress } from "../extract/progress.ts";

const [landing = "", subject = "", works = "", authors = "", editions] = process.argv.slice(2);
const options = {
    landing,
    subjects: subject === "*" ? [] : [subject],
    all: subject === "*",
    force: true,
    progress: new Progress(new Writable({ write: (_chunk, _encoding, done) => done() })),
};
console.log((await extractDump({ works, authors, editions }, options)).summary);
