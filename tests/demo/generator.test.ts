import * as assert from "uvu/assert";
import { type AuthorDocument, type CatalogueRecord, catalogueOf, type Work } from "../../demo/catalogue-file.ts";
import { rates } from "../../demo/generator/rates.ts";
import { corporateName, foreignName, personName } from "../../demo/generator/words.ts";
import { generate } from "../../demo/generator.ts";
import { suite } from "../suite.ts";

const test = suite("demo/generator");

const records = [...generate({ works: 20_000, seed: 7 })];
const catalogue = catalogueOf(records);
const { works, documents } = catalogue;

const lines = (some: Iterable<CatalogueRecord>): string[] => [...some].map((record) => JSON.stringify(record));
const share = (count: number, of: number = works.length): number => count / of;
const shareOf = (holds: (work: Work) => boolean): number => share(works.filter(holds).length);

/** Fails unless `actual` is within a fifth of `expected`, or within four standard deviations for rare things. */
function near(actual: number, expected: number, message: string): void {
    const tolerance = Math.max(expected * 0.2, 4 * Math.sqrt(expected / works.length));
    assert.ok(Math.abs(actual - expected) <= tolerance, `${message}: ${actual} is not near ${expected}`);
}

/** How many keys each author name has among the works. */
function keysByName(): Map<string, Set<string>> {
    const keys = new Map<string, Set<string>>();
    for (const { author_key = [], author_name = [] } of works) {
        author_name.forEach((name, i) => {
            keys.set(name, (keys.get(name) ?? new Set()).add(author_key[i] ?? ""));
        });
    }
    return keys;
}

test("makes the same records of the same seed, and the first of them when there are fewer", () => {
    const some = lines(generate({ works: 500, seed: 3 }));
    assert.equal(lines(generate({ works: 500, seed: 3 })), some);
    const fewer = lines(generate({ works: 100, seed: 3 }));
    assert.equal(some.slice(0, fewer.length), fewer);
    assert.is.not(lines(generate({ works: 100, seed: 4 })).join(), fewer.join());
});

test("carries the subject on every work, under keys that Open Library has not given out", () => {
    assert.is(works.length, 20_000);
    assert.is(catalogue.bySubject.subject.get("science_fiction")?.length, 20_000);
    for (const key of [...catalogue.workOf.keys(), ...documents.keys()]) assert.match(key, /\/OL99\d{7}[WMA]$/);
    const baking = [...generate({ works: 10, subject: "baking" })].filter((record) => "title" in record);
    assert.ok(baking.every((work) => /baking/i.test(String(work.subject))));
    assert.throws(() => [...generate({ works: 1, subject: "Science Fiction" })], /expected a subject key/);
});

test("gives different people different names", () => {
    for (const nameOf of [personName, foreignName, corporateName]) {
        const names = new Set(Array.from({ length: 9000 }, (_, n) => nameOf(n)));
        assert.is(names.size, 9000, nameOf.name);
    }
});

test("keeps to the measured proportions of dirt", () => {
    near(
        shareOf((work) => work.author_key === undefined),
        rates.withoutAuthor,
        "without author",
    );
    near(
        shareOf((work) => work.first_publish_year === undefined),
        rates.withoutYear + rates.noEdition,
        "without year",
    );
    near(
        shareOf((work) => work.edition_count === 1),
        rates.oneEdition + (1 - rates.oneEdition) * (rates.orphanEdition + rates.duplicate),
        "one edition",
    );
    near(
        shareOf((work) => work.key.endsWith("M")),
        rates.orphanEdition,
        "orphan editions",
    );
    const absurd = new Set([0, 1000, 1200, 8858]);
    near(
        shareOf((work) => absurd.has(work.first_publish_year ?? 1)),
        rates.absurdYear,
        "absurd years",
    );
    const names = keysByName();
    near(
        share([...names.values()].filter((keys) => keys.size > 1).length, names.size),
        rates.severalKeys,
        "names with several keys",
    );
    const titles = new Set(works.map((work) => `${work.title.toLowerCase()}|${work.author_key}`));
    near(share(works.length - titles.size), rates.duplicate, "duplicates");
    for (const type of ["redirect", "delete"] as const) {
        const count = [...documents.values()].filter((document) => document.type.key === `/type/${type}`).length;
        const expected = type === "delete" ? rates.deleted : rates.redirected * (1 + rates.redirectChain);
        near(share(count, documents.size), expected, type);
    }
});

