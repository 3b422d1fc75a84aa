// What a query's columns are made of: as text, and by changing one column of what it reads and looking at what changes.
import * as assert from "uvu/assert";
import { check } from "../../runner/check.ts";
import { compile } from "../../runner/compile.ts";
import { Database } from "../../runner/duckdb.ts";
import { type Edge, farEnd, lineageOf, traceLineage, walk, walkable } from "../../runner/lineage.ts";
import { loadProject } from "../../runner/load.ts";
import { openSources } from "../../runner/open.ts";
import { serializeQueries } from "../../runner/syntax.ts";
import { suite } from "../suite.ts";
import { toyProject } from "./toy.ts";

const test = suite("lineage");

/** What the cases read as @t, @u, @v and @W. Conditions are on id and kind only, unless a case says so. */
const relations = {
    t: `select * from (values
        (1, 10, 100, {'x': 1, 'y': 5}, [1, 2], 'one', '{"k": 1}'),
        (2, 20, 200, {'x': 2, 'y': 4}, [3], 'two', '{"k": 2}'),
        (3, 30, 300, {'x': 3, 'y': 3}, [4, 5], 'three', '{"k": 3}')
    ) as x(id, a, b, s, l, n, j)`,
    u: "select * from (values (1, 7, 70, 'p'), (2, 8, 80, 'q'), (4, 9, 90, 'q')) as x(id, c, d, kind)",
    v: "select * from (values (1, 11, 1), (3, 33, 2)) as x(id, a, k)",
    W: `select * from (values (1, 5, {'x': 1, 't': 9})) as x("Id", "Big Name", t)`,
};

/**
 * The query; its columns, each with the columns that it is made of (~ where they are transformed); the columns that
 * decide which rows there are, or that must keep their type of value, and are therefore left as they are.
 */
type Case = readonly [sql: string, expected: string, rows?: string];

const all = "~t.* ~t.id ~t.a ~t.b ~t.s ~t.l ~t.n ~t.j";

