import * as assert from "uvu/assert";
import { mistakesIn } from "../runner/dbt-schemas.ts";
import { suite } from "../suite.ts";
import { inWarehouse, landingRows } from "../warehouse.ts";
import { snapshotOf } from "./catalogues.ts";

const test = suite("models/artifacts");

test("this project's artifacts are as dbt's schemas want them", () =>
    inWarehouse(async (warehouse) => {
        const { docs, authors } = snapshotOf(20, 1);
        const snapshot = { subject: "any", startedAt: "2024-06-01 12:00:00", pages: [docs], authors };
        await warehouse.land(landingRows(snapshot));
        await warehouse.build();
        for (const name of ["manifest", "run_results", "catalog"] as const) {
            assert.equal(mistakesIn(name, warehouse.artifact(name)), [], name);
        }
    }));

test.run();
