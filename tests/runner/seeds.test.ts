import * as assert from "uvu/assert";
import { ProjectError } from "../../runner/problem.ts";
import { suite } from "../suite.ts";
import { toyProject } from "./toy.ts";

const test = suite("seeds");

/** The seed "books" as it is published, with the types of its columns, or what was said against it. */
async function load(csv: string, config = ""): Promise<{ rows: unknown[]; types: string } | readonly string[]> {
    const toy = toyProject({
        "seeds/books.csv": csv,
        "seeds/_seeds.yml": `seeds: [{name: books, config: {${config}}}]`,
    });
    try {
        await toy.build();
        const types = await toy.rows("select column_name as name, column_type as type from (describe books)");
        return {
            rows: (await toy.rows("from books")).map(Object.values),
            types: types.map(({ name, type }) => `${name} ${type}`).join(", "),
        };
    } catch (error) {
        if (!(error instanceof ProjectError)) throw error;
        return error.message.split("\n").filter((line) => !/^ +(\d* )?\|/.test(line) && !/^ +\d+ \|/.test(line));
    } finally {
        toy.close();
    }
}

const two = [
    ["1", "a"],
    ["2", "b"],
];
for (const [what, csv, rows, types = "id BIGINT, name VARCHAR", config = ""] of [
    ["a plain file", "id,name\n1,a\n2,b\n", two],
    ["a file without a last line end", "id,name\n1,a\n2,b", two],
    ["line ends of Windows", "id,name\r\n1,a\r\n2,b\r\n", two],
    ["a byte order mark", "\uFEFFid,name\n1,a\n2,b\n", two],
    ["empty lines between rows", "id,name\n1,a\n\n2,b\n\n", two],
    ["spaces around the names", "id, name\n1,a\n2,b\n", two],
    [
        "rows that start with #",
        "id,name\n#1,a\n#2,b\n",
        [
            ["#1", "a"],
            ["#2", "b"],
        ],
        "id VARCHAR, name VARCHAR",
    ],
    ["a header that starts with #", "#id,name\n1,a\n2,b\n", two, "#id BIGINT, name VARCHAR"],
    ["a header that looks like the rows", "a,b\nc,d\n", [["c", "d"]], "a VARCHAR, b VARCHAR"],
    ["a header of numbers", "1,2\n3,4\n", [["3", "4"]], "1 BIGINT, 2 BIGINT"],
    [
        "commas, line ends and quotes in quotes",
        'id,name\n1,"a,b"\n2,"c\nd"\n3,"say ""hi"""\n4,5" disc\n',
        [
            ["1", "a,b"],
            ["2", "c\nd"],
            ["3", 'say "hi"'],
            ["4", '5" disc'],
        ],
    ],
    ["a line end in the header", '"id\nx",name\n1,a\n', [["1", "a"]], "id\nx BIGINT, name VARCHAR"],
    ["a header and nothing else", "id,name\n", [], "id VARCHAR, name VARCHAR"],
    ["a header without a line end", "id,name", [], "id VARCHAR, name VARCHAR"],
    ["a header of given types", "id,name\n", [], "id INTEGER, name VARCHAR", "column_types: {ID: integer}"],
    [
        "no values",
        "id,name\n,\n1,\n",
        [
            [null, null],
            ["1", null],
        ],
    ],
    ["one column with no value", 'id\n1\n""\n2\n', [["1"], [null], ["2"]], "id BIGINT"],
    ["semicolons", "id;name\n1;a,b\n", [["1", "a,b"]], undefined, "delimiter: ';'"],
    ["tabs", "id\tname\n1\ta\n", [["1", "a"]], undefined, "delimiter: '\\t'"],
    [
        "types given in another case",
        "id,name\n007,a\n",
        [["007", "a"]],
        "id VARCHAR, name VARCHAR",
        "column_types: {ID: varchar}",
    ],
    [
        "a value that shows its type after 30,000 rows",
        `id,name\n${"1,a\n".repeat(30_000)}x,b\n`,
        [...Array(30_000).fill(["1", "a"]), ["x", "b"]],
        "id VARCHAR, name VARCHAR",
    ],
] as [string, string, unknown[], string?, string?][]) {
    test(`reads ${what}`, async () => {
        assert.equal(await load(csv, config), { rows, types });
    });
}

