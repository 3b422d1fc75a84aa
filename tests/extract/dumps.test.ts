import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Writable } from "node:stream";
import { gzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import * as assert from "uvu/assert";
import { type DumpOptions, extractDump } from "../../extract/dumps/extract-dump.ts";
import { keyOfSql, mentionOf } from "../../extract/dumps/subjects.ts";
import type { Extraction } from "../../extract/extract.ts";
import { Progress } from "../../extract/progress.ts";
import { keyOfLabel } from "../../extract/subject-key.ts";
import { recordedData } from "../recorded.ts";
import { suite } from "../suite.ts";
import { atCleanUp, cleanUp, failsWith } from "./scene.ts";

const test = suite("extract/dumps");

test.after(cleanUp);

type Kind = "works" | "authors" | "editions" | "ratings" | "readingLog";
type Row = Record<string, unknown>;

/** A folder with a landing file and the files of dumps. */
interface Shelf {
    readonly folder: string;
    readonly landing: string;
    /** Writes a file, packed when its name ends in .gz. Returns its path. */
    write(name: string, lines: readonly string[]): string;
    put(name: string, bytes: Buffer | string): string;
    extract(files: Partial<Record<Kind, string>>, options?: Partial<DumpOptions>): Promise<Extraction>;
    rows(sql: string): Promise<Row[]>;
    /** The documents of a run's works. */
    docs(runId: string): Promise<Row[]>;
    said(): string;
}

function openShelf(): Shelf {
    const folder = mkdtempSync(join(tmpdir(), "shelfmark-dumps-"));
    atCleanUp(() => rmSync(folder, { recursive: true }));
    const landing = join(folder, "data", "landing.duckdb");
    let said = "";
    const sink = new Writable({
        write: (chunk, _encoding, done) => {
            said += chunk;
            done();
        },
    });
    const put = (name: string, bytes: Buffer | string): string => {
        writeFileSync(join(folder, name), bytes);
        return join(folder, name);
    };
    const write = (name: string, lines: readonly string[]): string => {
        const text = lines.map((line) => `${line}\n`).join("");
        return put(name, name.endsWith(".gz") ? gzipSync(text) : text);
    };
    const rows = (sql: string): Promise<Row[]> => readRows(landing, sql);
    return {
        folder,
        landing,
        write,
        put,
        rows,
        extract: (files, options = {}) => {
            const works = files.works ?? write("works.txt.gz", [work(1)]);
            const authors = files.authors ?? write("authors.txt.gz", [author(1)]);
            const progress = new Progress(sink);
            return extractDump(
                { ...files, works, authors },
                { landing, subjects: ["science_fiction"], progress, ...options },
            );
        },
        docs: async (runId) => {
            const pages = await rows(
                `select body from openlibrary.search_pages where run_id = '${runId}' order by page_number`,
            );
            return pages.flatMap(({ body }) => JSON.parse(String(body)).docs);
        },
        said: () => said,
    };
}

async function readRows(landing: string, sql: string): Promise<Row[]> {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    try {
        await connection.run(`attach '${landing}' as landing (read_only)`);
        await connection.run("use landing");
        return (await connection.runAndReadAll(sql)).getRowObjectsJson();
    } finally {
        connection.closeSync();
        instance.closeSync();
    }
}

const yesterday = new Date(Date.now() - 86_400_000).toISOString().replace("Z", "000");

/** A line of a dump; members that are undefined are absent. */
function line(type: string, key: string, members: Row): string {
    const document = { type: { key: type }, key, ...members };
    return [type, key, "1", yesterday, pythonJson(document)].join("\t");
}

/** As json.dumps writes it: ASCII, with a space after each comma and colon. */
function pythonJson(value: unknown): string {
    if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
    if (typeof value === "object" && value !== null) {
        const members = Object.entries(value).filter(([, member]) => member !== undefined);
        return `{${members.map(([name, member]) => `${pythonJson(name)}: ${pythonJson(member)}`).join(", ")}}`;
    }
    const text = JSON.stringify(value);
    return text.replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function work(n: number, members: Row = {}): string {
    const authors = [{ type: { key: "/type/author_role" }, author: { key: "/authors/OL1A" } }];
    return line("/type/work", `/works/OL${n}W`, { title: `W${n}`, authors, subjects: ["Science fiction"], ...members });
}

function author(n: number, members: Row = {}): string {
    return line("/type/author", `/authors/OL${n}A`, { name: `A${n}`, ...members });
}

function edition(n: number, workNumber: number | undefined, members: Row = {}): string {
    const works = workNumber === undefined ? undefined : [{ key: `/works/OL${workNumber}W` }];
    return line("/type/edition", `/books/OL${n}M`, { works, ...members });
}

test("lands the works of a subject and their authors as the service would answer", async () => {
    const shelf = openShelf();
    const works = shelf.write("works.txt.gz", [
        work(20, { title: "Schön „neu“ 🚀", subtitle: "S" }),
        work(3, { subjects: ["Cooking"] }),
        work(100, { subjects: ["Cooking", "SCIENCE, fiction"] }),
    ]);
    const authors = shelf.write("authors.txt.gz", [author(2), author(1, { bio: "ä" })]);
    const { runId, status, summary } = await shelf.extract({ works, authors });
    assert.is(status, "complete");
    assert.match(
        summary,
        /^extract science_fiction: complete: 2 works and 1 author documents from works.txt.gz, \d+ s/,
    );
    assert.equal(await shelf.docs(runId), [
        {
            key: "/works/OL100W",
            title: "W100",
            author_key: ["OL1A"],
            author_name: ["A1"],
            subject: ["Cooking", "SCIENCE, fiction"],
        },
        {
            key: "/works/OL20W",
            title: "Schön „neu“ 🚀",
            subtitle: "S",
            author_key: ["OL1A"],
            author_name: ["A1"],
            subject: ["Science fiction"],
        },
    ]);
    const [page] = await shelf.rows("from openlibrary.search_pages");
    assert.is(page?.url, "dump:works.txt.gz");
    assert.is(page?.parameters, '{"offset":0}');
    assert.equal([page?.http_status, page?.subject, page?.num_found, page?.docs], [null, null, "2", 2]);
    const { docs, ...envelope } = JSON.parse(String(page?.body));
    assert.equal(envelope, { numFound: 2, start: 0, numFoundExact: true });
    const [authorPage] = await shelf.rows("from openlibrary.author_pages");
    // The document stands in it byte for byte.
    const document = author(1, { bio: "ä" }).split("\t")[4];
    assert.is(authorPage?.body, `{"status":"ok","result":{"/authors/OL1A":${document}}}`);
    assert.equal([authorPage?.route, authorPage?.http_status, authorPage?.documents], ["get_many", null, 1]);
    assert.equal(
        await shelf.rows(
            "select source, status, works_landed, authors_wanted, authors_landed, pages_landed from openlibrary.extract_runs",
        ),
        [
            {
                source: "dump",
                status: "complete",
                works_landed: "2",
                authors_wanted: "1",
                authors_landed: "1",
                pages_landed: "2",
            },
        ],
    );
    assert.equal(
        await shelf.rows("select subject, status, num_found, works_landed from openlibrary.extract_subjects"),
        [{ subject: "science_fiction", status: "complete", num_found: "2", works_landed: "2" }],
    );
    assert.equal(
        await shelf.rows(
            "select kind, file_name, lines, rows_landed, rows_quarantined from openlibrary.dump_files order by kind",
        ),
        [
            { kind: "authors", file_name: "authors.txt.gz", lines: "2", rows_landed: "1", rows_quarantined: "0" },
            { kind: "works", file_name: "works.txt.gz", lines: "3", rows_landed: "2", rows_quarantined: "0" },
        ],
    );
    assert.equal(readdirSync(join(shelf.folder, "data")), ["landing.duckdb"]);
});

test("lands a work of two subjects once, and with all works a row for all", async () => {
    const shelf = openShelf();
    const works = shelf.write("works.txt.gz", [
        work(1, { subjects: ["Science fiction", "Baking"] }),
        work(2, { subjects: ["Baking"] }),
        work(3, { subjects: undefined }),
    ]);
    const both = await shelf.extract({ works }, { subjects: ["science_fiction", "baking"] });
    assert.equal(await keys(shelf, both.runId), ["/works/OL1W", "/works/OL2W"]);
    const all = await shelf.extract({ works }, { subjects: ["baking"], all: true });
    assert.equal(await keys(shelf, all.runId), ["/works/OL1W", "/works/OL2W", "/works/OL3W"]);
    const subjects = (runId: string): Promise<Row[]> =>
        shelf.rows(
            `select subject, works_landed from openlibrary.extract_subjects where run_id = '${runId}' order by 1`,
        );
    assert.equal(await subjects(both.runId), [
        { subject: "baking", works_landed: "2" },
        { subject: "science_fiction", works_landed: "1" },
    ]);
    assert.equal(await subjects(all.runId), [
        { subject: "*", works_landed: "3" },
        { subject: "baking", works_landed: "2" },
    ]);
});

async function keys(shelf: Shelf, runId: string): Promise<unknown[]> {
    return (await shelf.docs(runId)).map(({ key }) => key);
}

test("cuts the works into pages of a hundred in the order of their keys", async () => {
    const shelf = openShelf();
    const numbers = Array.from({ length: 230 }, (_, n) => 1 + ((n * 97) % 230));
    const works = shelf.write(
        "works.txt.gz",
        numbers.map((n) => work(n, { authors: [{ author: { key: `/authors/OL${n}A` } }] })),
    );
    const authors = shelf.write(
        "authors.txt",
        numbers.map((n) => author(n)),
    );
    const { runId } = await shelf.extract({ works, authors }, { memoryLimit: "100MB" });
    const pages = await shelf.rows("select page_number, docs, parameters from openlibrary.search_pages order by 1");
    assert.equal(pages, [
        { page_number: 1, docs: 100, parameters: '{"offset":0}' },
        { page_number: 2, docs: 100, parameters: '{"offset":100}' },
        { page_number: 3, docs: 30, parameters: '{"offset":200}' },
    ]);
    assert.equal(await keys(shelf, runId), numbers.map((n) => `/works/OL${n}W`).sort());
    const authorPages = await shelf.rows("select body from openlibrary.author_pages order by page_number");
    const documents = authorPages.flatMap(({ body }) => Object.entries<Row>(JSON.parse(String(body)).result));
    assert.equal(
        documents.map(([key]) => key),
        numbers.map((n) => `/authors/OL${n}A`).sort(),
    );
    assert.ok(documents.every(([key, document]) => document.key === key));
});

test("sums up a work's editions, ratings and reading log as the service does", async () => {
    const shelf = openShelf();
    const works = shelf.write("works.txt.gz", [work(1, { title: "", covers: [-1, 7] }), work(2), work(3)]);
    const editions = shelf.write("editions.txt.gz", [
        edition(2, 1, {
            title: "Later",
            publish_date: "May 28, 1999",
            languages: [{ key: "/languages/eng" }, { key: "/languages/fre" }],
            isbn_10: ["0107805405"],
            isbn_13: ["9780107805401"],
            publishers: ["Ace", "[s.n.]"],
            number_of_pages: 100,
            ocaid: "later00ab",
            covers: [9, 7],
        }),
        edition(1, 1, {
            title: "First",
            publish_date: "c1998",
            number_of_pages: "101",
            languages: [{ key: "/languages/eng" }],
        }),
        edition(3, 1, { publish_date: "1950", number_of_pages: 0, covers: [null, -1] }),
        edition(4, 99, { publish_date: "1950" }),
        edition(5, 2, { covers: [11] }),
        edition(6, undefined, { title: "Orphan", subjects: ["Science fiction."], authors: [{ key: "/authors/OL1A" }] }),
        edition(7, undefined, {
            title: "Lost",
            subjects: ["Science fiction"],
            authors: [{ key: "/authors/OL1A" }],
            publish_date: "2001",
        }),
    ]);
    const rating = (n: number, stars: number): string => `/works/OL${n}W\t\\N\t${stars}\t2020-01-01`;
    const shelved = (n: number, shelfName: string): string => `/works/OL${n}W\t/books/OL5M\t${shelfName}\t2020-01-01`;
    const ratings = shelf.write("ratings.txt.gz", [rating(2, 5), rating(2, 5), rating(99, 1), rating(3, 5)]);
    const readingLog = shelf.write("reading-log.txt.gz", [
        shelved(2, "Want to Read"),
        shelved(2, "Already Read"),
        shelved(2, "Want to Read"),
        shelved(99, "Currently Reading"),
    ]);
    const { runId } = await shelf.extract({ works, editions, ratings, readingLog });
    const common = { author_key: ["OL1A"], author_name: ["A1"], subject: ["Science fiction"] };
    const docs = await shelf.docs(runId);
    const sortable = docs.map(({ ratings_sortable }) => ratings_sortable);
    assert.ok(Math.abs(Number(sortable[1]) - 2.6973766) < 1e-6, String(sortable));
    assert.ok(Math.abs(Number(sortable[2]) - 2.4036637) < 1e-6, String(sortable));
    assert.equal(
        docs.map(({ ratings_sortable, ...doc }) => doc),
        [
            {
                key: "/works/OL1W",
                title: "First",
                ...common,
                edition_count: 3,
                first_publish_year: 1950,
                publish_year: [1950, 1999],
                language: ["eng", "fre"],
                isbn: ["0107805405", "9780107805401"],
                publisher: ["Ace", "Sine nomine"],
                number_of_pages_median: 101,
                ia: ["later00ab"],
                cover_i: 7,
                cover_edition_key: "OL2M",
            },
            {
                key: "/works/OL2W",
                title: "W2",
                ...common,
                edition_count: 1,
                cover_i: 11,
                cover_edition_key: "OL5M",
                ...fives(2),
                ...logged,
            },
            { key: "/works/OL3W", title: "W3", ...common, edition_count: 0, ...fives(1) },
            {
                key: "/works/OL7M",
                title: "Lost",
                ...common,
                edition_count: 1,
                first_publish_year: 2001,
                publish_year: [2001],
            },
        ].sort((a, b) => (a.key < b.key ? -1 : 1)),
    );
    assert.equal(await shelf.rows("select kind, lines, rows_landed from openlibrary.dump_files order by kind"), [
        { kind: "authors", lines: "1", rows_landed: "1" },
        { kind: "editions", lines: "7", rows_landed: "5" },
        { kind: "ratings", lines: "4", rows_landed: "3" },
        { kind: "reading_log", lines: "4", rows_landed: "3" },
        { kind: "works", lines: "3", rows_landed: "3" },
    ]);
});

const logged = { readinglog_count: 3, want_to_read_count: 2, currently_reading_count: 0, already_read_count: 1 };

function fives(n: number): Row {
    const none = { ratings_count_1: 0, ratings_count_2: 0, ratings_count_3: 0, ratings_count_4: 0 };
    return { ratings_average: 5, ratings_count: n, ...none, ratings_count_5: n };
}

test("takes a year from an edition's date as the service does", async () => {
    const years: [date: string, year: number | undefined][] = [
        ["May 28, 1999", 1999],
        ["1997", 1997],
        ["[1920?]", 1920],
        ["c1998", undefined],
        ["1998a", undefined],
        ["19--", undefined],
        ["n.d.", undefined],
        ["0000", 0],
        ["Bible 1200", 1200],
        ["8858", 8858],
        ["12345 1999", 1999],
        ["1998_1999 2000", 2000],
        ["2001-02-03", 2001],
        ["©1998", 1998],
        ["é1998 1999", 1999],
        ["1998年", undefined],
        ["昭和1998 2001", 2001],
        ["１９９９", 1999],
        ["١٩٩٨", 1998],
        ["1998 1999", 1998],
        ["Ⅳ1998", undefined],
        ["1998²", undefined],
        ["", undefined],
    ];
    const shelf = openShelf();
    const works = shelf.write(
        "works.txt.gz",
        years.map((_, n) => work(n + 1)),
    );
    const editions = shelf.write(
        "editions.txt.gz",
        years.map(([date], n) => edition(n + 1, n + 1, { publish_date: date })),
    );
    const { runId } = await shelf.extract({ works, editions });
    const found = new Map((await shelf.docs(runId)).map((doc) => [doc.key, doc]));
    assert.equal(
        years.map(([date], n) => [date, found.get(`/works/OL${n + 1}W`)?.first_publish_year]),
        years,
    );
});

test("reads each shape that a work's authors have", async () => {
    const shelf = openShelf();
    const role = { key: "/type/author_role" };
    const shapes: [authors: unknown, keys: string[] | undefined][] = [
        [[{ type: role, author: { key: "/authors/OL1A" } }], ["OL1A"]],
        [[{ type: "/type/author_role", author: { key: "/authors/OL2A" } }], ["OL2A"]],
        [[{ type: role, author: "/authors/OL1A" }], ["OL1A"]],
        [[{ type: role }, { type: role, author: null }, { type: role, author: { key: "/authors/OL2A" } }], ["OL2A"]],
        [
            [
                { author: { key: "/authors/OL2A" } },
                { author: { key: "/authors/OL1A" } },
                { author: { key: "/authors/OL2A" } },
            ],
            ["OL2A", "OL1A", "OL2A"],
        ],
        [[{ author: { key: "/authors/OL99A" } }, { author: { key: "/authors/OL3A" } }], ["OL3A"]],
        [[{ author: { key: "/a/OL1A" } }], ["OL1A"]],
        [[{ type: role }], undefined],
        [[], undefined],
        [null, undefined],
        [undefined, undefined],
        ["/authors/OL1A", undefined],
        [[5, "x", null], undefined],
    ];
    const works = shelf.write(
        "works.txt.gz",
        shapes.map(([authors], n) => work(n + 1, { authors })),
    );
    const authors = shelf.write("authors.txt.gz", [author(1), author(2, { name: undefined }), author(3, { name: "" })]);
    const { runId } = await shelf.extract({ works, authors });
    const found = new Map((await shelf.docs(runId)).map((doc) => [doc.key, doc]));
    assert.equal(
        shapes.map(([shape], n) => [shape, found.get(`/works/OL${n + 1}W`)?.author_key]),
        shapes,
    );
    assert.equal(found.get("/works/OL5W")?.author_name, ["", "A1", ""]);
    const [run] = await shelf.rows("select authors_wanted, authors_landed from openlibrary.extract_runs");
    assert.equal(run, { authors_wanted: "4", authors_landed: "3" });
});

test("puts each line that does not fit into quarantine, with its number", async () => {
    const shelf = openShelf();
    const good = Array.from({ length: 20 }, (_, n) => work(n + 1));
    const [cells, json = ""] = [work(50).split("\t"), work(50).split("\t")[4]];
    const lone = work(60, { title: "x" }).replace('"x"', '"\\ud83d"');
    const bad: [line: string, reason: string][] = [
        ["", "the line has 1 columns, not 5"],
        ["a\tb", "the line has 2 columns, not 5"],
        [[...cells, "more"].join("\t"), "the line has 6 columns, not 5"],
        [line("/type/redirect", "/works/OL51W", {}), 'the type is "/type/redirect", not "/type/work"'],
        [line("/type/work", "/books/OL51M", {}), 'the key is "/books/OL51M"'],
        [work(52).replace(yesterday, "yesterday"), 'the date is "yesterday"'],
        [work(53).replace('"title"', "title"), "the JSON can't be read"],
        [lone, "the JSON can't be read"],
        [
            work(54).replace('"key": "/works/OL54W"', '"key": "/works/OL55W"'),
            'the line\'s key is "/works/OL54W", but its JSON says "/works/OL55W"',
        ],
        [
            work(56).replace('{"type": {"key": "/type/work"}', '{"type": {"key": "/type/list"}'),
            'the line\'s type is "/type/work", but its JSON says "/type/list"',
        ],
        [
            [...cells.slice(0, 4), json.replace(/"key": "\/works\/OL50W", /, "")].join("\t"),
            'the line\'s key is "/works/OL50W", but its JSON says nothing',
        ],
    ];
    const lines: (string | Buffer)[] = good.flatMap((line, n) => [line, ...(bad[n] === undefined ? [] : [bad[n][0]])]);
    // Latin-1 in the third line and in the last.
    const latin = (n: number): Buffer => Buffer.from(work(n, { title: "x" }).replace('"x"', '"\u00e9"'), "latin1");
    lines.splice(2, 0, latin(70));
    lines.push(latin(71));
    const bytes = Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from("\n")]));
    const { runId } = await shelf.extract({ works: shelf.put("works.txt.gz", gzipSync(bytes)) });
    assert.is((await shelf.docs(runId)).length, good.length);
    const rows = await shelf.rows(
        "select source, page_number, position, reason, body from openlibrary.quarantine order by position",
    );
    const numbers = bad.map((_, n) => (n === 0 ? 2 : n * 2 + 3));
    assert.equal(
        rows.filter(({ reason }) => reason !== "the line is not UTF-8"),
        bad.map(([body, reason], n) => ({ source: "works", page_number: null, position: numbers[n], reason, body })),
    );
    assert.equal(
        rows.filter(({ reason }) => reason === "the line is not UTF-8").map(({ position }) => position),
        [3, lines.length],
    );
    assert.equal(
        await shelf.rows(
            "select lines, rows_landed, rows_quarantined from openlibrary.dump_files where kind = 'works'",
        ),
        [{ lines: String(lines.length), rows_landed: String(good.length), rows_quarantined: String(bad.length + 2) }],
    );
});

