import { spawnSync } from "node:child_process";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type ShowOptions, show } from "../../../runner/commands/show.ts";
import { suite } from "../../suite.ts";
import { toyProject } from "../toy.ts";

const test = suite("show");
const toy = toyProject({ "models/one.sql": "select 1 as one" });
test.before(async () => void (await toy.build()));
test.after(() => toy.close());

async function shown(inline: string, output: ShowOptions["output"], limit = -1): Promise<string> {
    let text = "";
    const out = (line: string): void => void (text += `${line}\n`);
    await show({ projectDir: toy.folder, inline, output, limit }, { out, note: out });
    return text;
}

test("shows 200,000 rows as a table", async () => {
    const lines = (await shown("select i from range(200000) as r(i)", "table")).split("\n");
    assert.is(lines.length, 200_003);
    assert.is(lines.at(-2), "199999");
});

test("ends CSV with one line end", async () => {
    assert.is(await shown("select i, null as nothing from range(2) as r(i)", "csv"), "i,nothing\n0,\n1,\n");
    assert.is(await shown("select null as nothing", "csv"), "nothing\n\n");
});

const numbers = `
    select 0.123456789012345678::decimal(38, 18) as fine, 1.50::decimal(9, 2) as price, 100::decimal(9, 0) as round,
        9007199254740993 as big, 170141183460469231731687303715884105727::hugeint as huge, 42::bigint as small,
        0.0000001::decimal(9, 7) as tiny, 0.1::double as double, -5 as minus`;

test("keeps numbers that JavaScript can't hold as text in JSON", async () => {
    assert.equal(JSON.parse(await shown(numbers, "json")), [
        {
            fine: "0.123456789012345678",
            price: 1.5,
            round: 100,
            big: "9007199254740993",
            huge: "170141183460469231731687303715884105727",
            small: 42,
            tiny: "0.0000001",
            double: 0.1,
            minus: -5,
        },
    ]);
});

test("writes every digit of a number to CSV", async () => {
    const [, values] = (await shown(numbers, "csv")).split("\n");
    assert.is(
        values,
        "0.123456789012345678,1.5,100,9007199254740993,170141183460469231731687303715884105727,42,0.0000001,0.1,-5",
    );
});

test("aligns columns behind wide characters and marks", async () => {
    assert.is(
        await shown("from (values ('三体', 1), ('e\u0301te\u0301', 22), ('😀', 3)) as t(title, n)", "table"),
        "title   n\n-----  --\n三体    1\ne\u0301te\u0301    22\n😀      3\n",
    );
});

for (const limit of ["abc", "1.5", "", "1e3", "99999999999999999999"]) {
    test(`refuses --limit "${limit}"`, () => {
        const cli = join(import.meta.dirname, "..", "..", "..", "runner", "cli.ts");
        const args = ["--import", "tsx", cli, "show", "-s", "one", "--limit", limit, "--project-dir", toy.folder];
        const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
        assert.match(stderr, `argument '${limit}' is invalid. expected a number of rows.\n`);
        assert.is(status, 2);
    });
}

test.run();
