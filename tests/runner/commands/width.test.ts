import * as assert from "uvu/assert";
import { widthOf } from "../../../runner/commands/width.ts";
import { suite } from "../../suite.ts";

const test = suite("width");

for (const [text, width] of [
    ["", 0],
    ["Lem, Stanisław", 14],
    ["Война и мир", 11],
    ["Ἰλιάς", 5],
    ["e\u0301te\u0301", 3],
    ["三体", 4],
    ["源氏物語 (tale)", 15],
    ["한국", 4],
    ["ｆｕｌｌ", 8],
    ["𠮷", 2],
    ["😀", 2],
    ["👩‍👩‍👧", 2],
    ["🇩🇪", 2],
    ["❤️", 2],
    ["©", 1],
    ["…", 1],
] as const) {
    test(`"${text}" takes ${width} columns`, () => assert.is(widthOf(text), width));
}

test.run();
