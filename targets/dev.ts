import type { Target } from "../runner/config.ts";

/** What `npm run build-models` builds into unless it is told otherwise. */
export default {
    folder: "data",
    attach: { landing: "data/landing.duckdb" },
} satisfies Target;