const cases: Readonly<Record<string, Case>> = {
    "columns, renamed or not": ["select id, a as z, t.b from @t as t", "id: t.id; z: t.a; b: t.b"],
    expressions: [
        "select a + b as x, a::varchar as y, coalesce(a, b) as z, -a as m, 1 as one from @t",
        "x: ~t.a ~t.b; y: ~t.a; z: ~t.a ~t.b; m: ~t.a; one:",
    ],
    "unnamed expressions": ["select a + 1, count(*) over () from @t", "(a + 1): ~t.a; count() OVER (): ~t.*"],
    case: [
        "select case when a > 15 then b else id end as x, case n when 'one' then 1 end as y from @t",
        "x: ~t.a ~t.b ~t.id; y: ~t.n",
    ],
    "where decides on rows": ["select a from @t where id > 1", "a: t.a"],
    "having and qualify decide on rows": [
        "select id, max(a) as m from @t group by id having count(*) > 0 qualify row_number() over (order by id) < 3",
        "id: t.id; m: ~t.a",
    ],
    star: ["select * from @v", "id: v.id; a: v.a; k: v.k"],
    "star of one table": [
        "select v.*, t.b from @v as v join @t as t on v.id = t.id",
        "id: v.id; a: v.a; k: v.k; b: t.b",
    ],
    "star of everything": ["select * exclude (a) from @v cross join (select c from @u)", "id: v.id; k: v.k; c: u.c"],
    "star exclude, replace, rename": ["select * exclude (k) replace (a + 1 as a) from @v", "id: v.id; a: ~v.a"],
    "star rename": ["select * rename (k as key) from @v", "id: v.id; a: v.a; key: v.k"],
    "star exclude of one table": [
        "select * exclude (t.a, b, s, l, n, j) from @t as t join @v as v using (id)",
        "id: t.id; a: v.a; k: v.k",
    ],
    "columns(*)": ["select columns(*) from @v", "id: v.id; a: v.a; k: v.k"],
    "an expression over columns(*)": ["select max(columns(*)) from @v", "id: ~v.id; a: ~v.a; k: ~v.k"],
    "columns by a pattern": ["select columns('a|k') from @v", "a: ~v.id ~v.a ~v.k; k: ~v.id ~v.a ~v.k"],
    "columns by a lambda": ["select columns(c -> c like 'k%') from @v", "k: ~v.id ~v.a ~v.k"],
    "columns as arguments": ["select coalesce(*columns(* exclude (id))) as x from @v", "x: ~v.a ~v.k"],
    "star like": ["select * like 'a%' from @v", "a: ~v.id ~v.a ~v.k"],
    from: ["from @v", "id: v.id; a: v.a; k: v.k"],
    "quoted and case-insensitive names": [
        `select ID as one, w."big name", W."Big Name" + 1 as "Two Words" from @W as w`,
        "one: W.Id; Big Name: W.Big Name; Two Words: ~W.Big Name",
    ],
    "a qualified table": ["select main.v.a, v.k from @v", "a: v.a; k: v.k"],
    "aliases of columns": ["select p, q, k from @v as x(p, q)", "p: v.id; q: v.a; k: v.k"],
    "earlier aliases": [
        "select a + 1 as z, z * 2 as y, y as x, y + b as w from @t",
        "z: ~t.a; y: ~t.a; x: ~t.a; w: ~t.a ~t.b",
    ],
    "an alias of a column": ["select a as z, z as y from @t", "z: t.a; y: t.a"],
    "a column before an alias of its name": ["select a as b, b as c from @t", "b: t.a; c: t.b"],
    "a table before an alias of its name": ["select 5 as v, v as r from @v as v", "v:; r: ~v.id ~v.a ~v.k"],
    "fields of a struct": [
        "select s.x, t.s.y, main.t.s.x as z, (s).x as w, s['y'] as q from @t",
        "x: ~t.s; y: ~t.s; z: ~t.s; w: ~t.s; q: ~t.s",
    ],
    "a table before a struct of its name": [
        "select t.x, t.t from @W as w cross join (select id as x, 1 as t from @v) as t",
        "x: v.id; t:",
    ],
    "a struct where no table is of its name": ["select t.x from @W as w", "x: ~W.t"],
    "all fields of a struct": ["select s.*, a from @t", "x: ~t.s ~t.a; y: ~t.s ~t.a; a: ~t.s ~t.a"],
    methods: ["select n.upper() as x, t.n.lower().trim() as y from @t as t", "x: ~t.n; y: ~t.n"],
    "a row as a struct": ["select v from @v as v", "v: ~v.id ~v.a ~v.k"],
    "common table expressions": [
        "with x as (select a as p, b from @t), y as (select p + 1 as q, b from x) select q, b from y",
        "q: ~t.a; b: t.b",
    ],
    "nested and shadowing expressions": [
        `with x as (select a from @t),
              y as (with x as (select c as a from @u) select a from x)
         select x.a as p, y.a as q, (with x as (select max(k) as a from @v) select a from x) as r from x cross join y`,
        "p: t.a; q: u.c; r: ~v.k",
    ],
    "an expression of a table's name": ["with v as (select a + 1 as k from @v) select k from v", "k: ~v.a"],
    "columns of an expression renamed": ["with x(p, q) as (select a, b from @t) select q, p from x", "q: t.b; p: t.a"],
    recursive: [
        `with recursive r(id, start, total, n) as (
            select id, a, a, 1 from @t
            union all
            select id, start, total + 1, n + 1 from r where n < 3
         ) select id, start, total, n from r`,
        "id: t.id; start: t.a; total: ~t.a; n:",
    ],
    "recursive, through another column": [
        `with recursive r(n, p, q) as (
            select 1, a, b from @t union all select r.n + 1, r.q, u.c from r join @u as u on u.id = r.n where r.n < 4
         ) select p, q from r`,
        "p: t.a t.b u.c; q: t.b u.c",
    ],
    subqueries: ["select x.p, q from (select a as p, b + 1 as q from @t) as x", "p: t.a; q: ~t.b"],
    "columns of a subquery renamed": ["select p, b from (select a, b from @t) as x(p)", "p: t.a; b: t.b"],
    "an unnamed column of a subquery": [
        `select "max(a)" as m, id from (select id, max(a) from @t group by id)`,
        "m: ~t.a; id: t.id",
    ],
    "a repeated name in a subquery": ["select a_1 as x from (select a, b as a from @t)", "x: t.b"],
    "a scalar subquery": ["select id, (select max(c) from @u) as m from @t", "id: t.id; m: ~u.c"],
    "a correlated subquery": [
        "select (select max(c) from @u as u where u.id = t.id) as m, (select t.b + max(d) from @u) as n from @t as t",
        "m: ~u.c ~u.id ~t.id; n: ~t.b ~u.d",
    ],
    "a subquery that reads an alias": ["select a as z, (select z + 1) as y from @t", "z: t.a; y: ~t.a"],
    exists: [
        "select exists (select 1 from @u as u where u.id = t.id) as x, exists (from @u) as y from @t as t",
        "x: ~u.id ~t.id; y: ~u.*",
    ],
    "in and any": [
        "select a in (select c from @u where d > 75) as x, b = any (select d from @u) as y from @t",
        "x: ~t.a ~u.d ~u.c; y: ~t.b ~u.d",
    ],
    "a subquery as a list": ["select array(select c from @u order by d) as x from @t", "x: ~u.c ~u.d"],
    "an inner join": [
        "select t.a, c, v.k from @t as t join @u as u on t.id = u.id join @v as v on v.id = t.id",
        "a: t.a; c: u.c; k: v.k",
    ],
    "a left join": ["select t.id, c from @t as t left join @u as u on t.id = u.id", "id: t.id; c: u.c"],
    "join using": ["select id, c from @t join @u using (id)", "id: t.id; c: u.c"],
    "right join using": ["select id, b from @t right join @u using (id)", "id: u.id; b: t.b"],
    "full join using": [
        "select id, v.id as w, k from @v as v full join @u using (id)",
        "id: ~v.id ~u.id; w: v.id; k: v.k",
    ],
    "star of a join using": [
        "select * from @v join @u using (id)",
        "id: v.id; a: v.a; k: v.k; c: u.c; d: u.d; kind: u.kind",
    ],
    "a natural join": [
        "select * from @v natural join (select id, b, d from @t join @u using (id))",
        "id: v.id; a: v.a; k: v.k; b: t.b; d: u.d",
    ],
    "a cross join": ["select a, c from @v, @u", "a: v.a; c: u.c"],
    "a lateral join": [
        "select t.a, x.y from @t as t, lateral (select t.b + max(c) as y from @u) as x",
        "a: t.a; y: ~t.b ~u.c",
    ],
    "lateral without the word": ["select y, z from @v as v, (select v.a as y, v.k + 1 as z) as x", "y: v.a; z: ~v.k"],
    "a semi join": ["select * from @v semi join @u using (id)", "id: v.id; a: v.a; k: v.k"],
    "an anti join": ["select id, a from @v as v anti join @u as u on v.id = u.id", "id: v.id; a: v.a"],
    "an asof join": ["select v.a, u.c from @v as v asof join @u as u on v.id >= u.id", "a: v.a; c: u.c"],
    "a positional join": ["select v.a, u.c from @v as v positional join @u as u", "a: v.a; c: u.c"],
    union: ["select a from @t union all select c from @u", "a: t.a u.c"],
    "a union with a constant": ["select id, a from @t union all select 0, c from @u", "id: ~t.id; a: t.a u.c"],
    "a union that casts": ["select a as x from @t union all select c / 2 from @u", "x: ~t.a ~u.c"],
    "a union by position": ["select id, a from @v union all select c, d from @u", "id: v.id u.c; a: v.a u.d"],
    "a union by name": [
        "select id, a from @v union all by name select c as a, d as id, kind from @u",
        "id: v.id u.d; a: v.a u.c; kind: u.kind",
    ],
    "three unions of distinct rows": [
        "select a from @t union select c from @u union select k from @v",
        "a: t.a u.c v.k",
    ],
    except: ["select id from @t except select id from @u", "id: t.id"],
    intersect: ["select id from @t intersect select id from @u", "id: t.id"],
    aggregates: [
        "select sum(a) as s, count(b) as n, array_agg(a order by b) as l, sum(a) filter (where b > 150) as f from @t",
        "s: ~t.a; n: ~t.b; l: ~t.a ~t.b; f: ~t.a ~t.b",
    ],
    "counts of rows": [
        "select count(*) as n, count() as m, count(1) as k, sum(1) as s, max('x') as x from @t join @u using (id)",
        "n: ~t.* ~u.*; m: ~t.* ~u.*; k: ~t.* ~u.*; s: ~t.* ~u.*; x: ~t.* ~u.*",
    ],
    "counts of some rows": ["select count(*) filter (where a > 15) as n from @t", "n: ~t.a ~t.*"],
    "counts of an expression's rows": [
        "with x as (select 1 as one from @t where id in (select id from @u)) select count(*) as n, count(one) as m from x",
        "n: ~t.* ~u.*; m: ~t.* ~u.*",
    ],
    "counts of distinct rows, groups and unnested values": [
        `select (select count(*) from (select distinct a from @t)) as d, (select count(*) from (select n from @t group by n)) as g,
            (select count(*) from (select c from @u union select k from @v)) as u, (select count(*) from @t, unnest(l)) as e,
            (select count(*) from (select id, unnest(l) as e, generate_subscripts(l, 1) as p from @t)) as s`,
        "d: ~t.* ~t.a; g: ~t.* ~t.n; u: ~u.* ~u.c ~v.* ~v.k; e: ~t.* ~t.l; s: ~t.* ~t.l",
    ],
    windows: [
        `select row_number() over (order by id) as i, row_number() over () as r, lag(a, 1, b) over w as p,
            count(*) over (partition by n) as c, sum(a) filter (where id > 1) over (w rows 1 preceding) as f
         from @t window w as (partition by id order by b)`,
        "i: ~t.id; r: ~t.*; p: ~t.a ~t.b ~t.id; c: ~t.n ~t.*; f: ~t.a ~t.id ~t.b",
    ],
    "rank in another order": ["select rank() over (order by a desc) as r from @t", "r: ~t.a"],
    unnest: ["select id, e from @t cross join unnest(l) as x(e)", "id: t.id; e: ~t.l"],
    "unnest with its place": ["select e, p from @t, unnest(l) with ordinality as x(e, p)", "e: ~t.l; p: ~t.l"],
    "unnest with its place unnamed": [
        "select ordinality as p, unnest as e from @t, unnest(t.l) with ordinality",
        "p: ~t.l; e: ~t.l",
    ],
    "fields of unnested structs": [
        "select x.e.p as p, e.q as q, x.e as e from @t cross join unnest([{'p': a, 'q': b}]) as x(e)",
        "p: ~t.a ~t.b; q: ~t.a ~t.b; e: ~t.a ~t.b",
    ],
    "select unnest": ["select id, unnest(l) as e from @t", "id: t.id; e: ~t.l"],
    "select unnest of a struct": ["select unnest(s) from @t", `x: ${all}; y: ${all}`],
    "a name out of an unnested struct": [
        "with z as (select unnest(s), a from @t) select y, a from z",
        "y: ~t.s; a: t.a",
    ],
    "table functions": [
        "select i, a + g as x from @v cross join range(2) as r(i), generate_series(1, v.k) as s(g)",
        "i:; x: ~v.a ~v.k",
        "v.k",
    ],
    "a table function of several columns": [
        "select e.key, e.value as x from @t as t, json_each(t.j) as e",
        "key: ~t.j; x: ~t.j",
        "t.j",
    ],
    values: ["select p, q from (values (1, 'x'), (2, 'y')) as x(p, q)", "p:; q:"],
    "values of columns": [
        "select x.p, x.q from @t as t, (values (t.a, t.b), (t.b, 0)) as x(p, q)",
        "p: t.a t.b; q: ~t.b",
    ],
    pivot: [
        "select * from (select id, kind, c from @u) pivot (sum(c) for kind in ('p', 'q'))",
        "id: u.id; p: ~u.c ~u.kind; q: ~u.c ~u.kind",
        "u.kind",
    ],
    "pivot with groups": [
        "select id, p_n as x from @u pivot (sum(c) as s, count(d) as n for kind in ('p', 'q') group by id)",
        "id: u.id; x: ~u.c ~u.d ~u.kind",
        "u.kind",
    ],
    "a pivot statement": [
        "pivot @u on kind in ('p', 'q') using max(d) group by id",
        "id: u.id; p: ~u.d ~u.kind; q: ~u.d ~u.kind",
        "u.kind",
    ],
    unpivot: [
        "select id, name, value from @v unpivot (value for name in (a, k))",
        "id: v.id; name:; value: v.a v.k",
        "v.a v.k",
    ],
    "unpivot of a star": [
        "unpivot @v on columns(* exclude (id)) into name n value x",
        "id: v.id; n:; x: v.a v.k",
        "v.a v.k",
    ],
    "unpivot of pairs": [
        "select n, p, q from @u unpivot ((p, q) for n in ((c, d), (d, c)))",
        "n:; p: u.c u.d; q: u.d u.c",
        "u.c u.d",
    ],
    lambdas: [
        "select list_transform(l, e -> e + a) as x, [e * id for e in l if e > b] as y, list_reduce(l, (p, q) -> p + q) as z from @t",
        "x: ~t.l ~t.a; y: ~t.l ~t.b ~t.id; z: ~t.l",
        "t.l",
    ],
    "a lambda's parameter of a column's name": ["select list_transform(l, lambda a: a + 1) as x from @t", "x: ~t.l"],
    "the arrow of JSON": ["select j -> 'k' as x, coalesce(j ->> 'k', n) as y from @t", "x: ~t.j; y: ~t.j ~t.n", "t.j"],
    "structs and maps": [
        "select {'p': a, 'q': b}.p as x, struct_pack(z := a) as y, map {n: b} as m from @t",
        "x: ~t.a ~t.b; y: ~t.a; m: ~t.n ~t.b",
    ],
    "functions of nothing": ["select current_date as d, pi() as p, id from @t", "d:; p:; id: t.id"],
    "distinct, order by, limit": ["select distinct on (id) id, a from @t order by id limit 2", "id: t.id; a: t.a"],
    summarize: ["select column_name as n from (describe @v)", "n: ~v.* ~v.id ~v.a ~v.k"],
    "the number of a row": ["select rowid as r, a from @v", "r: ~v.* ~v.id ~v.a ~v.k; a: v.a"],
    "an ephemeral model": ["select p, q, one from @e join @u using (id)", "p: e.p; q: e.q; one: e.one"],
};