test("takes gzip files one after the other for one, and a last line without its end", async () => {
    const shelf = openShelf();
    const bytes = Buffer.concat([gzipSync(`${work(1)}\n`), gzipSync(work(2))]);
    const { runId } = await shelf.extract({ works: shelf.put("works.txt.gz", bytes) });
    assert.equal(await keys(shelf, runId), ["/works/OL1W", "/works/OL2W"]);
});

interface Refusal {
    readonly title: string;
    /** Puts the file of works. */
    readonly works: (shelf: Shelf) => string;
    readonly says: RegExp;
}

const many = Array.from({ length: 3_000 }, (_, n) => work(n + 1));
const packed = gzipSync(many.map((line) => `${line}\n`).join(""));
const refusals: Refusal[] = [
    {
        title: "that is not there",
        works: ({ folder }) => join(folder, "nowhere.gz"),
        says: /nowhere\.gz {2}is not there$/,
    },
    { title: "without a byte", works: (shelf) => shelf.put("w.gz", ""), says: /w\.gz {2}is empty: download it again$/ },
    { title: "that packs nothing", works: (shelf) => shelf.put("w.gz", gzipSync("")), says: /w\.gz {2}holds no lines/ },
    ...[10, 100, packed.length >> 1, packed.length - 9, packed.length - 8, packed.length - 4, packed.length - 1].map(
        (bytes): Refusal => ({
            title: `of which ${bytes} bytes are left`,
            works: (shelf) => shelf.put("w.gz", packed.subarray(0, bytes)),
            says: /w\.gz {2}is cut: it ends after [\d,]+ bytes; download it again$/,
        }),
    ),
    {
        title: "with a changed byte",
        works: (shelf) =>
            shelf.put("w.gz", Buffer.from(packed.map((byte, at) => (at === packed.length - 3 ? byte ^ 1 : byte)))),
        says: /w\.gz {2}is damaged: /,
    },
    {
        title: "with something behind its end",
        works: (shelf) => shelf.put("w.gz", Buffer.concat([packed, Buffer.from("<html>and more</html>")])),
        says: /w\.gz {2}holds what is not gzip behind its end/,
    },
    {
        title: "that is an HTML page",
        works: (shelf) => shelf.put("w.gz", "<!DOCTYPE html><html><h1>503</h1></html>"),
        says: /w\.gz {2}is an HTML page, not a dump/,
    },
    {
        title: "that is a packed HTML page",
        works: (shelf) => shelf.put("w.gz", gzipSync("<html>\n<h1>503</h1>\n</html>\n")),
        says: /w\.gz {2}is no dump of works: 3 of 3 lines do not fit: the line has 1 columns, not 5$/,
    },
    {
        title: "of another kind of packing",
        works: (shelf) => shelf.put("w.gz", "PK\u0003\u0004"),
        says: /w\.gz {2}is not gzip/,
    },
    {
        title: "with other columns",
        works: (shelf) => shelf.write("w.gz", ["/works/OL1W\t\\N\t5\t2020-01-01"]),
        says: /w\.gz {2}is no dump of works: 1 of 1 lines do not fit: the line has 4 columns, not 5$/,
    },
    {
        title: "of another type",
        works: (shelf) => shelf.write("w.gz", [author(1)]),
        says: /w\.gz {2}is no dump of works: 1 of 1 lines do not fit: the type is "\/type\/author", not "\/type\/work"$/,
    },
    {
        title: "with a line that is too long",
        works: (shelf) => shelf.write("w.gz", [work(1), work(2, { description: "x".repeat(9_000_000) }), work(3)]),
        says: /w\.gz {2}holds a line that is too long, or what is no text/,
    },
    {
        title: "with a work twice",
        works: (shelf) => shelf.write("w.gz", [work(1), work(2), work(1)]),
        says: /w\.gz {2}has "\/works\/OL1W" more than once/,
    },
    {
        title: "without a work of the subject",
        works: (shelf) => shelf.write("w.gz", [work(1, { subjects: ["Science fiction films"] })]),
        says: /w\.gz {2}has no works of the subject "science_fiction"/,
    },
    {
        title: "whose newest work is old",
        works: (shelf) => shelf.write("ol_dump_works_2099-10-31.txt.gz", [work(1)]),
        says: /2099-10-31\.txt\.gz {2}is stale: its newest work is of \d{4}-\d\d-\d\d, [\d,]+ days before its date; --force lands it/,
    },
    {
        title: "of no date whose newest work is old",
        works: (shelf) => shelf.write("w.gz", [work(1).replace(yesterday, "2020-01-01T00:00:00")]),
        says: /w\.gz {2}is stale: its newest work is of 2020-01-01/,
    },
];
for (const { title, works, says } of refusals) {
    test(`refuses a file ${title}, and lands nothing`, async () => {
        const shelf = openShelf();
        await failsWith(shelf.extract({ works: works(shelf) }), says);
        assert.not(existsSync(shelf.landing));
        assert.not(existsSync(`${shelf.landing}.scratch`));
    });
}

