/**
 * Where a value comes from: columns of relations (`originOf`), and whether it is the very same value as theirs, or NULL
 * where an outer join or a union by name has none; then each of its rows has it from one of them.
 */
export interface Value {
    readonly origins: ReadonlySet<string>;
    readonly same: boolean;
}

/** A query's columns in their order. `name` is in lower case, and absent where DuckDB makes it up from the expression. */
export interface Outputs {
    readonly columns: readonly { readonly name: string | undefined; readonly value: Value }[];
    /** Set when there are columns whose number and names the text does not tell: what any of them may be made of. */
    readonly rest: Value | undefined;
}

/** A relation that a query may read, and its columns as they were bound. */
export interface Readable {
    readonly node: string;
    readonly columns: readonly string[];
}

/** `column` may be "*": which rows there are. */
export function originOf(node: string, column: string): string {
    return `${node}\0${column}`;
}

export function splitOrigin(origin: string): { node: string; column: string } {
    const [node = "", column = ""] = origin.split("\0");
    return { node, column };
}

/**
 * What each output column of a query is made of. `tree` is DuckDB's serialized syntax tree, `readable` are the relations
 * by their names in lower case, `landing.openlibrary.search_pages`. What only decides which rows there are (where, joins,
 * group by) does not count; within an expression (case, filter, window, subquery) it does. What can't be told apart is
 * everything that it could be.
 */
export function outputsOf(tree: unknown, readable: ReadonlyMap<string, Readable>): Outputs {
    return queryTable(asTree(tree), { readable, expressions: new Map() }, undefined);
}

type Tree = Readonly<Record<string, unknown>>;
type Column = Outputs["columns"][number];

interface Table extends Outputs {
    /** What makes the rows: "*" of each relation that is read, and the columns of which each value makes one. */
    readonly rows: ReadonlySet<string>;
    /** What is compared to find the rows, the query's own and that of subqueries in its FROM. */
    readonly conditions: ReadonlySet<string>;
}

/** A table under the name by which columns are called: [alias], or [catalog, schema, table]. */
interface Relation extends Table {
    readonly path: readonly string[];
}

interface From {
    readonly relations: readonly Relation[];
    /** What `*` means. */
    readonly star: readonly (Column & { readonly relation: Relation | undefined })[];
    /** The columns of USING, which two relations have in common. */
    readonly merged: ReadonlyMap<string, Value>;
    readonly rows: ReadonlySet<string>;
    readonly conditions: ReadonlySet<string>;
}

interface Env {
    readonly readable: ReadonlyMap<string, Readable>;
    /** The common table expressions in sight. */
    readonly expressions: ReadonlyMap<string, () => Table>;
}

/** What names mean in an expression. */
interface Scope {
    readonly env: Env;
    readonly from: From;
    /** Columns of the same SELECT that stand before the expression. */
    readonly aliases: ReadonlyMap<string, Value>;
    /** Parameters of the lambdas around it. */
    readonly params?: ReadonlySet<string>;
    /** Which of the columns `columns(*)` is now. */
    readonly at?: number;
    readonly outer: Scope | undefined;
}

/** What an expression was found to be made of, and what decides on the rows of its subqueries. */
interface Found {
    readonly origins: Set<string>;
    readonly rows: Set<string>;
}

const none: ReadonlySet<string> = new Set();
const nothing: Value = { origins: none, same: false };
const emptyFrom: From = { relations: [], star: [], merged: new Map(), rows: none, conditions: none };

