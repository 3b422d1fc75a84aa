import * as assert from "uvu/assert";
import { subjectKey } from "../../extract/subject-key.ts";
import { suite } from "../suite.ts";

const test = suite("subject-key");

test("finds the key of a subject as a person types it", () => {
    assert.is(subjectKey(" Science Fiction "), "science_fiction");
    assert.is(subjectKey("Fiction, general"), "fiction_general");
    assert.is(subjectKey("fiction / thrillers"), "fiction__thrillers");
    assert.is(subjectKey("Children's stories (juvenile)"), "children's_stories_(juvenile)");
    assert.is(subjectKey("Научная фантастика"), "научная_фантастика");
});

test("refuses what is not a plain subject", () => {
    assert.throws(() => subjectKey("place:London"), /"place:London" is not a plain subject/);
    assert.throws(() => subjectKey(" ?/ "), /holds nothing that a subject's key is made of/);
});

test.run();
