import * as assert from "uvu/assert";
import { formatPosition, type Problem } from "../../runner/problem.ts";
import { locate, parseTemplate, type Rendered, render, tagsOf } from "../../runner/template.ts";
import { suite } from "../suite.ts";

const test = suite("template");

function parsed(text: string, path = "models/m.sql") {
    const problems: Problem[] = [];
    return { template: parseTemplate({ path, text }, problems), problems };
}

function rendered(text: string, macros: Record<string, { parameters: string[]; text: string }> = {}): Rendered {
    const { template, problems } = parsed(text);
    assert.equal(problems, []);
    return render(template, {
        isIncremental: false,
        value: (name) => `<${name}>`,
        macro: (name) => {
            const { parameters, text: body } = macros[name] ?? { parameters: [], text: "" };
            return { parameters, template: parsed(body, `macros/${name}.sql`).template };
        },
    });
}

/** Where a piece of rendered text was written. */
function origin(result: Rendered, piece: string): string {
    const place = locate(result, result.text.indexOf(piece));
    assert.ok(place);
    return [place.at, ...place.calls].map(formatPosition).join(" < ");
}

test("reads values and calls as tags, arguments split on top-level commas", () => {
    const { template } = parsed("select {{ref.a}}, {{#f}} x, g(1, 2), 'a, b', [1, 2] {{/f}} from {{source.s.t}}");
    const tags = [...tagsOf(template.parts)];
    assert.equal(
        tags.map((tag) => tag.name),
        ["ref.a", "f", "source.s.t"],
    );
    assert.is(tags[1]?.kind === "call" && tags[1].args.length, 4);
});

test("takes a blank body for no argument", () => {
    const [call] = [...tagsOf(parsed("{{#f}}  {{/f}}").template.parts)];
    assert.is(call?.kind === "call" && call.args.length, 0);
});

test("does not escape what it renders", () => {
    assert.is(rendered("a < b && {{x}}").text, "a < b && <x>");
});

test("renders calls inside of calls", () => {
    const macros = {
        twice: { parameters: ["x"], text: "({{x}}) * 2\n" },
        plus: { parameters: ["a", "b"], text: "{{a}} + {{b}}\n" },
    };
    const text = "select {{#twice}}{{#plus}}n, {{#twice}}m{{/twice}}{{/plus}}{{/twice}} as k";
    assert.is(rendered(text, macros).text, "select (n + (m) * 2) * 2 as k");
});

test("knows the place of every letter: the file's own, an argument's, a macro's with its call", () => {
    const macros = { twice: { parameters: ["x"], text: "-- why\n({{x}}) * two\n" } };
    const result = rendered("select\n    one,\n    {{#twice}}argument{{/twice}} as k\nfrom t", macros);
    assert.is(origin(result, "one"), "models/m.sql:2:5");
    assert.is(origin(result, "argument"), "models/m.sql:3:15");
    assert.is(origin(result, "two"), "macros/twice.sql:2:11 < models/m.sql:3:5");
    assert.is(origin(result, "from t"), "models/m.sql:4:1");
});

test("keeps the places behind a tag on a line of its own, which Mustache removes", () => {
    const macros = { nothing: { parameters: [], text: "" } };
    const result = rendered("a\n  {{! a comment }}\nb\n  {{#nothing}}{{/nothing}}\nc", macros);
    assert.is(origin(result, "b"), "models/m.sql:3:1");
    assert.is(origin(result, "c"), "models/m.sql:5:1");
});

test("counts columns in characters", () => {
    const result = rendered("select '書 Ὅ 🂡' as x, y");
    assert.is(origin(result, "y"), "models/m.sql:1:22");
});

test("ends a fragment that ends in a comment with its line, so that it swallows nothing", () => {
    const macros = { up: { parameters: ["x"], text: "upper({{x}}) -- upper case\n" } };
    assert.is(
        rendered("select {{#up}}title{{/up}} as t, id", macros).text,
        "select upper(title) -- upper case\n as t, id",
    );
    assert.is(
        rendered("select {{#up}}title -- why{{/up}}, id", macros).text,
        "select upper(title -- why\n) -- upper case\n, id",
    );
});

for (const [body, expected] of [
    ["$$a,b(--$$, 'c'", ["$$a,b(--$$", "'c'"]],
    ["$t$a,$$,b$t$, c", ["$t$a,$$,b$t$", "c"]],
    ["e'it\\'s,x', c", ["e'it\\'s,x'", "c"]],
    ["e'a''b\\',c', 'd\\', e", ["e'a''b\\',c'", "'d\\'", "e"]],
    ["'', '''', \",\"", ["''", "''''", '","']],
] as const) {
    test(`splits the arguments ${body} outside of quotes only`, () => {
        const text = `{{#f}}${body}{{/f}}`;
        const [call] = [...tagsOf(parsed(text).template.parts)];
        assert.equal(
            call?.kind === "call" &&
                call.args.map((arg) =>
                    arg.map((part) => part.kind === "text" && text.slice(part.start, part.end)).join(""),
                ),
            expected,
        );
    });
}

test("takes commas and quotes inside of comments for text", () => {
    const [call] = [...tagsOf(parsed("{{#f}}title -- a, b's\n, 'x' /* c, d */{{/f}}").template.parts)];
    assert.is(call?.kind === "call" && call.args.length, 2);
    assert.equal(
        parsed("{{! don't -- here }} select id, {{! see -- note }} {{ref.books}}.id, $$it's --$$ || {{ref.a}}")
            .problems,
        [],
    );
});

for (const [text, message, place] of [
    ["select\n {{ref.a", 'this tag is not closed: "{{ref.a"', "models/m.sql:2:2"],
    ["select {{ref.a\n, {{ref.b}}", 'this tag is not closed: "{{ref.a"', "models/m.sql:1:8"],
    ["select {{#f}}a", 'unclosed section "f"', "models/m.sql:1:8"],
    ["select {{#f}}a{{/g}}", 'section "f" is closed as "g"', "models/m.sql:1:15"],
    ["select {{/f}}", 'unopened section "f"', "models/m.sql:1:8"],
    ["a {{^f}}x{{/f}}", 'an inverted section ("{{^f}}") has no meaning in a model', "models/m.sql:1:3"],
    ["a {{> f}}", 'a partial ("{{>f}}") has no meaning in a model', "models/m.sql:1:3"],
    ["a -- {{ref.a}}", 'a tag inside a SQL comment is still a tag: "{{ref.a}}"', "models/m.sql:1:6"],
    ["/* {{ref.a}} */", 'a tag inside a SQL comment is still a tag: "{{ref.a}}"', "models/m.sql:1:4"],
] as const) {
    test(`rejects ${JSON.stringify(text)}`, () => {
        const [problem, ...more] = parsed(text).problems;
        assert.equal(more, []);
        assert.ok(problem?.message.startsWith(message), problem?.message);
        assert.is(problem?.at && formatPosition(problem.at), place);
    });
}

test("takes two dashes inside quotes for text", () => {
    assert.equal(parsed("select '--', {{ref.a}}").problems, []);
});

test.run();