function isTree(value: unknown): value is Tree {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function asTree(value: unknown): Tree {
    return isTree(value) ? value : {};
}

function asList(value: unknown): readonly unknown[] {
    return Array.isArray(value) ? value : [];
}

function trees(value: unknown): readonly Tree[] {
    return asList(value).filter(isTree);
}

/** A name as names are compared. */
function asName(value: unknown): string {
    return typeof value === "string" ? value.toLowerCase() : "";
}

function names(value: unknown): string[] {
    return asList(value).map(asName);
}

function union(...sets: readonly (ReadonlySet<string> | undefined)[]): ReadonlySet<string> {
    const filled = sets.filter((set): set is ReadonlySet<string> => set !== undefined && set.size > 0);
    return filled.length < 2 ? (filled[0] ?? none) : new Set(filled.flatMap((set) => [...set]));
}

function changed(...origins: readonly (ReadonlySet<string> | undefined)[]): Value {
    return { origins: union(...origins), same: false };
}

/** A value that is one of these. */
function either(values: readonly Value[]): Value {
    return {
        origins: union(...values.map((value) => value.origins)),
        same: values.length > 0 && values.every((value) => value.same),
    };
}

/** Everything that any column of a table may be made of. */
function anyOf({ columns, rest }: Outputs): ReadonlySet<string> {
    return union(...columns.map((column) => column.value.origins), rest?.origins);
}

function tableOf(columns: readonly Column[], facts: Partial<Table> = {}): Table {
    return { columns: numbered(columns), rest: undefined, rows: none, conditions: none, ...facts };
}

/** A table of which only this much is known. */
function openTable(origins: ReadonlySet<string>, { rows = none, conditions = none }: Partial<Table> = {}): Table {
    return { columns: [], rest: changed(origins), rows, conditions };
}

/** DuckDB calls the second column a of a subquery a_1. */
function numbered(columns: readonly Column[]): readonly Column[] {
    const taken = new Set<string>();
    return columns.map((column) => {
        if (column.name === undefined) return column;
        let name = column.name;
        for (let i = 1; taken.has(name); i++) name = `${column.name}_${i}`;
        taken.add(name);
        return name === column.name ? column : { ...column, name };
    });
}

function renamed(columns: readonly Column[], aliases: readonly string[]): readonly Column[] {
    return columns.map((column, i) => ({ ...column, name: aliases[i] ?? column.name }));
}

function queryTable(node: Tree, env: Env, outer: Scope | undefined): Table {
    const inner = withExpressions(node, env, outer);
    switch (node.type) {
        case "SELECT_NODE":
            return selectTable(node, inner, outer);
        case "SET_OPERATION_NODE": {
            const [left, right] = [node.left, node.right].map((side) => queryTable(asTree(side), inner, outer));
            return left === undefined || right === undefined ? unknownTable(node, inner) : combine(node, left, right);
        }
        case "RECURSIVE_CTE_NODE":
            return recursiveTable(node, inner, outer);
        default:
            return unknownTable(node, inner);
    }
}

function withExpressions(node: Tree, env: Env, outer: Scope | undefined): Env {
    let inner = env;
    for (const { key, value } of trees(asTree(node.cte_map).map)) {
        // Each sees those before it.
        const before = inner;
        let table: Table | undefined;
        const evaluate = (): Table => {
            if (table !== undefined) return table;
            const { query, aliases } = asTree(value);
            const plain = queryTable(asTree(asTree(query).node), before, outer);
            table = { ...plain, columns: renamed(plain.columns, names(aliases)) };
            return table;
        };
        inner = { ...env, expressions: new Map(before.expressions).set(asName(key), evaluate) };
    }
    return inner;
}

/** The columns may come from everything that is read in it, and from which rows that has. */
function unknownTable(tree: Tree, env: Env): Table {
    const tables = tablesIn(tree, env);
    const rows = union(...tables.map((table) => table.rows));
    return openTable(union(rows, ...tables.map(anyOf)), { rows });
}

function tablesIn(value: unknown, env: Env): readonly Table[] {
    if (Array.isArray(value)) return value.flatMap((item) => tablesIn(item, env));
    if (!isTree(value)) return [];
    if (value.type === "BASE_TABLE") return [baseTable(value, env)];
    return Object.values(value).flatMap((item) => tablesIn(item, env));
}

function selectTable(node: Tree, env: Env, outer: Scope | undefined): Table {
    const from = fromOf(asTree(node.from_table), env, outer);
    const aliases = new Map<string, Value>();
    const scope: Scope = { env, from, aliases, outer };
    const columns: Column[] = [];
    const open: ReadonlySet<string>[] = [];
    for (const item of trees(node.select_list)) {
        const found = itemColumns(item, scope);
        columns.push(...found.columns);
        if (found.rest !== undefined) open.push(found.rest.origins);
        const alias = asName(item.alias);
        if (alias !== "") aliases.set(alias, found.rest ?? either(found.columns.map((column) => column.value)));
    }
    const compared = collectAll([node.where_clause, node.having, node.qualify], scope);
    // Of distinct rows and groups there are as many as there are values.
    const isDistinct = trees(node.modifiers).some(({ type }) => type === "DISTINCT_MODIFIER");
    const distinct = isDistinct ? anyOf({ columns, rest: undefined }) : none;
    const facts = {
        rows: union(
            from.rows,
            wholes(compared.rows),
            collectAll([node.group_expressions], scope).origins,
            elementsIn(node.select_list, scope),
            distinct,
        ),
        conditions: union(from.conditions, compared.origins),
    };
    return open.length === 0
        ? tableOf(columns, facts)
        : openTable(union(anyOf({ columns, rest: undefined }), ...open), facts);
}

function combine({ setop_type, setop_all }: Tree, left: Table, right: Table): Table {
    const distinct = setop_all === true ? [] : [anyOf(left), anyOf(right)];
    const facts = {
        rows: union(left.rows, right.rows, ...distinct),
        conditions: union(left.conditions, right.conditions),
    };
    if (setop_type === "EXCEPT" || setop_type === "INTERSECT") return { ...left, ...facts };
    const isOpen = left.rest !== undefined || right.rest !== undefined;
    if (setop_type === "UNION" && !isOpen && left.columns.length === right.columns.length) {
        const columns = left.columns.map(({ name, value }, i) => ({
            name,
            value: either([value, right.columns[i]?.value ?? nothing]),
        }));
        return tableOf(columns, facts);
    }
    const all = [...left.columns, ...right.columns];
    if (setop_type === "UNION_BY_NAME" && !isOpen && all.every((column) => column.name !== undefined)) {
        const columns = [...new Set(all.map((column) => column.name))].map((name) => ({
            name,
            value: either(all.filter((column) => column.name === name).map((column) => column.value)),
        }));
        return tableOf(columns, facts);
    }
    return openTable(union(anyOf(left), anyOf(right)), facts);
}

/** Reads itself: what it is made of is gathered until nothing new comes. */
function recursiveTable(node: Tree, env: Env, outer: Scope | undefined): Table {
    const aliases = names(node.aliases);
    const named = (table: Table): Table => ({ ...table, columns: renamed(table.columns, aliases) });
    let table = named(queryTable(asTree(node.left), env, outer));
    for (;;) {
        const known = table;
        const expressions = new Map(env.expressions).set(asName(node.cte_name), () => known);
        const step = queryTable(asTree(node.right), { ...env, expressions }, outer);
        table = named(combine({ setop_type: "UNION", setop_all: node.union_all }, known, step));
        if (sizeOf(table) === sizeOf(known)) return table;
    }
}

/** Differs whenever a recursive table has grown. */
function sizeOf({ columns, rest, rows, conditions }: Table): string {
    const values = [...columns.map((column) => column.value), rest ?? nothing];
    return [...values.map(({ origins, same }) => `${origins.size}${same}`), rows.size, conditions.size].join();
}

function fromOf(tree: Tree, env: Env, outer: Scope | undefined): From {
    const alias = asName(tree.alias);
    const single = (table: Table, path: readonly string[] = [alias]): From =>
        fromRelation({ ...table, columns: numbered(renamed(table.columns, names(tree.column_name_alias))), path });
    switch (tree.type) {
        case "EMPTY":
            return emptyFrom;
        case "BASE_TABLE": {
            const full = [tree.catalog_name, tree.schema_name, tree.table_name].map(asName);
            return single(baseTable(tree, env), alias === "" ? full.filter((part) => part !== "") : [alias]);
        }
        case "SUBQUERY":
            return single(queryTable(asTree(asTree(tree.subquery).node), env, outer));
        case "JOIN":
            return joinOf(tree, env, outer);
        case "TABLE_FUNCTION":
            return single(tableFunction(tree, { env, from: emptyFrom, aliases: new Map(), outer }), [
                alias === "" ? asName(asTree(tree.function).function_name) : alias,
            ]);
        case "EXPRESSION_LIST":
            return single(valuesTable(tree, { env, from: emptyFrom, aliases: new Map(), outer }));
        case "PIVOT": {
            const scope: Scope = { env, from: fromOf(asTree(tree.source), env, outer), aliases: new Map(), outer };
            return single(asList(tree.unpivot_names).length > 0 ? unpivoted(tree, scope) : pivoted(tree, scope));
        }
        default:
            return single(unknownTable(tree, env));
    }
}

function fromRelation(relation: Relation): From {
    const { columns, rows, conditions } = relation;
    const star = columns.map((column) => ({ ...column, relation }));
    return { relations: [relation], star, merged: new Map(), rows, conditions };
}

function baseTable(tree: Tree, env: Env): Table {
    const parts = [tree.catalog_name, tree.schema_name, tree.table_name].map(asName).filter((part) => part !== "");
    const readable = env.readable.get(parts.join("."));
    if (readable === undefined) {
        const expression = parts.length === 1 ? env.expressions.get(parts[0] ?? "") : undefined;
        // Its conditions are not those of who reads it: a common table expression is a relation like any other.
        return expression === undefined ? openTable(none) : { ...expression(), conditions: none };
    }
    const { node, columns } = readable;
    const rows = new Set([originOf(node, "*")]);
    return tableOf(
        columns.map((name) => ({
            name: name.toLowerCase(),
            value: { origins: new Set([originOf(node, name)]), same: true },
        })),
        { rows },
    );
}

function joinOf(tree: Tree, env: Env, outer: Scope | undefined): From {
    const left = fromOf(asTree(tree.left), env, outer);
    const right = fromOf(asTree(tree.right), env, { env, from: left, aliases: new Map(), outer });
    const isNatural = tree.ref_type === "NATURAL";
    if (isNatural && (softIn(left) ?? softIn(right)) !== undefined) {
        // Which columns they have in common is not told.
        const all = union(...[...left.relations, ...right.relations].map(anyOf));
        return fromRelation({ ...openTable(all, { rows: union(left.rows, right.rows) }), path: [] });
    }
    const shared = isNatural
        ? left.star.map((column) => column.name ?? "").filter((name) => valueIn(right, name) !== undefined)
        : names(tree.using_columns);
    const using = new Map(
        shared.map((name): [string, Value] => {
            const [a, b] = [valueIn(left, name) ?? softIn(left), valueIn(right, name) ?? softIn(right)];
            if (tree.join_type === "FULL") return [name, changed(a?.origins, b?.origins)];
            return [name, (tree.join_type === "RIGHT" ? b : a) ?? nothing];
        }),
    );
    // What is joined by a condition is filtered by it: of the values that made the rows, no more is said.
    const rows = tree.ref_type === "CROSS" ? union(left.rows, right.rows) : wholes(union(left.rows, right.rows));
    const hidesRight = tree.join_type === "SEMI" || tree.join_type === "ANTI";
    const joined: From = {
        relations: [...left.relations, ...(hidesRight ? [] : right.relations)],
        star: [
            ...left.star.map((column) => ({ ...column, value: using.get(column.name ?? "") ?? column.value })),
            ...(hidesRight ? [] : right.star.filter((column) => !using.has(column.name ?? ""))),
        ],
        merged: new Map([...left.merged, ...(hidesRight ? [] : right.merged), ...using]),
        rows,
        conditions: none,
    };
    const both = { ...joined, relations: [...left.relations, ...right.relations] };
    const compared = collectAll([tree.condition], { env, from: both, aliases: new Map(), outer });
    const usingBoth = shared.flatMap((name) => [valueIn(left, name)?.origins, valueIn(right, name)?.origins]);
    return {
        ...joined,
        rows: union(rows, wholes(compared.rows)),
        conditions: union(left.conditions, right.conditions, compared.origins, ...usingBoth),
    };
}

/** Of what makes rows, the relations. */
function wholes(rows: ReadonlySet<string>): ReadonlySet<string> {
    return new Set([...rows].filter((origin) => splitOrigin(origin).column === "*"));
}

function tableFunction(tree: Tree, scope: Scope): Table {
    const call = asTree(tree.function);
    const { origins, rows: inner } = collectAll(asList(call.children), scope);
    const rows = union(inner, origins, new Set([...origins].map((origin) => originOf(splitOrigin(origin).node, "*"))));
    const name = asName(call.function_name);
    const hasOneColumn =
        ["range", "generate_series"].includes(name) || (name === "unnest" && trees(call.children).length === 1);
    if (!hasOneColumn) return openTable(origins, { rows });
    const value = changed(origins);
    const ordinality = tree.with_ordinality === "WITH_ORDINALITY" ? [{ name: "ordinality", value }] : [];
    return tableOf([{ name, value }, ...ordinality], { rows });
}

function valuesTable(tree: Tree, scope: Scope): Table {
    const [first, ...others] = asList(tree.values).map((row) => trees(row).map((item) => madeOf(item, scope)));
    const columns = (first ?? []).map((value, i) => ({
        name: `col${i}`,
        value: either([value, ...others.map((row) => row[i] ?? nothing)]),
    }));
    return tableOf(columns);
}

/** The columns to group by, then one for each value and aggregate. */
function pivoted(tree: Tree, scope: Scope): Table {
    const { from } = scope;
    const pivots = trees(tree.pivots);
    const counted = [...trees(tree.aggregates), ...pivots.flatMap((pivot) => trees(pivot.pivot_expressions))];
    const cell = changed(collectAll(counted, scope).origins);
    const entries = pivots.map((pivot) => trees(pivot.entries));
    const isPlain = entries.every((list) => list.length > 0 && list.every((entry) => asList(entry.values).length > 0));
    const open = softIn(from);
    if (!isPlain || open !== undefined) {
        return openTable(union(cell.origins, open?.origins, ...from.star.map((column) => column.value.origins)), from);
    }
    const groups = names(tree.groups);
    const used = namesIn(counted);
    const grouped = from.star.filter(({ name = "" }) => (groups.length > 0 ? groups.includes(name) : !used.has(name)));
    const cells = entries.reduce((product, list) => product * list.length, trees(tree.aggregates).length);
    return tableOf(
        [
            ...grouped.map(({ name, value }) => ({ name, value })),
            ...Array.from({ length: cells }, () => ({ name: undefined, value: cell })),
        ],
        from,
    );
}

/** The columns that stay, the name of the column that was, and its value. */
function unpivoted(tree: Tree, scope: Scope): Table {
    const { from } = scope;
    const [pivot = {}, ...more] = trees(tree.pivots);
    const entries = trees(pivot.entries).flatMap((entry): (Column | undefined)[][] => {
        if (isTree(entry.star_expr)) return starColumns(entry.star_expr, scope).columns.map((column) => [column]);
        const values = trees(entry.values).map((value) => asName(value.value));
        return [values.map((name) => from.star.find((column) => column.name === name))];
    });
    const used = new Set(entries.flat().map((column) => column?.name));
    const isPlain = entries.length > 0 && more.length === 0 && !used.has(undefined) && softIn(from) === undefined;
    if (!isPlain) {
        return openTable(union(softIn(from)?.origins, ...from.star.map((column) => column.value.origins)), from);
    }
    return tableOf(
        [
            ...from.star.filter((column) => !used.has(column.name)).map(({ name, value }) => ({ name, value })),
            ...names(pivot.unpivot_names).map((name) => ({ name, value: nothing })),
            ...names(tree.unpivot_names).map((name, i) => ({
                name,
                value: either(entries.map((columns) => columns[i]?.value ?? nothing)),
            })),
        ],
        from,
    );
}

/** What the lists are made of of which a select list makes a row for each element. */
function elementsIn(value: unknown, scope: Scope): ReadonlySet<string> {
    if (Array.isArray(value)) return union(...value.map((item) => elementsIn(item, scope)));
    if (!isTree(value) || value.class === "SUBQUERY") return none;
    const isList =
        value.class === "FUNCTION" && ["unnest", "unlist", "generate_subscripts"].includes(asName(value.function_name));
    if (isList) return collectAll(asList(value.children), scope).origins;
    return union(...Object.values(value).map((item) => elementsIn(item, scope)));
}

/** The last parts of all column names in it. */
function namesIn(value: unknown): ReadonlySet<string> {
    if (Array.isArray(value)) return union(...value.map(namesIn));
    if (!isTree(value)) return none;
    if (value.class === "COLUMN_REF") return new Set(names(value.column_names).slice(-1));
    return union(...Object.values(value).map(namesIn));
}

function itemColumns(item: Tree, scope: Scope): Outputs {
    const alias = asName(item.alias);
    if (item.class === "STAR" && item.columns !== true) return starColumns(item, scope);
    if (item.class === "COLUMN_REF") {
        const value = madeOf(item, scope);
        return { columns: [{ name: alias || names(item.column_names).at(-1), value }], rest: undefined };
    }
    const stars = starsIn(item);
    if (stars.length > 0) {
        const expanded = stars.map((star) => starColumns(star, scope));
        const isOpen = expanded.some(({ rest }) => rest !== undefined) || stars.some((star) => star.columns !== true);
        if (isOpen) return { columns: [], rest: changed(collectAll([item], scope).origins) };
        const columns = (expanded[0]?.columns ?? []).map((column, at) => ({
            // In an alias, \0 and \1 stand for parts of the name.
            name: alias === "" ? column.name : alias.includes("\\") ? undefined : alias,
            value: item.class === "STAR" ? column.value : madeOf(item, { ...scope, at }),
        }));
        return { columns, rest: undefined };
    }
    const value = madeOf(item, scope);
    if (item.class === "FUNCTION" && asName(item.function_name) === "unnest") {
        // The fields of a struct become columns of their own names.
        return trees(item.children).length > 1
            ? { columns: [], rest: value }
            : { columns: [{ name: undefined, value }], rest: undefined };
    }
    return { columns: [{ name: alias || undefined, value }], rest: undefined };
}

/** The stars that make several columns of an expression: not those of a subquery, nor `*columns(*)`, which is a list. */
function starsIn(value: unknown): readonly Tree[] {
    if (Array.isArray(value)) return value.flatMap(starsIn);
    if (!isTree(value) || isLeaf(value) || value.class === "SUBQUERY" || value.type === "OPERATOR_UNPACK") return [];
    return value.class === "STAR" ? [value] : Object.values(value).flatMap(starsIn);
}

function isLeaf(tree: Tree): boolean {
    return tree.class === "COLUMN_REF" || tree.class === "CONSTANT";
}

function starColumns(star: Tree, scope: Scope): Outputs {
    const { from } = scope;
    const table = asName(star.relation_name);
    const relations = from.relations.filter((relation) => table === "" || relation.path.at(-1) === table);
    if (relations.length === 0 && table !== "") {
        // The fields of a struct.
        return { columns: [], rest: changed(resolve([table], scope).origins) };
    }
    const every =
        table === ""
            ? from.star
            : relations.flatMap((relation) => relation.columns.map((column) => ({ ...column, relation })));
    const all = changed(
        ...every.map((column) => column.value.origins),
        ...relations.map((relation) => relation.rest?.origins),
        collectAll(
            trees(star.replace_list).map((entry) => entry.value),
            scope,
        ).origins,
    );
    // A pattern or a lambda chooses by name, which only DuckDB does as DuckDB does.
    const isUnclear = isTree(star.expr) || relations.some(({ rest }) => rest !== undefined);
    const excluded = [
        ...names(star.exclude_list).map((column) => ({ table: "", column })),
        ...trees(star.qualified_exclude_list).map((entry) => ({
            table: asName(entry.table),
            column: asName(entry.column),
        })),
    ];
    const isMeant = (column: From["star"][number], wanted: { table: string; column: string }): boolean =>
        column.name === wanted.column && (wanted.table === "" || column.relation?.path.at(-1) === wanted.table);
    const isMissing = excluded.some((wanted) => !every.some((column) => isMeant(column, wanted)));
    if (isUnclear || isMissing) return { columns: [], rest: all };
    const kept = every.filter((column) => !excluded.some((wanted) => isMeant(column, wanted)));
    const replaced = new Map(trees(star.replace_list).map(({ key, value }) => [asName(key), asTree(value)]));
    const newNames = new Map(
        trees(star.rename_list).map(({ key, value }) => [asName(asTree(key).column), asName(value)]),
    );
    const columns = kept.map(({ name = "", value }) => {
        const replacement = replaced.get(name);
        return {
            name: newNames.get(name) ?? (name || undefined),
            value: replacement === undefined ? value : madeOf(replacement, scope),
        };
    });
    return { columns, rest: undefined };
}

function madeOf(expression: Tree, scope: Scope): Value {
    return expression.class === "COLUMN_REF"
        ? resolve(names(expression.column_names), scope)
        : changed(collectAll([expression], scope).origins);
}

function collectAll(expressions: readonly unknown[], scope: Scope): Found {
    const found: Found = { origins: new Set(), rows: new Set() };
    for (const expression of expressions) collect(expression, scope, found);
    return found;
}

function add(origins: ReadonlySet<string> | undefined, to: Set<string>): void {
    for (const origin of origins ?? none) to.add(origin);
}

function collect(value: unknown, scope: Scope, found: Found): void {
    if (Array.isArray(value)) {
        for (const item of value) collect(item, scope, found);
        return;
    }
    if (!isTree(value)) return;
    switch (value.class) {
        case "COLUMN_REF":
            add(resolve(names(value.column_names), scope).origins, found.origins);
            break;
        case "CONSTANT":
            break;
        case "POSITIONAL_REFERENCE":
            add((scope.from.star[Number(value.index) - 1]?.value ?? anyIn(scope)).origins, found.origins);
            break;
        case "STAR": {
            const columns = starColumns(value, scope);
            const current = value.columns === true && scope.at !== undefined ? columns.columns[scope.at] : undefined;
            add(current?.value.origins ?? anyOf(columns), found.origins);
            break;
        }
        case "SUBQUERY":
            collectSubquery(value, scope, found);
            break;
        case "FUNCTION":
        case "WINDOW":
            collectCall(value, scope, found);
            break;
        default:
            for (const part of Object.values(value)) collect(part, scope, found);
    }
}

/** A subquery in an expression is a value: what decides on its rows decides on that value. */
function collectSubquery(tree: Tree, scope: Scope, found: Found): void {
    collect(tree.child, scope, found);
    const table = queryTable(asTree(asTree(tree.subquery).node), scope.env, scope);
    add(table.conditions, found.origins);
    if (tree.subquery_type !== "EXISTS") add(anyOf(table), found.origins);
    else if (table.conditions.size === 0) add(table.rows, found.origins);
    add(table.rows, found.rows);
}

/** Functions whose arguments may be lambdas; elsewhere the arrow takes a value out of JSON. */
const lambdaTakers = new Set(
    ["apply", "filter", "reduce", "transform"].flatMap((verb) => [verb, `list_${verb}`, `array_${verb}`]),
);

/** Aggregates of which people write the arguments without a column: what they then give follows from the rows. */
const aggregates = new Set(
    `count sum avg mean min max first last any_value arbitrary list array_agg string_agg group_concat
     bool_and bool_or product sum_no_overflow fsum kahan_sum median mode`.split(/\s+/),
);

function collectCall(tree: Tree, scope: Scope, found: Found): void {
    const name = asName(tree.function_name);
    const inner: Found = { origins: new Set(), rows: found.rows };
    // `t.a.lower()` is read as a function of the schema a of the catalog t.
    const path = [tree.catalog, tree.schema].map(asName).filter((part) => part !== "");
    if (path.length > 0) add(resolveKnown(path, scope)?.origins, inner.origins);
    const { children, ...others } = tree;
    for (const child of trees(children)) {
        if (child.class === "LAMBDA" && lambdaTakers.has(name)) {
            const params = new Set([...(scope.params ?? none), ...namesOfParams(asTree(child.lhs))]);
            collect(child.expr, { ...scope, params }, inner);
        } else collect(child, scope, inner);
    }
    for (const part of Object.values(others)) collect(part, scope, inner);
    const isCountOfRows = name === "count_star" || (name === "count" && trees(children).length === 0);
    const isOfRows = inner.origins.size === 0 && (tree.class === "WINDOW" || aggregates.has(name));
    if (isCountOfRows || isOfRows) add(scope.from.rows, inner.origins);
    add(inner.origins, found.origins);
}

/** One name, or several in a row. */
function namesOfParams(tree: Tree): readonly string[] {
    if (tree.class === "COLUMN_REF") return names(tree.column_names).slice(0, 1);
    return trees(tree.children).flatMap(namesOfParams);
}

/** What DuckDB puts in where no column has such a name. */
const sqlValues = /^(current_(catalog|date|role|schema|time|timestamp|user)|localtime(stamp)?|session_user|user)$/;

function resolve(path: readonly string[], scope: Scope): Value {
    const known = resolveKnown(path, scope);
    if (known !== undefined) return known;
    return path.length === 1 && sqlValues.test(path[0] ?? "") ? nothing : anyIn(scope);
}

/** All that is in sight. */
function anyIn({ from, outer }: Scope): Value {
    return changed(from.rows, ...from.relations.map(anyOf), outer === undefined ? none : anyIn(outer).origins);
}

/** The nearest thing of that name, as DuckDB looks: columns, then tables, then aliases; then the query around. */
function resolveKnown(path: readonly string[], scope: Scope): Value | undefined {
    const [first = ""] = path;
    if (scope.params?.has(first)) return nothing;
    const { from, outer } = scope;
    for (let qualifiers = Math.min(path.length - 1, 3); qualifiers >= 0; qualifiers--) {
        const column = path[qualifiers] ?? "";
        const value = qualifiers === 0 ? valueIn(from, column) : qualifiedIn(from, path.slice(0, qualifiers), column);
        if (value === undefined) continue;
        // What follows on the column is a field of it.
        return qualifiers === path.length - 1 ? value : changed(value.origins);
    }
    const isSingle = path.length === 1;
    const tables = isSingle ? from.relations.filter((relation) => relation.path.at(-1) === first) : [];
    const row = tables.length > 0 ? changed(...tables.map(anyOf)) : undefined;
    const near = row ?? (isSingle ? scope.aliases.get(first) : undefined);
    const soft = softIn(from);
    if (soft === undefined) return near ?? (outer === undefined ? undefined : resolveKnown(path, outer));
    const further = outer === undefined ? undefined : resolveKnown(path, outer);
    return changed(soft.origins, near?.origins, further?.origins);
}

function valueIn(from: From, name: string): Value | undefined {
    const merged = from.merged.get(name);
    if (merged !== undefined) return merged;
    return oneOf(from.relations.flatMap((relation) => relation.columns.filter((column) => column.name === name)));
}

function qualifiedIn(from: From, qualifiers: readonly string[], name: string): Value | undefined {
    const relations = from.relations.filter(
        ({ path }) =>
            qualifiers.length <= path.length && qualifiers.every((part, i) => path.at(i - qualifiers.length) === part),
    );
    const known = oneOf(relations.flatMap((relation) => relation.columns.filter((column) => column.name === name)));
    return known ?? softIn({ relations });
}

function oneOf(columns: readonly Column[]): Value | undefined {
    if (columns.length < 2) return columns[0]?.value;
    return changed(...columns.map((column) => column.value.origins));
}

/** What a column may be made of whose name the text does not tell; undefined where all are told. */
function softIn({ relations }: Pick<From, "relations">): Value | undefined {
    const soft = relations.flatMap(({ columns, rest }) => [
        ...columns.filter((column) => column.name === undefined).map((column) => column.value),
        ...(rest === undefined ? [] : [rest]),
    ]);
    return soft.length === 0 ? undefined : changed(...soft.map((value) => value.origins));
}