test("holds every kind of dirt", () => {
    const some = (holds: (work: Work) => boolean): boolean => works.some(holds);
    assert.ok(some((work) => work.title === "__None__"));
    assert.ok(some((work) => work.edition_count === 0));
    assert.ok(some((work) => work.author_name?.includes("") === true));
    assert.ok(some((work) => work.author_name?.includes("Anonymous") === true));
    assert.ok(some((work) => new Set(work.author_name).size < (work.author_name?.length ?? 0)));
    for (const pattern of [/"/, /\n/, /\p{Script=Han}/u, /\p{Script=Cyrillic}/u, /\u0300/]) {
        assert.ok(
            some((work) => pattern.test(work.title)),
            String(pattern),
        );
    }
    assert.ok(some((work) => [1390, 1800, 1889].includes(work.first_publish_year ?? 0)));
    assert.ok(catalogue.bySubject.subject.has("science-fiction"));
    const redirects = [...documents.values()].filter((document) => document.location !== undefined);
    const target = (document: AuthorDocument): string | undefined => documents.get(document.location ?? "")?.type.key;
    assert.ok(redirects.every((document) => target(document) !== undefined));
    assert.ok(redirects.some((document) => target(document) === "/type/redirect"));
    const cited = new Set(works.flatMap((work) => work.author_key ?? []).map((olid) => `/authors/${olid}`));
    assert.ok([...cited].some((key) => !documents.has(key)));
    assert.ok([...cited].some((key) => documents.get(key)?.type.key === "/type/delete"));
    assert.ok([...cited].some((key) => documents.get(key)?.type.key === "/type/redirect"));
});

test("lets most authors write one book and a few dozens, in their own time", () => {
    const books = new Map<string, number>();
    for (const key of works.flatMap((work) => work.author_key ?? [])) books.set(key, (books.get(key) ?? 0) + 1);
    const counts = [...books.values()];
    assert.ok(share(counts.filter((count) => count === 1).length, counts.length) > 0.65);
    assert.ok(counts.filter((count) => count >= 24).length >= 5);
    assert.ok(Math.max(...counts) < 200);
    const years = works.flatMap((work) => work.first_publish_year ?? []);
    assert.ok(share(years.filter((year) => year >= 1950 && year <= 2020).length, years.length) > 0.6);
});

test("keeps numbers true to one another", () => {
    for (const work of works) {
        const years = work.publish_year;
        assert.is(years === undefined ? undefined : Math.min(...years), work.first_publish_year);
        assert.is(work.author_key?.length, work.author_name?.length);
        assert.ok((years?.length ?? 0) <= Number(work.edition_count));
        for (const isbn of (work.isbn as string[] | undefined) ?? []) assert.ok(isValidIsbn(isbn), isbn);
        const stars = [1, 2, 3, 4, 5].map((n) => Number(work[`ratings_count_${n}`] ?? 0));
        assert.is(
            stars.reduce((a, b) => a + b, 0),
            work.ratings_count ?? 0,
        );
    }
});

function isValidIsbn(isbn: string): boolean {
    const digits = [...isbn].map((digit) => (digit === "X" ? 10 : Number(digit)));
    const weighted = digits.reduce(
        (sum, digit, i) => sum + digit * (isbn.length === 10 ? 10 - i : i % 2 === 0 ? 1 : 3),
        0,
    );
    return weighted % (isbn.length === 10 ? 11 : 10) === 0;
}

test.run();