const names = "the first line names 2 columns (id, name)";
for (const [what, csv, said, config] of [
    ["an empty file", "", ["1:1  the file is empty; its first line must name the columns"]],
    ["a file of a line end", "\n", ["1:1  the file is empty; its first line must name the columns"]],
    ["an empty first line", "\nid,name\n1,a\n", ["1:1  the first line is empty; it must name the columns"]],
    ["a column without a name", "id,,name\n1,2,3\n", ["1:4  column 2 has no name"]],
    ["a column twice", "id,name,id\n1,a,2\n", ['1:9  there are two columns "id": name one of them otherwise']],
    [
        "a column in two cases",
        "id,name,ID\n1,a,2\n",
        ['1:9  there are two columns "ID" (SQL takes "id" for the same): name one of them otherwise'],
    ],
    [
        "a header with fewer columns than the rows",
        "id,name\n1,a,x\n2,b,y\n",
        [`2:5  3 fields, but ${names}`, `3:5  3 fields, but ${names}`],
    ],
    ["a row with fewer fields", "id,name\n1,a\n2\n3,c\n", [`3:1  1 field, but ${names}`]],
    ["a row behind a quoted line end", 'id,name\r\n1,"a\r\nb"\r\n2\r\n', [`4:1  1 field, but ${names}`]],
    ["a comment", "id,name\n1,a\n# two\n", [`3:1  1 field, but ${names}. A CSV file has no comments`]],
    [
        "a note above the header",
        "Books of 2024\nid,name\n1,a\n",
        [
            "2:4  2 fields, but the first line names 1 column (Books of 2024)",
            "3:3  2 fields, but the first line names 1 column (Books of 2024)",
        ],
    ],
    [
        "many wrong rows",
        `id,name\n${"1\n".repeat(9)}`,
        [...[2, 3, 4, 5, 6].map((n) => `${n}:1  1 field, but ${names}`), "7:1  and 4 more from here on"],
    ],
    [
        "semicolons read as commas",
        "id;name\n1;a\n",
        ['1:1  the header is one column "id;name": set the seed\'s delimiter to ";", or put the name in quotes'],
    ],
    ["an open quote", 'id,name\n1,"a\n2,b\n', ["2:3  this quote is never closed"]],
    [
        "text behind a quote",
        'id,name\n1,"a"b\n',
        ['2:6  there is text after the closing quote: a quote inside a quoted field is written ""'],
    ],
    [
        "two kinds of line ends",
        "id,name\n1,a\r\n2,b\n",
        ["2:1  this line ends in \\r\\n, the first in \\n; end all alike"],
    ],
    [
        "an empty line in one column",
        "id\n1\n\n2\n",
        ['3:1  an empty line in a file of one column: write "" for no value'],
    ],
    [
        "a type for an unknown column",
        "id,name\n1,a\n",
        ['seeds/_seeds.yml:1:32  column_types names a column "nmae" that "books" has not. Did you mean "name"?'],
        "column_types: {nmae: varchar}",
    ],
    [
        "an unknown type",
        "id,name\n1,a\n",
        ['seeds/_seeds.yml:1:32  unknown type "intger". Did you mean "integer"?'],
        "column_types: {id: intger}",
    ],
    [
        "a value that is not of its type",
        'id,name\n1,"a\nb"\nabc,c\n',
        [
            '4:1  error when converting column "id". Could not convert string "abc" to \'INTEGER\'. Mend it, or give the column another column_types',
        ],
        "column_types: {id: integer}",
    ],
    [
        "a delimiter that is none",
        "id,name\n",
        ['1:1  the delimiter of "books" is ""; expected "," or another character'],
        "delimiter: ''",
    ],
] as [string, string, string[], string?][]) {
    test(`refuses ${what}`, async () => {
        assert.equal(
            await load(csv, config),
            said.map((line) => (line.startsWith("seeds/") ? line : `seeds/books.csv:${line}`)),
        );
    });
}

test.run();
