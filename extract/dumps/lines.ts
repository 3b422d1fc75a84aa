import * as v from "valibot";
import { messageOf, PipelineError } from "../../common/errors.ts";
import { count } from "../progress.ts";
import { literal } from "../tables.ts";
import { type DumpFile, linesOf, proveWhole, rejectsOf } from "./dump-file.ts";
import type { Scratch } from "./scratch.ts";

/** How the lines of a file are judged, and what is taken from those that are wanted. All are SQL. */
export interface LineForm {
    readonly columns: number;
    /** What is read of the JSON of each line, by its paths: a list `value`, null when there is no JSON or it can't be read. */
    readonly paths?: readonly string[];
    /** Pairs of a condition and what is wrong with a line for which it holds, tried in this order. They see `part`, a list, and `date`. */
    readonly faults: readonly (readonly [condition: string, reason: string])[];
    /** Which column is its date. */
    readonly date: number;
    /** Whether it may be wanted; quick. Where it is absent, every line may be. */
    readonly candidate?: string;
    /** Relations that `wanted` and `take` see beside `part`: expressions by name, each on top of the one before. */
    readonly steps?: readonly Readonly<Record<string, string>>[];
    readonly wanted: string;
    /** Column to expression. */
    readonly take: Readonly<Record<string, string>>;
}

/** What reading a file has found. */
export interface Account {
    readonly file: DumpFile;
    readonly lines: number;
    readonly quarantined: number;
    /** The newest date of the lines, as DuckDB writes a timestamp. */
    readonly newest: string | null;
}

const figures = v.object({
    lines: v.pipe(v.string(), v.transform(Number)),
    bytes: v.pipe(v.string(), v.transform(Number)),
    faults: v.pipe(v.string(), v.transform(Number)),
    fault: v.nullable(v.string()),
    empty: v.pipe(v.string(), v.transform(Number)),
    newest: v.nullable(v.string()),
});

/**
 * Reads a file once. The table `<kind>_lines` has what the form takes of each line for which `is_wanted` holds, and other
 * lines or not; `<kind>_sums` adds all lines up: one row for each that does not fit, with its `fault`, and for the others
 * as few as it takes. What does not fit lands in the table `misfits`.
 * @throws PipelineError when the file is cut, damaged, empty or another than the one it should be.
 */
export async function readLines(scratch: Scratch, file: DumpFile, form: LineForm): Promise<Account> {
    const linesTable = `${file.kind}_lines`;
    const sumsTable = `${file.kind}_sums`;
    const lines = `select coalesce(line, '') as line from ${linesOf(file)}`;
    try {
        if (form.candidate === undefined) {
            await scratch.run(`
                create table ${linesTable} as ${wantedSql(lines, form)}
                select
                    strlen(line) + 1 as size,
                    date,
                    fault,
                    case when fault is not null then line end as line,
                    is_wanted,
                    ${whereWanted(form.take)}
                from wanted`);
            await scratch.run(`create table ${sumsTable} as ${sumsSql} from ${linesTable} group by all`);
        } else {
            // To take something of each line, were it but null, costs as much again as to look for the few.
            await scratch.run(`
                create table ${sumsTable} as ${judgedSql(lines, form)},
                sized as (
                    select
                        strlen(line) + 1 as size,
                        date,
                        fault,
                        case when fault is not null or coalesce(${form.candidate}, false) then line end as line
                    from judged
                )
                ${sumsSql} from sized group by all`);
            const candidates = `select line from ${sumsTable}, range(lines) where fault is null and line is not null`;
            await scratch.run(`
                create table ${linesTable} as ${wantedSql(candidates, form)}
                select is_wanted, ${whereWanted(form.take)} from wanted`);
        }
    } catch (error) {
        if (!/not a GZIP stream/.test(messageOf(error))) throw error;
        throw new PipelineError(`${file.path}  holds what is not gzip behind its end; download it again`, {
            cause: error,
        });
    }
    const found = await scratch.row(
        figures,
        `with all_lines as (
            from ${sumsTable}
            union all by name
            select 'the line is not UTF-8' as fault, 1 as lines, strlen(csv_line) + 1 as bytes
            from (${rejectedLines(file)})
        )
        select
            coalesce(sum(lines), 0)::bigint as lines,
            coalesce(sum(bytes), 0)::bigint as bytes,
            coalesce(sum(lines) filter (fault is not null), 0)::bigint as faults,
            any_value(fault) as fault,
            coalesce(sum(lines) filter (line = ''), 0)::bigint as empty,
            (max(newest) filter (fault is null))::varchar as newest
        from all_lines`,
    );
    await proveWhole(file, found.bytes);
    if (found.lines === 0) throw new PipelineError(`${file.path}  holds no lines: download it again`);
    // DuckDB takes the CR for an end of its own, so that an empty line follows each.
    if (found.empty > 0 && found.empty >= Math.floor(found.lines / 2)) {
        throw new PipelineError(`${file.path}  has lines that end in CR LF: it was changed after the download`);
    }
    if (found.faults > found.lines / 2) {
        throw new PipelineError(
            `${file.path}  is no dump of ${file.kind.replace("_", " ")}: ${count(found.faults)} of ` +
                `${count(found.lines)} lines do not fit: ${found.fault}`,
        );
    }
    if (found.faults > 0) await landMisfits(scratch, file);
    await scratch.run(`drop table ${sumsTable}`);
    return { file, lines: found.lines, quarantined: found.faults, newest: found.newest };
}

