/** What one test file did: tests/suite.ts prints it as the file's last line, tests/run.ts reads it. */
export interface Counts {
    registered: number;
    finished: number;
    failed: number;
    skipped: string[];
}

/** Begins that line. */
export const countsMark = "::counts ";
