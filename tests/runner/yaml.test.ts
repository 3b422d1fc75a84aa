import * as assert from "uvu/assert";
import { formatPosition, type Problem } from "../../runner/problem.ts";
import { readYaml } from "../../runner/yaml.ts";
import { suite } from "../suite.ts";

const test = suite("yaml");

/** `message` with its place, or the data. */
function read(text: string): unknown {
    const problems: Problem[] = [];
    const yaml = readYaml({ path: "models/a.yml", text }, problems);
    if (problems.length === 0) return yaml?.data;
    assert.is(yaml, undefined);
    return problems.map(({ message, at }) => `${at === undefined ? "" : formatPosition(at)}  ${message}`).join("\n");
}

const ten = (name: string): string => `[${Array(10).fill(`*${name}`).join(", ")}]`;

for (const [what, text, message] of [
    ["an alias of nothing", "a: 1\nb: *x\n", `models/a.yml:2:4  no anchor "&x" stands before "*x"`],
    ["an alias before its anchor", "b: *x\na: &x 1\n", `models/a.yml:1:4  no anchor "&x" stands before "*x"`],
    [
        "an alias inside of itself",
        "a: &x\n  - 1\n  - *x\n",
        `models/a.yml:3:5  "*x" stands inside of what it is to repeat`,
    ],
    ["a merge key of no map", "a: &x 1\nb:\n  <<: *x\n", "models/a.yml:1:1  merge sources must be maps or map aliases"],
    [
        "aliases of aliases without end",
        `a: &a [1]\nb: &b ${ten("a")}\nc: &c ${ten("b")}\nd: &d ${ten("c")}\n`,
        "models/a.yml:1:1  excessive alias count indicates a resource exhaustion attack",
    ],
    ["two documents", "a: 1\n---\nb: 2\n", `models/a.yml:2:1  "---" begins another document: a file has one`],
    ["a text", "# who\njust text\n", `models/a.yml:2:1  the file is "just text"; expected keys with values`],
    ["a list", "\n- a\n", "models/a.yml:2:1  the file is a list; expected keys with values"],
    [
        "a missing bracket",
        "a: [1\n",
        "models/a.yml:2:1  flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
] as const) {
    test(`says where ${what} stands`, () => {
        assert.is(read(text), message);
    });
}

test("takes aliases and merge keys", () => {
    assert.equal(read("a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n"), { a: { b: 1 }, c: { b: 1 }, d: { b: 1, e: 2 } });
});

test("takes a file of nothing, or of comments, for nothing", () => {
    for (const text of ["", "# later\n", "---\n", "null\n"]) assert.is(read(text), undefined);
});

test.run();