test("refuses a dump of far fewer lines or no newer works than the one before, unless forced", async () => {
    const shelf = openShelf();
    const today = new Date().toISOString().slice(0, 10);
    const before = shelf.write(
        "ol_dump_works_2026-01-31.txt.gz",
        Array.from({ length: 10 }, (_, n) => work(n + 1)),
    );
    await shelf.extract({ works: before }, { force: true });
    const again = shelf.write(
        `ol_dump_works_${today}.txt.gz`,
        Array.from({ length: 9 }, (_, n) => work(n + 1)),
    );
    await failsWith(
        shelf.extract({ works: again }),
        /is stale: its newest work is of [\d-]+, as in ol_dump_works_2026-01-31.txt.gz; --force/,
    );
    const newer = Array.from({ length: 8 }, (_, n) =>
        work(n + 1).replace(yesterday, new Date().toISOString().replace("Z", "")),
    );
    const fewer = shelf.write(`ol_dump_works_${today}.txt.gz`, newer);
    await failsWith(
        shelf.extract({ works: fewer }),
        /has 8 lines, where ol_dump_works_2026-01-31.txt.gz had 10; --force/,
    );
    assert.is((await shelf.rows("from openlibrary.extract_runs")).length, 1);
    await shelf.extract({ works: fewer }, { force: true });
    const [run] = await shelf.rows("select message from openlibrary.extract_runs order by started_at desc limit 1");
    assert.is(run?.message, `${basename(fewer)} has 8 lines, where ol_dump_works_2026-01-31.txt.gz had 10`);
});

