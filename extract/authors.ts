import { type AuthorsPage, noAuthors, readAuthor, readAuthors } from "./answers.ts";
import { type Client, isRefusal } from "./client.ts";
import { inParallel } from "./parallel.ts";
import type { Run } from "./run.ts";

/** Keys of one batch: with 100 its URL has about 3,500 bytes, and the service takes 8,000. */
const batchSize = 100;
const batchesAtOnce = 3;
/** As many times as the service itself follows a merged author to the next one. */
const longestChain = 5;

/**
 * Lands the documents of all authors of the run's works, and of those into whom they were merged. An author without a
 * document is no error: works keep the keys of authors who are gone.
 * @throws RequestError when a document can't be had.
 */
export async function walkAuthors(run: Run, client: Client): Promise<void> {
    await landAll(run, client, run.authors);
    for (let hop = 0; hop < longestChain; hop++) await landAll(run, client, run.redirects.values());
}

async function landAll(run: Run, client: Client, keys: Iterable<string>): Promise<void> {
    const wanted = [...new Set(keys)].filter((key) => !run.asked.has(key));
    const batches = Array.from({ length: Math.ceil(wanted.length / batchSize) }, (_, index) =>
        wanted.slice(index * batchSize, (index + 1) * batchSize),
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
