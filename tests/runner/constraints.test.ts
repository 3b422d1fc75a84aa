import * as assert from "uvu/assert";
import { suite } from "../suite.ts";
import { type Toy, toyProject } from "./toy.ts";

const test = suite("constraints");

const parents = "id\n1\n2\n";
const sound = "a,b,parent\n1,1,1\n1,2,2\n2,1,\n";
const properties = `
models:
  - name: m
    constraints:
      - {type: primary_key, columns: [a, b]}
      - {type: check, expression: a + b < 10}
    columns:
      - {name: a}
      - {name: b, constraints: [{type: not_null}, {type: check, expression: b > 0}]}
      - name: parent
        constraints: [{type: foreign_key, to: ref('parents'), to_columns: [id]}]
        data_tests: [{relationships: {to: ref('parents'), field: id}}]
`;

function project(rows: string, yaml = properties): Toy {
    return toyProject({
        "targets/dev.ts": 'export default { folder: "data" };',
        "seeds/parents.csv": parents,
        "seeds/s.csv": rows,
        "models/m.sql": "select a, b, parent from {{ref.s}}",
        "models/_models.yml": yaml,
    });
}

test("holds constraints by tests, and once what is tested too", async () => {
    const toy = project(sound);
    const outcome = await toy.build();
    assert.ok(outcome.ok, toy.said());
    const tests = outcome.results.map(({ node }) => node.name).filter((name) => name.includes("_m_"));
    assert.is(tests.length, 6, tests.join("\n"));
    toy.close();
});

for (const [what, rows] of [
    ["two rows of one primary key", `${sound}1,2,1\n`],
    ["a primary key that is NULL in part", `${sound},3,1\n`],
    ["a row that fails the model's check", `${sound}8,8,1\n`],
    ["a row that fails a column's check", `${sound}5,-1,1\n`],
    ["a foreign key that leads nowhere", `${sound}3,3,7\n`],
] as const) {
    test(`publishes nothing with ${what}`, async () => {
        const toy = project(rows);
        const { ok, publication } = await toy.build();
        assert.equal([ok, publication], [false, undefined], toy.said());
        toy.close();
    });
}

for (const [what, constraint, message] of [
    ["without what it needs", "{type: check}", /expression/],
    ["of an unknown type", "{type: uniqe}", /constraints\.0\.type is "uniqe"; expected "not_null"/],
    [
        "on a column that is not declared",
        "{type: unique, columns: [a, bb]}",
        /_models\.yml:4:19 {2}a constraint names the column "bb", which is not declared\. Did you mean "b"\?/,
    ],
] as const) {
    test(`refuses a constraint ${what}`, async () => {
        const toy = project(
            sound,
            `models:\n  - name: m\n    columns: [{name: a}, {name: b}]\n    constraints: [${constraint}]\n`,
        );
        const said = await toy.build().then(
            () => "it was built",
            (error) => error.message,
        );
        assert.match(said, message);
        toy.close();
    });
}

test.run();