test("lands nothing when it is stopped", async () => {
    const shelf = openShelf();
    await shelf.extract({});
    const works = shelf.put("many.txt.gz", packed);
    const stop = new AbortController();
    const progress = new Progress(
        new Writable({
            write: (chunk, _encoding, done) => {
                if (String(chunk).includes("reading authors")) stop.abort(new Error("stopped"));
                done();
            },
        }),
    );
    await failsWith(shelf.extract({ works }, { progress, signal: stop.signal }), "stopped");
    assert.is((await shelf.rows("from openlibrary.extract_runs")).length, 1);
    assert.not(existsSync(`${shelf.landing}.scratch`));
});

test("finds each spelling of a subject's key, and gives labels the keys that the models give them", async () => {
    const spellings: [label: string, key: string][] = [
        ["Science fiction", "science_fiction"],
        ["SCIENCE FICTION", "science_fiction"],
        [" Science, fiction ", "science_fiction"],
        ["Sci;ence: 'fic\"tion", "science_'fiction"],
        ["Science_fiction", "science_fiction"],
        ["Science\nfiction", "sciencefiction"],
        ["R&B / C++ (\\o/)", "rb__c_(o)"],
        ["Čapek, É.", "čapek_é."],
        ["ČAPEK", "čapek"],
        ["Война и мир", "война_и_мир"],
        ["ВОЙНА И МИР", "война_и_мир"],
        ["星雲賞", "星雲賞"],
        ["\u212aelvin", "kelvin"],
        ["Emoji 🚀 books", "emoji_🚀_books"],
        ["nyt:trade=2019-06-02", "nyttrade2019-06-02"],
        ["100% <b>", "100_b"],
    ];
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const macro = readFileSync(join(import.meta.dirname, "..", "..", "macros", "subject_key_of.sql"), "utf8");
    for (const [label, key] of spellings) {
        assert.is(keyOfLabel(label), key);
        const sql = `select ${keyOfSql("$1")} as key, ${macro.replaceAll("{{label}}", "$1")} as model_key,
            regexp_matches($2, $4) as in_ascii, regexp_matches($3, $4) as in_utf8, regexp_matches($5, $4) as in_codes`;
        const codes = [...label].map((char) => {
            return Array.from(
                { length: char.length },
                (_, n) => `\\u${char.charCodeAt(n).toString(16).padStart(4, "0")}`,
            ).join("");
        });
        const values = [
            label,
            pythonJson({ subjects: [label] }),
            JSON.stringify({ subjects: [label] }),
            mentionOf(["other", key]),
            `{"subjects":["${codes.join("")}"]}`,
        ];
        const [found] = (await connection.runAndReadAll(sql, values)).getRowObjectsJson();
        assert.equal(found, { key, model_key: key, in_ascii: true, in_utf8: true, in_codes: true }, label);
    }
    const [other] = (
        await connection.runAndReadAll("select regexp_matches($1, $2) as found", [work(1), mentionOf(["baking"])])
    ).getRowObjectsJson();
    assert.equal(other, { found: false });
    connection.closeSync();
    instance.closeSync();
});

