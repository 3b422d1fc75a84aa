import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { PipelineError } from "../../common/errors.ts";
import { readCatalogue, subjectKey } from "../../demo/catalogue-file.ts";
import { suite } from "../suite.ts";

const test = suite("demo/catalogue-file");

function withFolder(files: Readonly<Record<string, string>>, use: (folder: string) => void): void {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-catalogue-"));
    try {
        for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
        use(folder);
    } finally {
        rmSync(folder, { recursive: true });
    }
}

const work = (key: string, more: object = {}): string => `${JSON.stringify({ key, title: "T", ...more })}\n`;

const author = '{"name":"A","kept":1,"type":{"key":"/type/author"},"key":"/authors/OL1A"}';

test("reads every file of a folder, with comments and blank lines, keeps documents as they are, and sorts by key", () =>
    withFolder(
        {
            "works.ndjson": `// works\n\n${work("/works/OL99W", { subject: ["Tea ", "tea", "Fiction, general"] })}${work("/works/OL1000W")}`,
            "authors.ndjson": author,
            "notes.txt": "not read",
        },
        (folder) => {
            const catalogue = readCatalogue([folder]);
            assert.equal(
                catalogue.works.map((each) => each.key),
                ["/works/OL1000W", "/works/OL99W"],
            );
            assert.is(JSON.stringify(catalogue.documents.get("/authors/OL1A")), author);
            assert.equal([...catalogue.bySubject.subject.keys()], ["tea", "fiction_general"]);
            assert.is(catalogue.bySubject.subject.get("tea")?.length, 1);
        },
    ));

test("names the file, the line and the fault of a bad record", () => {
    const faults: Record<string, RegExp> = {
        "{": /:2 {2}not JSON: /,
        '"text"': /:2 {2}expected an object with a "key"$/,
        '{"key":"/works/OL1W"}': /:2 {2}"title" is missing$/,
        '{"key":"/books/OL1M","title":"T"}': /:2 {2}"key" is "\/books\/OL1M"; expected /,
        [work("/works/OL1W", { edition_count: "3" })]: /:2 {2}"edition_count" is "3"; expected number$/,
        [work("/works/OL1W", { cover_i: null })]: /:2 {2}"cover_i" is null; leave out what is unknown$/,
        [work("/works/OL1W", { ratings_count: null })]: /:2 {2}"ratings_count" is null; leave out what is unknown$/,
        [work("/works/OL2W")]: /:2 {2}"\/works\/OL2W" is in the catalogue twice$/,
        '{"key":"/authors/OL1A","type":{"key":"/type/work"}}': /:2 {2}"type.key" is "\/type\/work"; expected /,
        '{"key":"/authors/OL1A","type":{"key":"/type/redirect"}}': /:2 {2}the redirect "\/authors\/OL1A" has no /,
    };
    for (const [line, pattern] of Object.entries(faults)) {
        withFolder({ "bad.ndjson": work("/works/OL2W", { availability: null }) + line }, (folder) => {
            assert.throws(
                () => readCatalogue([join(folder, "bad.ndjson")]),
                (error: unknown) => {
                    assert.instance(error, PipelineError);
                    assert.match((error as PipelineError).message, pattern);
                    return true;
                },
            );
        });
    }
});

test("says which path holds no catalogue", () =>
    withFolder({}, (folder) => {
        assert.throws(() => readCatalogue([folder]), /holds no .ndjson file$/);
        assert.throws(() => readCatalogue([join(folder, "none.ndjson")]), /no such catalogue file or folder$/);
    }));

test("makes subject keys as Open Library does", () => {
    const examples = {
        "Science fiction": "science_fiction",
        "Fiction, general": "fiction_general",
        " Baking. ": "baking.",
        "fiction / thrillers": "fiction__thrillers",
        "Science-fiction": "science-fiction",
        "Children's literature": "children's_literature",
        "Récits de guerre!": "récits_de_guerre!",
        "Alice (Fictitious character : Carroll)": "alice_(fictitious_character__carroll)",
        "nyt:chapter-books=2010-02-21": "nytchapter-books2010-02-21",
    };
    for (const [label, key] of Object.entries(examples)) assert.is(subjectKey(label), key);
});

test.run();
