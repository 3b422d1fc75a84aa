import type { ExtractConfig } from "./extract/config.ts";
import type { ProjectConfig } from "./runner/config.ts";

export default {
    name: "shelfmark",
    target: "dev",
    vars: {
        // metrics: the year rule of dim_books
        min_year: 1450,
        year_outlier_rule: true,
        year_outlier_min_years: 5,
        year_outlier_gap: 40,
    },
    models: {
        staging: { materialized: "table", publish: false },
        intermediate: { materialized: "table", publish: false },
        marts: { materialized: "table" },
    },
} satisfies ProjectConfig;

/** What `npm run extract` uses where its command line says nothing else. */
export const extract = {
    // Open Library asks every program for a contact: an e-mail address or a URL. Without one, nothing is fetched.
    contact: "",
    subjects: ["science_fiction"],
} satisfies ExtractConfig;