const recorded = recordedData();
const dumps = recorded === undefined ? undefined : join(recorded, "dumps");
if (dumps === undefined) {
    test.skip("lands or quarantines each line of real dumps", "../shared is not there");
    test.skip("lands each author of real dumps as it stands there", "../shared is not there");
} else {
    const file = (name: string): string => {
        const found = readdirSync(dumps).find((entry) => entry.startsWith(name));
        return join(dumps, found ?? name);
    };
    const linesOf = (path: string): string[] => readFileSync(path, "utf8").trimEnd().split("\n");
    test("lands or quarantines each line of real dumps", async () => {
        const shelf = openShelf();
        const files = { works: file("works"), authors: file("authors"), editions: file("editions") };
        const { runId } = await shelf.extract(files, { subjects: [], all: true, force: true });
        const accounts = await shelf.rows(
            "select kind, lines::int as lines, rows_landed::int as landed, rows_quarantined::int as bad from openlibrary.dump_files",
        );
        const works = linesOf(files.works);
        const editions = linesOf(files.editions);
        const byKind = new Map(accounts.map((row) => [row.kind, row]));
        assert.equal(byKind.get("works"), { kind: "works", lines: works.length, landed: works.length, bad: 0 });
        const parsed = works.map((text) => JSON.parse(text.split("\t")[4] ?? ""));
        const workKeys = new Set(parsed.map(({ key }) => key));
        const books = editions.map((text) => JSON.parse(text.split("\t")[4] ?? ""));
        const used = books.filter(({ works: of }) => of === undefined || workKeys.has(of[0].key));
        const orphans = books.filter(({ works: of }) => of === undefined);
        assert.equal(byKind.get("editions"), { kind: "editions", lines: books.length, landed: used.length, bad: 0 });
        const docs = await shelf.docs(runId);
        assert.is(docs.length, works.length + orphans.length);
        const byKey = new Map(docs.map((doc) => [doc.key, doc]));
        for (const record of parsed) {
            assert.is(byKey.get(record.key)?.title, record.title ?? "__None__");
            assert.equal(byKey.get(record.key)?.subject, record.subjects);
        }
        // The years as the service's own expression finds them, in dates that are ASCII.
        for (const { key, publish_date: date = "" } of orphans) {
            const year = /\b(\d{4})\b/.exec(date)?.[1];
            assert.is(byKey.get(key.replace("/books/", "/works/"))?.first_publish_year, year && Number(year), date);
        }
        const [roles] = await readRows(
            shelf.landing,
            `with roles as (
                select unnest(json_extract(split_part(line, chr(9), 5), '$.authors[*].type')) as type
                from read_csv('${files.works}', columns = {'line': 'VARCHAR'}, delim = '', quote = '', escape = '', header = false, auto_detect = false)
            )
            select count(*)::int as roles, (count(*) filter (json_type(type) = 'VARCHAR'))::int as texts from roles`,
        );
        assert.equal(roles, { roles: 1006, texts: 749 });
        const wanted = new Set(
            parsed.flatMap(({ authors = [] }) => authors.map((role: { author: { key: string } }) => role.author.key)),
        );
        for (const { authors = [] } of orphans) for (const { key } of authors) wanted.add(key);
        const [run] = await shelf.rows("select authors_wanted::int as wanted from openlibrary.extract_runs");
        assert.is(run?.wanted, wanted.size);
        const known = linesOf(files.authors).filter((text) => wanted.has(text.split("\t")[1] ?? ""));
        assert.equal(byKind.get("authors"), { kind: "authors", lines: 1000, landed: known.length, bad: 0 });
    });
    test("lands each author of real dumps as it stands there", async () => {
        const given = linesOf(file("authors")).map((text) => JSON.parse(text.split("\t")[4] ?? ""));
        const authors = given.map(({ key }) => ({ author: { key } }));
        const shelf = openShelf();
        const files = { works: shelf.write("works.txt.gz", [work(1, { authors })]), authors: file("authors") };
        await shelf.extract(files, { force: true });
        const [account] = await shelf.rows(
            "select lines::int as lines, rows_landed::int as landed from openlibrary.dump_files where kind = 'authors'",
        );
        assert.equal(account, { lines: 1000, landed: 1000 });
        const pages = await shelf.rows("select body from openlibrary.author_pages order by page_number");
        const landed = pages.flatMap(({ body }) => Object.values(JSON.parse(String(body)).result) as { key: string }[]);
        const byKey = new Map(landed.map((document) => [document.key, document]));
        assert.is(landed.length, 1000);
        for (const document of given) assert.equal(byKey.get(document.key), document);
    });
}

