// What Open Library really answered, through the stand-in, the extractor and the models.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type CatalogueRecord, subjectKey } from "../../demo/catalogue-file.ts";
import {
    physicsRecords,
    readSearchAnswer,
    readSubjectAnswer,
    recordedData,
    type SearchAnswer,
    type SubjectAnswer,
    searchAnswerRecords,
    subjectAnswerRecords,
} from "../recorded.ts";
import { suite } from "../suite.ts";
import { openWarehouse, type Row, type Warehouse } from "../warehouse.ts";
import { agree, type Published } from "./agreement.ts";
import { isWork } from "./catalogues.ts";

const test = suite("models/recorded");
const folder = recordedData();

interface Recorded {
    readonly warehouse: Warehouse;
    readonly marts: Published;
    readonly bestsellers: SubjectAnswer;
    readonly scienceFiction: SubjectAnswer;
    readonly romance: SearchAnswer;
    readonly dragons: SearchAnswer;
    readonly twitter: SearchAnswer;
    readonly physics: readonly CatalogueRecord[];
    readonly kinsella: CatalogueRecord;
}

let opened: Warehouse | undefined;
let building: Promise<Recorded> | undefined;

test.after(() => opened?.close());

/** Everything recorded, each recording a subject of its own, extracted and built once. */
async function buildRecorded(data: string): Promise<Recorded> {
    const bestsellers = readSubjectAnswer(join(data, "subjects", "bestsellers_2025-06.json"));
    const scienceFiction = readSubjectAnswer(join(data, "subjects", "science_fiction_2025-02.json"));
    const romance = readSearchAnswer(join(data, "search", "romance_page20_first15_2026.json"));
    const dragons = readSearchAnswer(join(data, "search", "here_there_be_dragons.json"));
    const trimmed: SearchAnswer = JSON.parse(readFileSync(join(data, "search", "twitter_and_tear_gas.json"), "utf8"));
    // Whoever recorded it left the title out.
    const twitter = { docs: trimmed.docs.map((doc) => ({ ...doc, title: "__None__" })) };
    const kinsella: CatalogueRecord = JSON.parse(readFileSync(join(data, "authors", "OL39872A_2025-12.json"), "utf8"));
    const physics = physicsRecords(data);
    const records = [
        ...subjectAnswerRecords(bestsellers),
        ...subjectAnswerRecords(scienceFiction),
        ...labelled(searchAnswerRecords(romance), "Recorded romance"),
        ...labelled(searchAnswerRecords(dragons), "Recorded dragons"),
        ...labelled(searchAnswerRecords(twitter), "Recorded tear gas"),
        // The recorded author document belongs to none of the recorded works.
        { key: "/works/OL990000001W", title: "A book", subject: ["Recorded author"], author_key: ["OL39872A"] },
        kinsella,
    ];
    const labels = ["recorded_romance", "recorded_dragons", "recorded_tear_gas", "recorded_author"];
    opened = openWarehouse();
    // A catalogue of its own: another recording has a work that is filed under physics too.
    await opened.extract(physics, "physics");
    await opened.extract(
        new Map(records.map((record) => [record.key, record])).values(),
        ...["bestsellers", "science_fiction", ...labels],
    );
    await opened.build();
    const marts = await agree(opened);
    return { warehouse: opened, marts, bestsellers, scienceFiction, romance, dragons, twitter, physics, kinsella };
}

/** A recorded search page says nothing of the subject it would be found under. */
function labelled(records: readonly CatalogueRecord[], label: string): CatalogueRecord[] {
    return records.map((record) =>
        isWork(record) ? { ...record, subject: [...(record.subject ?? []), label] } : record,
    );
}

function real(title: string, check: (recorded: Recorded) => void | Promise<void>): void {
    if (folder === undefined) test.skip(title, "the recorded answers are not beside the repository");
    else test(title, async () => check(await (building ??= buildRecorded(folder))));
}

/** The books of a subject, by key. */
function booksOf({ dim_books = [], bridge_subjects_books = [] }: Published, subject: string): Map<string, Row> {
    const keys = new Set(bridge_subjects_books.filter((row) => row.subject === subject).map((row) => row.work_key));
    return new Map(dim_books.filter((row) => keys.has(row.work_key ?? "")).map((row) => [String(row.work_key), row]));
}

const bare = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

real("every recording comes to the same marts when it is read without SQL", ({ marts }) => {
    assert.equal(marts.subject_summary?.map(({ subject, works_total }) => `${subject} ${works_total}`).sort(), [
        "all 142",
        "bestsellers 7",
        "physics 100",
        "recorded_author 1",
        "recorded_dragons 6",
        "recorded_romance 15",
        "recorded_tear_gas 1",
        "science_fiction 12",
    ]);
});