const models = Object.keys(cases).map((title, i) => ({ title, name: `case_${i}` }));

async function traced() {
    const written = (sql: string): string => sql.replace(/@(\w)/g, "{{ref.$1}}");
    const own = models.map(({ title, name }): [string, string] => [
        `models/${name}.sql`,
        written(cases[title]?.[0] ?? ""),
    ]);
    const toy = toyProject({
        ...Object.fromEntries(Object.entries(relations).map(([name, sql]) => [`models/${name}.sql`, sql])),
        "models/e.sql": written("with x as (select id, a as p, b + 1 as q from @t) select *, 1 as one from x"),
        "models/_models.yml": "models: [{name: e, config: {materialized: ephemeral}}]",
        ...Object.fromEntries(own),
    });
    try {
        const { project, graph } = await loadProject({ projectDir: toy.folder });
        const compiled = compile(project, graph);
        const database = await openSources(project, {});
        const columns = await check(database, project, { graph, compiled, names: project.nodes.keys() });
        const edges = await traceLineage(database, project, { graph, compiled, columns, names: columns.keys() });
        database.close();
        return { project, graph, compiled, columns, edges };
    } finally {
        toy.close();
    }
}

const scene = await traced();

function shown(node: string, { columns, edges }: Pick<typeof scene, "columns" | "edges"> = scene): string {
    const origins = (column: string): string =>
        edges
            .filter((edge) => edge.node === node && edge.column === column)
            .map((edge) => ` ${edge.kind === "transformed" ? "~" : ""}${edge.parent}.${edge.parentColumn}`)
            .join("");
    return (columns.get(node) ?? []).map(({ name }) => `${name}:${origins(name)}`).join("; ");
}

