import { inParallel } from "../common/parallel.ts";
import { type AuthorsPage, noAuthors, readAuthor, readAuthors } from "./answers.ts";
import { type Client, isRefusal } from "./client.ts";
import type { LandedDocument } from "./recall.ts";
import type { Run } from "./run.ts";

/** Keys of one batch: with 100 its URL has about 3,500 bytes, and the service takes 8,000. */
const batchSize = 100;
const batchesAtOnce = 3;
/** As many times as the service itself follows a merged author to the next one. */
const longestChain = 5;

/** Documents by their keys, as earlier runs landed them. */
export type Earlier = ReadonlyMap<string, LandedDocument>;

/**
 * Lands the documents of all authors of the run's works, and of those into whom they were merged; where there is an earlier
 * one that still bears the name that the works give, that one stands for it. An author without a document is no error:
 * works keep the keys of authors who are gone.
 * @throws RequestError when a document can't be had.
 */
export async function walkAuthors(run: Run, client: Client, earlier: Earlier = new Map()): Promise<void> {
    const land = async (keys: readonly string[]): Promise<void> => {
        reuse(run, unasked(run, keys), earlier);
        await fetchAll(run, client, unasked(run, keys));
    };
    await land([...run.authors.keys()]);
    for (let hop = 0; hop < longestChain; hop++) await land([...run.redirects.values()]);
}

function unasked(run: Run, keys: readonly string[]): string[] {
    return [...new Set(keys)].filter((key) => !run.asked.has(key));
}

function reuse(run: Run, keys: readonly string[], earlier: Earlier): void {
    const found = keys.flatMap((key) => earlier.get(key) ?? []);
    const standing = found.filter(({ document: { key, name } }) => {
        // Merged and deleted authors have no name any more; works that still give them one are late.
        return name === undefined || (run.authors.get(key) ?? []).every((given) => given === name);
    });
    if (standing.length > 0) run.reuse(standing);
}

async function fetchAll(run: Run, client: Client, keys: readonly string[]): Promise<void> {
    const batches = Array.from({ length: Math.ceil(keys.length / batchSize) }, (_, index) =>
        keys.slice(index * batchSize, (index + 1) * batchSize),
    );
    await inParallel(batches, batchesAtOnce, (batch) => landBatch(run, client, batch));
}

async function landBatch(run: Run, client: Client, keys: readonly string[]): Promise<void> {
    try {
        const answer = await client.get("/api/get_many", { keys: JSON.stringify(keys) }, { read: readAuthors });
        run.landAuthors("get_many", keys, answer);
    } catch (error) {
        if (!isRefusal(error)) throw error;
        for (const key of keys) await landOne(run, client, key);
    }
}

async function landOne(run: Run, client: Client, key: string): Promise<void> {
    const answer = await client.get<AuthorsPage>(`${key}.json`, {}, { read: readAuthor, missing: noAuthors });
    run.landAuthors("author", [key], { ...answer, parameters: JSON.stringify({ key }) });
}