real("physics keeps its 100 works, 126 authors and 150 credits", ({ marts, physics }) => {
    const books = booksOf(marts, "physics");
    assert.is(books.size, 100);
    const pairs = physics
        .filter(isWork)
        .flatMap(({ key, author_key = [] }) => author_key.map((a) => `${bare(key)} ${a}`));
    const credits = (marts.bridge_authors_books ?? []).filter((row) => books.has(String(row.work_key)));
    assert.is(pairs.length, 150);
    assert.equal(credits.map((row) => `${row.work_key} ${row.author_key}`).sort(), pairs.sort());
    assert.is(new Set(credits.map((row) => row.author_key)).size, 126);
    const summary = marts.subject_summary?.find((row) => row.subject === "physics");
    assert.is(summary?.authors, 126);
    const names = new Map(marts.dim_authors?.map((row) => [row.author_key, row.author_name]));
    assert.is(names.get("OL1265214A"), "Kokuritsu Kokkai Toshokan (Japan)");
});

real("physics keeps its years as answered, and takes 1390 for none", ({ marts, physics }) => {
    const books = booksOf(marts, "physics");
    for (const { key, first_publish_year = null } of physics.filter(isWork)) {
        const book = books.get(bare(key));
        assert.is(book?.publish_year_raw, first_publish_year);
        const isPlausible = first_publish_year !== null && first_publish_year >= 1450;
        assert.is(book?.publish_year, isPlausible ? first_publish_year : null);
        assert.is(book?.year_status, isPlausible ? "ok" : first_publish_year === null ? "missing" : "implausible");
    }
    assert.ok([...books.values()].some((book) => book.publish_year_raw === 1390));
});

real(
    "what is null in the bestsellers answer is absent from the landed answer and NULL in the tables",
    async (recorded) => {
        const { bestsellers, marts, warehouse } = recorded;
        const nulls = bestsellers.works.flatMap((item) =>
            Object.entries(item).flatMap(([field, value]) => (value === null ? [`${bare(item.key)} ${field}`] : [])),
        );
        assert.equal(nulls, [
            "OL13302987W cover_id",
            "OL13302987W cover_edition_key",
            "OL13302987W ia",
            "OL12638836W cover_edition_key",
            "OL12638836W ia",
            "OL19096978W ia",
        ]);
        const { search_pages } = await warehouse.landed();
        const docs = new Map<string, Record<string, unknown>>(
            search_pages
                .flatMap(({ body }): { key: string }[] => JSON.parse(String(body)).docs)
                .map((doc) => [doc.key, doc]),
        );
        const staged = await warehouse.workRows("select work_key, cover_id, cover_edition_key from stg_works");
        const stagedOf = new Map(staged.map((row) => [row.work_key, row]));
        const books = booksOf(marts, "bestsellers");
        assert.is(books.size, 7);
        for (const item of bestsellers.works) {
            const doc = docs.get(item.key);
            assert.is(doc?.cover_i ?? null, item.cover_id);
            assert.is(doc?.cover_edition_key ?? null, item.cover_edition_key);
            assert.is(doc !== undefined && "cover_i" in doc, item.cover_id !== null);
            assert.is(doc !== undefined && "cover_edition_key" in doc, item.cover_edition_key !== null);
            assert.is(doc !== undefined && "ia" in doc, item.ia !== null);
            const key = bare(item.key);
            for (const row of [stagedOf.get(key), books.get(key)]) {
                assert.is(row?.cover_id, item.cover_id);
                assert.is(row?.cover_edition_key, item.cover_edition_key);
            }
            const book = books.get(key);
            assert.is(book?.title, item.title);
            assert.is(book?.edition_count, item.edition_count);
            assert.is(book?.publish_year_raw, item.first_publish_year);
            assert.is(book?.publish_year, item.first_publish_year);
            assert.is(book?.has_fulltext, item.has_fulltext);
            assert.is(book?.has_public_scan, item.public_scan);
            assert.is(book?.author_count, item.authors.length);
            // /subjects knows nothing of these: unknown, not empty.
            for (const unknown of [
                "subtitle",
                "languages",
                "series_names",
                "ratings_average",
                "number_of_pages_median",
            ]) {
                assert.is(book?.[unknown], null);
            }
        }
    },
);

real("subject labels are filed under the keys that Open Library files them under", async ({ warehouse }) => {
    const labels = await warehouse.workRows("select distinct subject_label, subject_key from stg_work_subjects");
    assert.ok(labels.length > 500, `${labels.length} labels`);
    for (const { subject_label, subject_key } of labels) {
        assert.is(subject_key, subjectKey(String(subject_label)));
    }
});

