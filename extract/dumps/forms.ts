import { literal } from "../tables.ts";
import type { DumpKind } from "./dump-file.ts";
import { documentFaults, type LineForm } from "./lines.ts";
import { keyOfSql, mentionOf } from "./subjects.ts";

/** The subjects' keys of which works are wanted, or all works. */
export interface Wish {
    readonly subjects: readonly string[];
    readonly all: boolean;
}

/** How the files of each kind are read. Those of editions, ratings and reading log want the table `works`, authors `wanted_authors`. */
export const formOf: Readonly<Record<DumpKind, (wish: Wish) => LineForm>> = {
    works: (wish) => ({
        ...documents("/type/work", "/works/OL[0-9]+W", "$.subjects"),
        ...candidates(wish, `regexp_matches(value[3]::varchar, ${literal(mentionOf(wish.subjects))})`),
        steps: [
            { json: json("title", "subtitle", "authors", "covers"), subjects: texts("value[3]") },
            { keys: keysOf("subjects", wish) },
        ],
        wanted: wish.all ? "true" : "len(keys) > 0",
        take: {
            key: olid("part[2]"),
            title: text("json[1]"),
            subtitle: text("json[2]"),
            subjects: "subjects",
            keys: "keys",
            authors: authorsOf("json_extract(json[3], '$[*].author')"),
            cover: `list_extract(${covers("json[4]")}, 1)`,
        },
    }),
    authors: (wish) => ({
        ...documents("/type/author", "/authors/OL[0-9]+A"),
        // Of all works the authors are too many to be looked up in memory.
        ...candidates(wish, `${olid("part[2]")} in (select key from wanted_authors)`),
        wanted: "true",
        take: {
            key: olid("part[2]"),
            name: `coalesce(${text("json_extract(part[5], '$.name')")}, '')`,
            document: "part[5]",
        },
    }),
    editions: (wish) => ({
        ...documents("/type/edition", "/books/OL[0-9]+M", "$.works[0].key", "$.subjects"),
        ...candidates(
            wish,
            `case
                when value[3] is not null then ${olid(workOf)} in (select key from works)
                else regexp_matches(value[4]::varchar, ${literal(mentionOf(wish.subjects))})
            end`,
        ),
        steps: [
            {
                json: json(
                    ...["title", "subjects", "authors", "covers", "publish_date", "languages"],
                    ...["isbn_13", "isbn_10", "publishers", "number_of_pages", "ocaid"],
                ),
                work: workOf,
            },
            { subjects: `case when work is null then ${texts("json[2]")} end` },
            { keys: keysOf("subjects", wish) },
        ],
        wanted: wish.all ? "true" : "work is not null or len(keys) > 0",
        take: {
            key: olid("part[2]"),
            // Without a work it is indexed as one of its own, under the key of the edition.
            work: `coalesce(${olid("work")}, ${olid("part[2]")})`,
            is_orphan: "work is null",
            title: text("json[1]"),
            subjects: "subjects",
            keys: "keys",
            authors: `case when work is null then ${authorsOf("json_extract(json[3], '$[*].key')")} end`,
            covers: covers("json[4]"),
            year: yearOf(text("json[5]")),
            languages: `list_filter([regexp_extract(coalesce(x ->> '$.key', x ->> '$'), '^/(?:l|languages)/([a-z]{3})$', 1)
                for x in ${elements("json[6]")}], lambda x: x <> '')`,
            isbns: `list_filter([trim(replace(x, '_', '')) for x in ${texts("json[7]")} || ${texts("json[8]")}], lambda x: x <> '')`,
            publishers: `[case lower(regexp_replace(x, '[^a-zA-Z]', '', 'g')) when 'sn' then 'Sine nomine' else x end
                for x in ${texts("json[9]")}]`,
            pages: "nullif(try_cast(json[10] ->> '$' as integer), 0)",
            ia: `nullif(trim(${text("json[11]")}), '')`,
        },
    }),
    ratings: (wish) => ({
        ...perWork(wish, [1, 2, 3, 4, 5].map(String), "the rating"),
        take: { work: olid("part[1]"), value: "part[3]" },
    }),
    reading_log: (wish) => ({
        ...perWork(wish, ["Want to Read", "Currently Reading", "Already Read", "Stopped Reading"], "the shelf"),
        take: { work: olid("part[1]"), value: "part[3]" },
    }),
};