function sorted(text: string): string {
    return text
        .split("; ")
        .map((column) => {
            const [name, ...origins] = column.split(/ (?=~?[a-zA-Z]+\.)/);
            return [name, ...origins.sort()].join(" ");
        })
        .join("; ");
}

for (const { title, name } of models) {
    test(`tells what it is made of: ${title}`, () => {
        assert.is(sorted(shown(name)), sorted(cases[title]?.[1] ?? ""));
    });
}

test("goes through an ephemeral model", () => {
    assert.is(shown("e"), "id: t.id; p: t.a; q: ~t.b; one:");
});

test("says everything where the query's columns are not those that were bound", async () => {
    const { project, graph, compiled } = scene;
    const name = models[0]?.name ?? "";
    const database = await Database.open();
    const serialized = await serializeQueries(database, new Map([[name, compiled.get(name)?.text ?? ""]]));
    database.close();
    const columns = new Map(scene.columns).set(name, [{ name: "other", type: "INTEGER" }]);
    assert.is(
        sorted(shown(name, { columns, edges: lineageOf(project, graph, { serialized, columns }) })),
        sorted(`other: ${all}`),
    );
});

test("walks up nearest first, through renamed columns and rows to the sources", () => {
    const edge = (from: string, to: string): Edge => {
        const [[parent = "", parentColumn = ""], [node = "", column = ""]] = [from.split("."), to.split(".")];
        return { node, column, parent, parentColumn, kind: "pass-through" };
    };
    const edges = [edge("a.x", "b.y"), edge("b.y", "c.z"), edge("a.x", "c.z"), edge("b.*", "c.n"), edge("c.z", "d.z")];
    const graph = { order: [], parents: new Map([["b", ["a"]]]), children: new Map() };
    const lineage = walkable(graph, edges);
    const walked = (start: string, direction: "upstream" | "downstream"): string[] => {
        const [node = "", column = ""] = start.split(".");
        return walk(lineage, { node, column }, direction)
            .map((step) => farEnd(step, direction))
            .map((end) => `${end.node}.${end.column}`);
    };
    assert.equal(walked("c.z", "upstream"), ["b.y", "a.x", "a.x"]);
    assert.equal(walked("c.n", "upstream"), ["b.*", "a.*"]);
    assert.equal(walked("a.x", "downstream"), ["b.y", "c.z", "c.z", "d.z"]);
    assert.equal(walked("d.z", "downstream"), []);
});