for (const [what, files, message] of [
    [
        "authors",
        { authors: ["authors.txt", [author(1), author(2), author(1)]] },
        /has "\/authors\/OL1A" more than once: it/,
    ],
    [
        "editions",
        { editions: ["editions.txt", [edition(1, 1), edition(2, 1), edition(1, 1), edition(2, 1)]] },
        /has "\/editions\/OL1M" more than once, and 1 others: it is more than one dump/,
    ],
    ["works with lines that end in CR LF", { works: ["works.txt", [`${work(1)}\r`, `${work(2)}\r`]] }, /end in CR LF/],
] as const) {
    test(`refuses ${what === "authors" || what === "editions" ? `${what} that come twice` : what}`, async () => {
        const shelf = openShelf();
        const given = Object.entries(files).map(([kind, [name, lines]]) => [kind, shelf.write(name, lines)]);
        await failsWith(shelf.extract(Object.fromEntries(given)), message);
        assert.not(existsSync(shelf.landing));
    });
}

test("refuses what is no file of the disk, and does not wait for a writer", async () => {
    const shelf = openShelf();
    const works = join(shelf.folder, "pipe");
    execFileSync("mkfifo", [works]);
    await failsWith(shelf.extract({ works }), /is no file of the disk, which is what a dump must be/);
});

test.run();
