import { spawnSync } from "node:child_process";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type LineageOptions, showLineage } from "../../../runner/commands/lineage.ts";
import { suite } from "../../suite.ts";
import { toyProject } from "../toy.ts";

const test = suite("lineage-command");

const toy = toyProject({
    "models/_sources.yml": `sources:
  - name: shop
    database: landing
    schema: main
    tables: [{name: sales, columns: [{name: id, data_type: integer}, {name: 'price "net"', data_type: integer}]}]
`,
    "targets/dev.ts": 'export default { folder: "data", attach: { landing: "data/landing.duckdb" } };',
    "models/sales.sql": 'select id, "price ""net""" as net, "price ""net""" * 2 as gross from {{source.shop.sales}}',
    "models/totals.sql":
        "select sum(gross) as total, max(net) + sum(gross) as odd, count(*) as n, 1 as one from {{ref.sales}}",
    "pipeline.config.ts": 'export default { name: "toy", target: "dev", models: { materialized: "table" } };',
});
test.after(() => toy.close());

async function said(name: string, options: Partial<LineageOptions> = {}): Promise<string> {
    const lines: string[] = [];
    await showLineage(
        name,
        { projectDir: toy.folder, direction: "upstream", format: "text", ...options },
        { out: (text) => void lines.push(text), note: (text) => void lines.push(`note: ${text}`) },
    );
    return lines.join("\n");
}

test("prints a tree down to the sources, a branch that comes again only once", async () => {
    assert.is(
        await said("totals"),
        `totals.total
  sales.gross (transformed)
    shop.sales.price "net" (transformed)
totals.odd
  sales.net (transformed)
    shop.sales.price "net" (pass-through)
  sales.gross (transformed), see above
totals.n
  sales.* (transformed)
    shop.sales.* (transformed)
totals.one`,
    );
});

test("takes one column, whatever its capitals, and a source, whose name has a point", async () => {
    assert.is(await said("sales.ID"), "sales.id\n  shop.sales.id (pass-through)");
    assert.is(await said("shop.sales.id", { direction: "downstream" }), "shop.sales.id\n  sales.id (pass-through)");
    assert.is(
        await said('shop.sales.price "net"', { direction: "downstream" }),
        `shop.sales.price "net"
  sales.net (pass-through)
    totals.odd (transformed)
  sales.gross (transformed)
    totals.total (transformed)
    totals.odd (transformed)`,
    );
});

test("prints the edges as JSON", async () => {
    assert.equal(JSON.parse(await said("totals.total", { format: "json" })), [
        { node: "totals", column: "total", parent: "sales", parentColumn: "gross", kind: "transformed" },
        { node: "sales", column: "gross", parent: "shop.sales", parentColumn: 'price "net"', kind: "transformed" },
    ]);
});

test("prints a flowchart for Mermaid, with names that mean nothing to it", async () => {
    assert.is(
        await said("sales.net", { format: "mermaid" }),
        `flowchart LR
    c0["sales.net"]
    c1["shop.sales.price #34;net#34;"]
    c1 --> c0`,
    );
    assert.match(await said("totals.n", { format: "mermaid" }), /c1 -\.-> c0/);
});

for (const [name, message] of [
    ["totls.total", 'no model, seed or source is called "totls". Did you mean "totals"?'],
    ["totls", 'no model, seed or source is called "totls". Did you mean "totals"?'],
    ["totals.totl", '"totals" has no column "totl". Did you mean "total"?'],
] as const) {
    test(`refuses ${name} with 2`, () => {
        const root = join(import.meta.dirname, "..", "..", "..");
        const args = ["--import", "tsx", "runner/cli.ts", "lineage", name, "--project-dir", toy.folder];
        const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", cwd: root });
        assert.equal([status, stdout, stderr], [2, "", `${message}\n`]);
    });
}

test.run();