/** Other values of the same type: in the other order, and of another size. */
const changes: Readonly<Record<string, string>> = {
    INTEGER: "-3 * # - 1",
    "INTEGER[]": "list_reverse([-3 * e - 1 for e in #])",
    "STRUCT(x INTEGER, y INTEGER)": "{'x': -3 * #.x - 1, 'y': 7 * #.y}",
    "STRUCT(x INTEGER, t INTEGER)": "{'x': -3 * #.x - 1, 't': 7 * #.t}",
    VARCHAR: "reverse(#) || '!'",
};

test("changes nothing but what is said to be made of the column that changes", async () => {
    const database = await Database.open({ threads: "1" });
    const { compiled, columns, edges } = scene;
    const rows = await Promise.all(
        Object.entries(relations).map(async ([name, sql]) => {
            await database.run(`create schema if not exists kept`);
            await database.run(`create table kept."${name}" as ${sql}`);
            await database.run(`create table main."${name}" as from kept."${name}"`);
            return name;
        }),
    );
    const results = async (sql: string): Promise<string[]> => {
        const table = await database.table(sql);
        return table.columns.map(({ name }) =>
            JSON.stringify(table.rows.map((row) => JSON.stringify(row[name])).sort()),
        );
    };
    let seen = 0;
    for (const { title, name } of models) {
        const sql = compiled.get(name)?.text ?? "";
        const before = await results(sql);
        for (const relation of rows.filter((relation) => new RegExp(`main\\.${relation}\\b`).test(sql))) {
            for (const { name: column, type } of columns.get(relation) ?? []) {
                const kept = ["id", "Id", ...(cases[title]?.[2] ?? "").split(" ")];
                if (kept.includes(column) || kept.includes(`${relation}.${column}`)) continue;
                const quoted = `"${column}"`;
                for (const change of [
                    (changes[type] ?? "").replaceAll("#", quoted),
                    ...(type === "INTEGER" ? ["null"] : []),
                ]) {
                    await database.run(`update main."${relation}" set ${quoted} = ${change}`);
                    const after = await results(sql);
                    await database.run(`drop table main."${relation}"`);
                    await database.run(`create table main."${relation}" as from kept."${relation}"`);
                    for (const [i, { name: output }] of (columns.get(name) ?? []).entries()) {
                        if (after[i] === before[i]) continue;
                        seen++;
                        const said = upstreamOf({ node: name, column: output }, edges);
                        assert.ok(
                            said.has(`${relation}.${column}`) || said.has(`${relation}.*`),
                            `${title}: ${output} changes with ${relation}.${column}`,
                        );
                    }
                }
            }
        }
    }
    database.close();
    assert.ok(seen > 150, `${seen} changes were seen`);
});

function upstreamOf(ref: { node: string; column: string }, edges: readonly Edge[]): Set<string> {
    const steps = walk(walkable(scene.graph, edges), ref, "upstream");
    return new Set(steps.map((edge) => farEnd(edge, "upstream")).map(({ node, column }) => `${node}.${column}`));
}

test.run();