real("Brave New World keeps its nine author keys and its year 1800 as answered", ({ marts, scienceFiction }) => {
    const books = booksOf(marts, "science_fiction");
    assert.equal([...books.keys()].sort(), scienceFiction.works.map(({ key }) => bare(key)).sort());
    assert.is(books.size, 12);
    const credits = (marts.bridge_authors_books ?? [])
        .filter((row) => row.work_key === "OL64365W")
        .sort((a, b) => Number(a.author_position) - Number(b.author_position));
    const listed = scienceFiction.works.find(({ key }) => key === "/works/OL64365W")?.authors;
    assert.equal(
        credits.map((row) => row.author_key),
        listed?.map(({ key }) => bare(key)),
    );
    assert.is(credits.length, 9);
    assert.ok(credits.every((row) => row.author_count === 9 && row.credit_share === 0.111111));
    // One year is too few to judge it by.
    const book = books.get("OL64365W");
    assert.is(book?.publish_year_raw, 1800);
    assert.is(book?.publish_year, 1800);
});

real("H. G. Wells wrote three of the twelve, in three years out of four", ({ marts }) => {
    const [wells] = (marts.author_productivity ?? []).filter(
        (row) => row.author_key === "OL13066A" && row.subject === "science_fiction",
    );
    assert.is(wells?.works_dated, 3);
    assert.is(wells?.first_year, 1895);
    assert.is(wells?.last_year, 1898);
    assert.is(wells?.avg_books_per_active_year, 1);
    assert.is(wells?.avg_books_per_span_year, 0.75);
});

real("the romance page keeps its 15 documents field by field", ({ marts, romance }) => {
    const books = booksOf(marts, "recorded_romance");
    assert.is(books.size, 15);
    sameDocuments(books, romance);
});

real("one book that is six works stays six works of one author, and is noticed", ({ marts, dragons }) => {
    const books = booksOf(marts, "recorded_dragons");
    assert.is(books.size, 6);
    sameDocuments(books, dragons);
    const [author] = (marts.author_productivity ?? []).filter((row) => row.subject === "recorded_dragons");
    assert.is(author?.author_key, "OL1431557A");
    assert.is(author?.works_total, 6);
    assert.is(author?.active_years, 4);
    assert.is(author?.avg_books_per_active_year, 1.5);
    // T8: all but the translation have the same title once brackets are gone.
    const noticed = marts.data_quality?.find(
        (row) => row.subject === "recorded_dragons" && row.check_name === "work: same author and title as another",
    );
    assert.is(noticed?.affected, 5);
    assert.is(noticed?.total, 6);
});

real("a rated book that courses assign keeps its figures", ({ marts, twitter }) => {
    const books = booksOf(marts, "recorded_tear_gas");
    sameDocuments(books, twitter);
    const book = books.get("OL20057658W");
    assert.is(book?.osp_count, 239);
    assert.is(book?.ratings_count_5, 2);
    assert.is(book?.want_to_read_count, 17);
    assert.is(book?.isbn_count, 8);
    assert.is(book?.edition_year_count, 3);
});

real("an author document keeps its names and dates", ({ marts, kinsella }) => {
    const author = marts.dim_authors?.find((row) => row.author_key === "OL39872A");
    assert.is(author?.author_name, kinsella.name);
    assert.is(author?.personal_name, kinsella.personal_name);
    assert.is(author?.birth_date, "1969");
    assert.is(author?.death_date, "2025");
    assert.is(author?.alternate_names, (kinsella.alternate_names as string[]).join("; "));
    assert.is(author?.record_status, "current");
});

/** Every field of the answer that dim_books shows, and NULL or 0 where the answer has none. */
function sameDocuments(books: ReadonlyMap<string, Row>, answer: SearchAnswer): void {
    for (const doc of answer.docs) {
        const book = books.get(bare(doc.key));
        const list = (value: unknown): string | null => (Array.isArray(value) ? value.join("; ") : null);
        assert.is(book?.title, doc.title === "__None__" ? null : doc.title);
        assert.is(book?.languages, list(doc.language), doc.key);
        assert.is(book?.author_count, new Set(doc.author_key).size);
        assert.is(book?.publish_year_raw, doc.first_publish_year ?? null);
        assert.is(book?.publish_year, doc.first_publish_year ?? null);
        assert.is(book?.year_status, "ok");
        assert.is(book?.isbn_count, Array.isArray(doc.isbn) ? doc.isbn.length : 0);
        assert.is(book?.cover_id, doc.cover_i ?? null);
        for (const same of ["subtitle", "edition_count", "ebook_access", "cover_edition_key", "has_fulltext"]) {
            assert.is(book?.[same], doc[same] ?? null, `${doc.key} ${same}`);
        }
        for (const count of ["ratings_count", "readinglog_count", "want_to_read_count", "already_read_count"]) {
            assert.is(book?.[count], doc[count] ?? 0, `${doc.key} ${count}`);
        }
        assert.is(book?.ratings_average, doc.ratings_average ?? null);
    }
}

test.run();
