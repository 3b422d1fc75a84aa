import type { Target } from "../runner/config.ts";

/** Where an automated check builds, on the landing file that it made itself. */
export default {
    folder: "data/ci",
    attach: { landing: "data/ci/landing.duckdb" },
} satisfies Target;
