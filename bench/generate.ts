import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** How many models a folder of a generated project holds, and the YAML file beside them describes. */
const folderSize = 50;

/**
 * The files of a project of so many models, by path: of each ten, one reads a source, six join two or three earlier models
 * and three aggregate one. All have the columns id, label, amount and day; id has the tests unique and not_null.
 * Which model reads which follows from the count alone.
 */
export function generatedProject(models: number): ReadonlyMap<string, string> {
    const files = new Map([
        ["pipeline.config.ts", 'export default { name: "generated", models: { materialized: "table" } };\n'],
        ["targets/dev.ts", 'export default { folder: "data", attach: { landing: "data/landing.duckdb" } };\n'],
        ["models/_sources.yml", sources(Math.ceil(models / 10))],
    ]);
    for (let i = 0; i < models; i++) files.set(`models/${folderOf(i)}/${nameOf(i)}.sql`, modelSql(i));
    for (let i = 0; i < models; i += folderSize) {
        const names = Array.from({ length: Math.min(folderSize, models - i) }, (_, k) => nameOf(i + k));
        files.set(`models/${folderOf(i)}/_models.yml`, `models:\n${names.map(properties).join("")}`);
    }
    return files;
}

/** Writes files below a folder. */
export function writeFiles(folder: string, files: ReadonlyMap<string, string>): void {
    for (const [path, text] of files) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), text);
    }
}

function folderOf(i: number): string {
    return `part_${Math.floor(i / folderSize)}`;
}

function nameOf(i: number): string {
    return `m_${String(i).padStart(5, "0")}`;
}

function modelSql(i: number): string {
    if (i % 10 === 0) return stagingSql(i / 10);
    // A spread of near and far ancestors, the same in every run.
    const earlier = (k: number): string => `{{ref.${nameOf((i * 7919 + k * 104729) % i)}}}`;
    return i % 10 < 7 ? joinSql([...new Set([1, 2, 3].slice(i % 2).map(earlier))]) : aggregateSql(earlier(1));
}

function stagingSql(table: number): string {
    return `with source as (
    select * from {{source.raw.t_${table}}}
),

renamed as (
    select
        id,
        trim(label_text) as label,
        cast(amount_text as decimal(18, 2)) as amount,
        cast(created_at as date) as day
    from source
    where id is not null
)

select * from renamed
`;
}

function joinSql(refs: readonly string[]): string {
    const imports = refs.map((ref, k) => `p${k} as (\n    select * from ${ref}\n)`).join(",\n\n");
    const others = refs.slice(1).map((_, k) => k + 1);
    const amounts = ["p0.amount", ...others.map((k) => `coalesce(p${k}.amount, 0)`)].join(" + ");
    const joins = others.map((k) => `\n    left join p${k} on p0.id = p${k}.id`).join("");
    return `with ${imports},

final as (
    select
        p0.id,
        case when p0.label = '' then null else upper(p0.label) end as label,
        cast(${amounts} as decimal(18, 2)) as amount,
        p0.day
    from p0${joins}
)

select * from final
`;
}

function aggregateSql(ref: string): string {
    return `with rows_of as (
    select * from ${ref}
),

final as (
    select
        id,
        max(label) as label,
        cast(sum(amount) as decimal(18, 2)) as amount,
        min(day) as day
    from rows_of
    group by id
    having count(*) > 0
)

select * from final
`;
}

function properties(name: string): string {
    return `  - name: ${name}
    description: A generated model.
    config: {unique_key: id}
    columns:
      - name: id
        description: The key.
        data_tests: [unique, not_null]
      - {name: label, description: Text.}
      - {name: amount, description: An amount.}
      - {name: day, description: A date.}
`;
}

function sources(tables: number): string {
    const columns = { id: "bigint", label_text: "varchar", amount_text: "varchar", created_at: "timestamp" };
    const list = Object.entries(columns).map(([name, type]) => `{name: ${name}, data_type: ${type}}`);
    const table = (_: unknown, i: number): string => `      - {name: t_${i}, columns: [${list.join(", ")}]}\n`;
    return `sources:\n  - name: raw\n    database: landing\n    schema: raw\n    tables:\n${Array.from({ length: tables }, table).join("")}`;
}