function documents(
    type: string,
    key: string,
    ...paths: readonly string[]
): Pick<LineForm, "columns" | "paths" | "faults" | "date"> {
    return { columns: 5, paths: ["$.key", "$.type.key", ...paths], faults: documentFaults(type, key), date: 4 };
}

function candidates({ all }: Wish, condition: string): Pick<LineForm, "candidate"> {
    return all ? {} : { candidate: condition };
}

const workOf = "(value[3] ->> '$')";

/** The files of what readers do: `work_key edition_key|\N value date`. */
function perWork(wish: Wish, values: readonly string[], what: string): Omit<LineForm, "take"> {
    return {
        columns: 4,
        faults: [
            ["not regexp_full_match(part[1], '/works/OL[0-9]+W')", `'the work''s key is "' || part[1] || '"'`],
            [`part[3] not in (${values.map(literal).join(", ")})`, `'${what} is "' || part[3] || '"'`],
            ["date is null", `'the date is "' || part[4] || '"'`],
        ],
        date: 4,
        ...candidates(wish, `${olid("part[1]")} in (select key from works)`),
        wanted: "true",
    };
}

/** `OL1W` of `/works/OL1W`: DuckDB finds ranges of keys by their first eight bytes. */
function olid(key: string): string {
    return `split_part(${key}, '/', 3)`;
}

/** Several members of the document as JSON, which is read once for all of them. */
function json(...members: readonly string[]): string {
    return `json_extract(part[5], [${members.map((member) => `'$.${member}'`).join(", ")}])`;
}

/** A member as text, null when it is anything else. */
function text(member: string): string {
    return `case json_type(${member}) when 'VARCHAR' then ${member} ->> '$' end`;
}

function elements(member: string): string {
    return `coalesce(json_extract(${member}, '$[*]'), [])`;
}

function texts(member: string): string {
    return `[x ->> '$' for x in ${elements(member)} if json_type(x) = 'VARCHAR']`;
}

/** Which of the wanted subjects are among the labels. */
function keysOf(labels: string, { subjects }: Wish): string {
    return `list_intersect([${keyOfSql("x")} for x in ${labels}], [${subjects.map(literal).join(", ")}]::varchar[])`;
}

/** The authors' keys in their order. An author is an object with its key or the key itself, and may be missing. */
function authorsOf(authors: string): string {
    const key = "case json_type(x) when 'VARCHAR' then x ->> '$' else x ->> '$.key' end";
    const olids = `[regexp_extract(${key}, '^/(?:a|authors)/(OL[0-9]+A)$', 1) for x in coalesce(${authors}, [])]`;
    return `list_filter(${olids}, lambda x: x <> '')`;
}

/** -1 stands for a cover that was taken away. */
function covers(member: string): string {
    return `[try_cast(x ->> '$' as bigint) for x in ${elements(member)} if try_cast(x ->> '$' as bigint) > 0]`;
}

/**
 * The first four digits that stand alone, letters and digits of any script and _ being what they may not touch.
 * Source: openlibrary/solr/updater/edition.py, publish_year.
 */
function yearOf(date: string): string {
    const four = `regexp_extract(${date}, '(?:^|[^\\p{L}\\p{N}_])(\\p{Nd}{4})(?:$|[^\\p{L}\\p{N}_])', 1)`;
    return `try_cast(translate(${four}, '${foreignDigits}', '${"0123456789".repeat(scripts.length)}') as integer)`;
}

/** Where the digits of Arabic, Persian, Devanagari, Bengali, Thai and of full width begin. */
const scripts = [0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0xff10];
const foreignDigits = scripts
    .flatMap((zero) => Array.from({ length: 10 }, (_, digit) => String.fromCodePoint(zero + digit)))
    .join("");
