// Author documents that a run did not fetch again: the marts are those of a run that fetched everything.
import { join } from "node:path";
import { Writable } from "node:stream";
import * as assert from "uvu/assert";
import { type CatalogueRecord, catalogueOf } from "../../demo/catalogue-file.ts";
import { generate } from "../../demo/generator.ts";
import { type StandIn, startStandIn } from "../../demo/server.ts";
import { Client } from "../../extract/client.ts";
import { extract } from "../../extract/extract.ts";
import { Progress } from "../../extract/progress.ts";
import { prune } from "../../extract/prune.ts";
import { suite } from "../suite.ts";
import { inWarehouse, type Row, type Warehouse } from "../warehouse.ts";
import { agree, publishedMarts } from "./agreement.ts";
import { isWork } from "./catalogues.ts";

const test = suite("models/reuse");

const subject = "science_fiction";

async function extractFrom(standIn: StandIn, warehouse: Warehouse, authorsMaxAge: number): Promise<void> {
    const progress = new Progress(new Writable({ write: (_chunk, _encoding, done) => done() }));
    const client = new Client({ baseUrl: standIn.url, userAgent: "shelfmark/test (+tests@example.org)", backoff: 1 });
    await extract([subject], { landing: landingOf(warehouse), baseUrl: standIn.url, authorsMaxAge, client, progress });
}

function landingOf(warehouse: Warehouse): string {
    return join(warehouse.folder, "data", "landing.duckdb");
}

/** A fifth of the authors have another name, in their documents and in the works. */
function renamed(records: readonly CatalogueRecord[]): CatalogueRecord[] {
    const isRenamed = (key: string): boolean => /[05]A$/.test(key);
    const younger = (name: unknown): string => `${String(name)} the Younger`;
    return records.map((record): CatalogueRecord => {
        if (!isWork(record)) {
            const isAuthor = record.type.key === "/type/author" && isRenamed(record.key);
            return isAuthor ? { ...record, name: younger(record.name) } : record;
        }
        const { author_key = [], author_name = [] } = record;
        return {
            ...record,
            author_name: author_name.map((name, n) => (isRenamed(author_key[n] ?? "") ? younger(name) : name)),
        };
    });
}

/** All marts that tell of authors, without what tells of requests. */
async function authorMarts(warehouse: Warehouse): Promise<Record<string, string[]>> {
    const marts = await publishedMarts(warehouse);
    const names = ["dim_authors", "bridge_authors_books", "fct_author_year", "author_productivity", "subject_summary"];
    const plain = ({ page_url, fetched_at, run_id, ...row }: Row): string => JSON.stringify(row);
    return Object.fromEntries(names.map((name) => [name, (marts[name] ?? []).map(plain).sort()]));
}

test("the marts are the same whether authors were fetched or reused, also after runs were dropped", async () => {
    const all = [...generate({ works: 400, seed: 5 })];
    const before = all.filter((record, n) => !isWork(record) || n % 3 > 0);
    const standIn = await startStandIn(catalogueOf(before));
    try {
        await inWarehouse(async (reusing) => {
            await inWarehouse(async (fetching) => {
                await extractFrom(standIn, reusing, 7);
                await extractFrom(standIn, fetching, 7);
                standIn.replace(catalogueOf(renamed(all)));
                await extractFrom(standIn, reusing, 7);
                await extractFrom(standIn, fetching, 0);
                await fetching.build();
                const expected = await authorMarts(fetching);

                const { reused_authors, author_pages } = await reusing.landed();
                assert.ok(reused_authors.length > 50 && author_pages.length > 2);
                await reusing.build();
                const { dim_authors = [], extract_coverage = [] } = await agree(reusing);
                assert.equal(await authorMarts(reusing), expected);
                assert.ok(dim_authors.some((row) => String(row.author_name).endsWith(" the Younger")));
                assert.ok(dim_authors.some((row) => row.merged_author_keys !== null));
                assert.ok(extract_coverage.some((row) => Number(row.authors_reused) > 50));

                const { runs } = await prune(landingOf(reusing), { keep: 1, say: () => {} });
                assert.is(runs.length, 1);
                await reusing.build();
                assert.equal(await authorMarts(reusing), expected);
            });
        });
    } finally {
        await standIn.close();
    }
});

test.run();