const sumsSql = "select fault, line, count(*) as lines, sum(size) as bytes, max(date) as newest";

/** CTEs up to `judged`: the lines of a query with what is read of each and its `fault`, null when it fits. */
function judgedSql(lines: string, { columns, date, paths, faults }: LineForm): string {
    const value = paths === undefined ? "null" : `try(json_extract(part[5], [${paths.map(literal).join(", ")}]))`;
    const cases = [
        [`len(part) <> ${columns}`, `'the line has ' || len(part) || ' columns, not ${columns}'`],
        ...faults,
    ].map(([condition, reason]) => `when ${condition} then ${reason}`);
    return `
        with lines as (${lines}),
        parts as (select line, string_split(line, chr(9)) as part from lines),
        read as (select *, try_cast(part[${date}] as timestamp) as date, ${value} as value from parts),
        judged as (select *, case ${cases.join("\n")} end as fault from read)`;
}

/** CTEs up to `wanted`: the lines of a query, judged, with the form's steps and `is_wanted`. */
function wantedSql(lines: string, form: LineForm): string {
    const steps = [
        `select *, fault is null and coalesce(${form.candidate ?? true}, false) as is_wanted from judged`,
        ...(form.steps ?? []).map((step, index) => `select *, ${whereWanted(step)} from step_${index}`),
    ].map((sql, index) => `step_${index} as (${sql})`);
    return `
        ${judgedSql(lines, form)},
        ${steps.join(",\n")},
        wanted as (
            select * replace (is_wanted and coalesce(${form.wanted}, false) as is_wanted) from step_${steps.length - 1}
        )`;
}

function whereWanted(expressions: Readonly<Record<string, string>>): string {
    return Object.entries(expressions)
        .map(([name, sql]) => `case when is_wanted then ${sql} end as ${name}`)
        .join(",\n");
}

function rejectedLines(file: DumpFile): string {
    return `select line, any_value(csv_line) as csv_line from temp.main.${rejectsOf(file)} group by line`;
}

/** Lines that do not fit are few: they are numbered by reading the file once more, in its order. */
async function landMisfits(scratch: Scratch, file: DumpFile): Promise<void> {
    await scratch.run(`create temp table rejected as ${rejectedLines(file)}`);
    await scratch.run("set preserve_insertion_order = true");
    await scratch.run(`
        insert into misfits
        with numbered as (
            select row_number() over () as number, coalesce(line, '') as line
            from ${linesOf(file).replaceAll(rejectsOf(file), `${rejectsOf(file)}_again`)}
        ),
        faults as (select line, fault from ${file.kind}_sums where fault is not null),
        -- How many good lines stand before each that was not read.
        gaps as (select line - row_number() over (order by line) as good_before from rejected)
        select
            '${file.kind}' as source,
            number + (select count(*) from gaps where good_before < number) as position,
            fault as reason,
            line as body
        from numbered
        inner join faults using (line)
        union all
        select '${file.kind}', line, 'the line is not UTF-8', csv_line from rejected`);
    await scratch.run("set preserve_insertion_order = false");
    await scratch.run("drop table temp.main.rejected");
}

/**
 * What is wrong with a line of a file of documents, `type key revision last_modified json`, in the order of looking. The first
 * two values of its JSON are its key and the key of its type.
 */
export function documentFaults(type: string, key: string): LineForm["faults"] {
    const differs = (index: number, column: string, what: string): readonly [string, string] => [
        // As text first: a text that is written otherwise may still say the same.
        `value[${index}]::varchar is distinct from ('"' || ${column} || '"')
                and (value[${index}] ->> '$') is distinct from ${column}`,
        `'the line''s ${what} is "' || ${column} || '", but its JSON says ' || coalesce(value[${index}]::varchar, 'nothing')`,
    ];
    return [
        [`part[1] <> '${type}'`, `'the type is "' || part[1] || '", not "${type}"'`],
        [`not regexp_full_match(part[2], ${literal(key)})`, `'the key is "' || part[2] || '"'`],
        ["date is null", `'the date is "' || part[4] || '"'`],
        ["value is null", "'the JSON can''t be read'"],
        differs(1, "part[2]", "key"),
        differs(2, "part[1]", "type"),
    ];
}
