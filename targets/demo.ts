import type { Target } from "../runner/config.ts";

/** Where `npm run demo` lands and builds: apart from your own data. */
export default {
    folder: "data/demo",
    attach: { landing: "data/demo/landing.duckdb" },
} satisfies Target;
