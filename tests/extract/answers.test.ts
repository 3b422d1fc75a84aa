import * as assert from "uvu/assert";
import { readAuthor, readAuthors, readWorks } from "../../extract/answers.ts";
import { BadAnswer } from "../../extract/client.ts";
import { suite } from "../suite.ts";

const test = suite("answers");

test("finds the works and their authors in a page", () => {
    const docs = [
        {
            ...{ key: "/works/OL2W", title: "B", subject: ["Dogs", "In Berlin"] },
            ...{ author_key: ["OL1A", "OL1A", "OL2A", "OL3A"], author_name: ["One", " One ", null] },
        },
        { key: "/works/OL3M", author_key: ["OL1A", "OL3A"], author_name: ["Uno", "Three"] },
        { key: "/works/OL4W" },
    ];
    assert.equal(readWorks({ numFound: 7, numFoundExact: true, start: 0, docs }), {
        numFound: 7,
        docs: 3,
        works: [
            { key: "/works/OL2W", labels: ["Dogs", "In Berlin"] },
            { key: "/works/OL3M", labels: [] },
            { key: "/works/OL4W", labels: [] },
        ],
        authors: new Map([
            ["/authors/OL1A", ["One", "Uno"]],
            ["/authors/OL2A", []],
            ["/authors/OL3A", ["Three"]],
        ]),
        misfits: [],
    });
});

for (const [what, json] of [
    ["a failing search engine", { numFound: null, docs: [] }],
    ["an error", { detail: "Not Found" }],
    ["a list", []],
    ["a count below 0", { numFound: -1, docs: [] }],
] as const) {
    test(`takes ${what} for a bad answer`, () => {
        assert.throws(
            () => readWorks(json),
            (error: unknown) => error instanceof BadAnswer,
        );
    });
}

test("tells what does not fit, and still knows the key", () => {
    const docs = [
        { key: "/works/OL1W", title: 5 },
        { key: "/books/OL2M", title: "an edition" },
        { key: "/works/OL3W", publish_year: 1999 },
        { title: "nobody" },
    ];
    const { works, misfits } = readWorks({ numFound: 4, docs });
    assert.equal(
        works.map(({ key }) => key),
        ["/works/OL1W", "/works/OL3W"],
    );
    assert.equal(
        misfits.map(({ position, reason }) => `${position} ${reason}`),
        [
            "0 title is 5, not string",
            '1 key is "/books/OL2M", not /^\\/works\\/OL\\d+[WM]$/',
            "2 publish_year is 1999, not Array",
            "3 key is missing",
        ],
    );
});

test("finds a lone surrogate wherever it is, and leaves pairs alone", () => {
    const page = (text: string) => ({ numFound: 1, docs: [{ key: "/works/OL1W", subject: [{ deep: text }] }] });
    assert.is(readWorks(page("\ud83d\ude00")).misfits.length, 0);
    assert.is(readWorks(page("\ud83d")).misfits.length, 1);
    assert.is(readWorks(page("\ude00\ud83d")).misfits.length, 1);
});

test("takes the place where an author lives for no redirect", () => {
    const author = { key: "/authors/OL1A", type: { key: "/type/author" }, location: "London" };
    assert.equal(readAuthor(author), { documents: [{ key: "/authors/OL1A", name: "" }], misfits: [] });
    const result = { a: { ...author, type: { key: "/type/redirect" }, location: "/authors/OL2A" } };
    assert.equal(readAuthors({ status: "ok", result }).documents, [
        { key: "/authors/OL1A", location: "/authors/OL2A" },
    ]);
});

test("takes a failure told with status 200 for a bad answer", () => {
    assert.throws(() => readAuthors({ status: "fail", message: "x" }), /status is "fail", not "ok"/);
    assert.throws(() => readAuthor("x"), /not with a document/);
});

test.run();
