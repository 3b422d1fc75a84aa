import { suite as uvuSuite } from "uvu";
import { type Counts, countsMark } from "./counts.ts";

const counts: Counts = { registered: 0, finished: 0, failed: 0, skipped: [] };

process.on("exit", () => {
    // uvu exits 0 when a hook throws or .run() is missing: then something registered has not finished.
    if (counts.finished !== counts.registered || counts.failed > 0) process.exitCode = 1;
    console.log(countsMark + JSON.stringify(counts));
});

type Check = () => void | Promise<void>;

export interface TestSuite {
    (title: string, check: Check): void;
    /** Skips visibly: the reason is printed in the closing lines of the whole run. */
    skip(title: string, reason: string): void;
    before: ReturnType<typeof uvuSuite>["before"];
    after: ReturnType<typeof uvuSuite>["after"];
    run(): void;
}

/** A uvu suite whose tests are counted, so that a test that never ran fails the file. There is no `.only`. */
export function suite(title: string): TestSuite {
    const inner = uvuSuite(title);
    const register = (name: string, check: Check): void => {
        counts.registered++;
        inner(name, async () => {
            try {
                await check();
            } catch (error) {
                counts.failed++;
                throw error;
            } finally {
                counts.finished++;
            }
        });
    };
    return Object.assign(register, {
        skip: (name: string, reason: string) => {
            counts.skipped.push(`${title}: ${name} (${reason})`);
        },
        before: inner.before,
        after: inner.after,
        run: () => inner.run(),
    });
}
