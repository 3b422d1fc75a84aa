import { join } from "node:path";
import * as assert from "uvu/assert";
import { type CatalogueRecord, catalogueOf } from "../../demo/catalogue-file.ts";
import { startStandIn } from "../../demo/server.ts";
import {
    physicsRecords,
    readSearchAnswer,
    readSubjectAnswer,
    recordedData,
    searchAnswerRecords,
    subjectAnswerRecords,
} from "../recorded.ts";
import { suite } from "../suite.ts";

const test = suite("demo/recorded");
const folder = recordedData();

async function ask(records: CatalogueRecord[], path: string): Promise<Record<string, unknown>> {
    const standIn = await startStandIn(catalogueOf(records));
    try {
        const response = await fetch(standIn.url + path, { headers: { "User-Agent": "tests (a@example.org)" } });
        assert.is(response.status, 200);
        return (await response.json()) as Record<string, unknown>;
    } finally {
        await standIn.close();
    }
}

/** Recorded before January 2026, when an empty list of collections was answered as [""]. */
const asOfToday = (item: { ia_collection: string[] }): object =>
    item.ia_collection.join() === "" ? { ...item, ia_collection: [] } : item;

function replay(title: string, check: (folder: string) => Promise<void>): void {
    if (folder === undefined) test.skip(title, "the recorded answers are not beside the repository");
    else test(title, () => check(folder));
}

replay("answers a whole recorded subject as Open Library did, with the same nulls", async (data) => {
    const recorded = readSubjectAnswer(join(data, "subjects", "bestsellers_2025-06.json"));
    const answer = await ask(subjectAnswerRecords(recorded), "/subjects/bestsellers.json?sort=editions,key");
    const { works, ...envelope } = recorded;
    const { works: answered, solr_query, ...answeredEnvelope } = answer;
    assert.equal(answeredEnvelope, envelope);
    const byKey = [...works].sort((a, b) => b.edition_count - a.edition_count || (a.key < b.key ? -1 : 1));
    assert.is(JSON.stringify(answered), JSON.stringify(byKey.map(asOfToday)));
});

replay("answers a recorded page of a subject in its order", async (data) => {
    const recorded = readSubjectAnswer(join(data, "subjects", "science_fiction_2025-02.json"));
    const answer = await ask(subjectAnswerRecords(recorded), "/subjects/science_fiction.json");
    assert.is(answer.work_count, recorded.works.length);
    assert.equal(answer.works, recorded.works.map(asOfToday));
});

replay("answers a recorded page of a search, byte by byte", async (data) => {
    const recorded = readSearchAnswer(join(data, "search", "romance_page20_first15_2026.json"));
    const answer = await ask(searchAnswerRecords(recorded), "/search.json?q=edition_count:[0 TO *]&sort=key");
    const docs = [...recorded.docs].sort((a, b) => (a.key < b.key ? -1 : 1));
    assert.is(JSON.stringify(answer.docs), JSON.stringify(docs));
    assert.equal(Object.keys(answer), Object.keys(recorded));
});

replay("answers every stored field of a recorded search", async (data) => {
    const recorded = readSearchAnswer(join(data, "search", "here_there_be_dragons.json"));
    const answer = await ask(searchAnswerRecords(recorded), "/search.json?q=edition_count:[0 TO *]&sort=key&fields=*");
    const docs = recorded.docs.map(({ subject_key, ...stored }) => stored);
    assert.equal(
        answer.docs,
        docs.sort((a, b) => (a.key < b.key ? -1 : 1)),
    );
});

replay("serves the recorded subject physics: 100 works, 150 credits", async (data) => {
    const answer = await ask(physicsRecords(data), "/subjects/physics.json?limit=1000");
    const works = answer.works as { title: string; authors: { name: string }[]; first_publish_year: number | null }[];
    assert.is(answer.work_count, 100);
    assert.is(works.flatMap((work) => work.authors).length, 150);
    assert.ok(works.some((work) => work.title === "One, two, three ... infinity"));
    assert.ok(works.every((work) => work.authors.every(({ name }) => name !== "")));
    assert.is(Math.min(...works.map((work) => work.first_publish_year ?? 9999)), 1390);
});

test.run();
