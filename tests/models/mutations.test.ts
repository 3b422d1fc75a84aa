// One mistake at a time in the real project: what the check says of it, where, and that it says nothing else.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { PipelineError } from "../../common/errors.ts";
import { checkProject } from "../../runner/check-project.ts";
import { formatProblem, ProjectError } from "../../runner/problem.ts";
import { suite } from "../suite.ts";
import { copyProject } from "../warehouse.ts";

const test = suite("mutations");

interface Mutation {
    readonly file: string;
    /** Stands in the file once. Absent: the file is new, and `by` is its text. */
    readonly replace?: string;
    readonly by: string;
    /** The first line of each problem, and the macro calls that led there. */
    readonly says: readonly string[];
    /** Whether the mutated file has line ends of two letters. */
    readonly crlf?: boolean;
}

const mutations: Readonly<Record<string, Mutation>> = {
    "a column that is renamed in a model that others read": {
        file: "models/staging/stg_works.sql",
        replace: "        isbns,\n",
        by: "        isbns as isbn_list,\n",
        says: [
            'models/staging/stg_work_isbns.sql:9:16  unknown column "isbns". Columns at hand: run_id, work_key, title, subtitle, author_keys, author_names, languages, subjects, isbn_list, publish_years, series_keys, series_names, series_positions, dewey_numbers, congress_numbers, ebook_access, cover_edition_key, page_url, page_number, row_position, times_landed, first_publish_year, edition_count, number_of_pages_median, ratings_average, ratings_count, ratings_count_1, ratings_count_2, ratings_count_3, ratings_count_4, ratings_count_5, readinglog_count, want_to_read_count, currently_reading_count, already_read_count, osp_count, cover_id, has_fulltext, has_public_scan, fetched_at',
        ],
    },
    "a comma that is missing": {
        file: "models/intermediate/int_books.sql",
        replace: "as_of_year,\n        unnest(",
        by: "as_of_year\n        unnest(",
        says: ['models/intermediate/int_books.sql:51:15  syntax error at or near "("'],
    },
    "a comma too many": {
        file: "models/intermediate/int_books.sql",
        replace: "        title,\n",
        by: "        title,,\n",
        says: ['models/intermediate/int_books.sql:120:15  syntax error at or near ","'],
    },
    "a type that a join can't take": {
        file: "models/intermediate/int_author_records.sql",
        replace: "on run_records.run_id = runs.run_id",
        by: "on extract(year from run_records.run_id) = runs.run_id",
        says: [
            "models/intermediate/int_author_records.sql:51:24  no function matches the given name and argument types 'date_part(STRING_LITERAL, VARCHAR)'. You might need to add explicit type casts.",
        ],
    },
    "a date that is joined on a number": {
        file: "models/intermediate/int_author_records.sql",
        replace: "run_records.page_run_id = records.run_id",
        by: "records.fetched_at = records.revision",
        says: [
            'models/intermediate/int_author_records.sql:54:34  "revision" is BIGINT, and can\'t become TIMESTAMP, with which it is compared',
        ],
    },
    "a time and a number in one expression": {
        file: "models/intermediate/int_books.sql",
        replace: "where publish_year between {{vars.min_year}} and as_of_year + 1",
        by: "where publish_year between {{vars.min_year}} and date '2026-01-01'",
        says: [
            "models/intermediate/int_books.sql:68:24  cannot mix values of type INTEGER and DATE in BETWEEN clause - an explicit cast is required",
        ],
    },
    "a mistake inside an incremental section": {
        file: "models/intermediate/int_books.sql",
        replace: "        title,\n",
        by: "        title,\n        {{#incremental}}titel,{{/incremental}}\n",
        says: ['models/intermediate/int_books.sql:121:25  unknown column "titel". Did you mean "title"?'],
    },
    "an incremental section that gives another column": {
        file: "models/intermediate/int_books.sql",
        replace: "        title,\n",
        by: "        title,\n        {{#incremental}}title as other_title,{{/incremental}}\n",
        says: [
            'models/intermediate/int_books.sql:1:1  an incremental run gives a column "other_title", which a first run does not',
        ],
    },
    "the model itself outside of an incremental section": {
        file: "models/intermediate/int_books.sql",
        replace: "        title,\n",
        by: "        title,\n        (select count(*) from {{this}}) as n,\n",
        says: [
            'models/intermediate/int_books.sql:121:31  "this" means nothing in a first run: write it inside {{#incremental}}...{{/incremental}}',
        ],
    },
    "a field that a document has not": {
        file: "models/staging/stg_search_docs.sql",
        replace: "nullif(doc.title, '__None__')",
        by: "nullif(doc.titel, '__None__')",
        says: ['models/staging/stg_search_docs.sql:46:20  unknown field "titel". Did you mean "title"?'],
    },
    "a ref without a name": {
        file: "models/intermediate/int_author_records.sql",
        replace: "{{ref.stg_authors}}",
        by: "{{ref.}}",
        says: ['models/intermediate/int_author_records.sql:9:19  "ref." names no ref: write {{ref.<model>}}'],
    },
    "a misspelt ref": {
        file: "models/intermediate/int_author_records.sql",
        replace: "{{ref.stg_authors}}",
        by: "{{ref.stg_autors}}",
        says: [
            'models/intermediate/int_author_records.sql:9:19  unknown ref "stg_autors". Did you mean "stg_authors"?',
        ],
    },
    "a misspelt source": {
        file: "models/staging/stg_quarantine.sql",
        replace: "{{source.openlibrary.quarantine}}",
        by: "{{source.openlibary.quarantine}}",
        says: [
            'models/staging/stg_quarantine.sql:2:19  unknown source "openlibary.quarantine". Did you mean "openlibrary.quarantine"?',
        ],
    },
    "a misspelt var": {
        file: "models/intermediate/int_books.sql",
        replace: "{{vars.min_year}}",
        by: "{{vars.min_years}}",
        says: ['models/intermediate/int_books.sql:68:32  unknown var "min_years". Did you mean "min_year"?'],
    },
    "a misspelt macro": {
        file: "models/staging/stg_work_isbns.sql",
        replace: "{{#is_isbn}}isbn{{/is_isbn}}",
        by: "{{#is_ibsn}}isbn{{/is_ibsn}}",
        says: ['models/staging/stg_work_isbns.sql:27:11  unknown macro "is_ibsn". Did you mean "is_isbn"?'],
    },
    "a column that two tables have": {
        file: "models/intermediate/int_book_authors.sql",
        replace: "        work_authors.work_key,\n        work_authors.author_key as",
        by: "        work_key,\n        work_authors.author_key as",
        says: [
            'models/intermediate/int_book_authors.sql:11:9  ambiguous reference to column name "work_key" (use: "work_authors.work_key" or "books.work_key")',
        ],
    },
    "a function with an argument too many": {
        file: "models/staging/stg_work_isbns.sql",
        replace: "upper(replace(replace(isbn, '-', ''), ' ', ''))",
        by: "upper(replace(replace(isbn, '-', ''), ' ', ''), 1)",
        says: [
            "models/staging/stg_work_isbns.sql:17:9  no function matches the given name and argument types 'upper(VARCHAR, INTEGER_LITERAL)'. You might need to add explicit type casts.",
        ],
    },
    "a macro with an argument too few": {
        file: "models/staging/stg_work_authors.sql",
        replace: "author_names, author_position{{/",
        by: "author_names{{/",
        says: [
            'models/staging/stg_work_authors.sql:20:9  macro "element_of" takes 2 arguments (list, position), not 1',
        ],
    },
    "an aggregate without group by": {
        file: "models/intermediate/int_current_runs.sql",
        replace: "    from {{ref.int_run_works}}\n    group by run_id, subject\n",
        by: "    from {{ref.int_run_works}}\n",
        says: [
            'models/intermediate/int_current_runs.sql:11:9  column "run_id" must appear in the GROUP BY clause or must be part of an aggregate function. Either add it to the GROUP BY list, or use "ANY_VALUE(run_id)" if the exact value of "run_id" is not important.',
        ],
    },
    "a column that is not grouped by": {
        file: "models/intermediate/int_author_credits.sql",
        replace: "group by book_authors.work_key, author_keys.author_key",
        by: "group by book_authors.work_key",
        says: [
            'models/intermediate/int_author_credits.sql:12:9  column "author_key" must appear in the GROUP BY clause or must be part of an aggregate function. Either add it to the GROUP BY list, or use "ANY_VALUE(author_key)" if the exact value of "author_key" is not important.',
        ],
    },
    "a window in where": {
        file: "models/intermediate/int_author_credits.sql",
        replace: "    from credits\n",
        by: "    from credits\n    where row_number() over (order by work_key) = 1\n",
        says: ["models/intermediate/int_author_credits.sql:30:11  WHERE clause cannot contain window functions!"],
    },
    "a contract of another type": {
        file: "models/marts/_models.yml",
        replace: "{name: isbn_count, data_type: bigint,",
        by: "{name: isbn_count, data_type: integer,",
        says: ['models/marts/_models.yml:68:16  the contract says that "isbn_count" is integer, but it is BIGINT'],
    },
    "a contract with what is no type": {
        file: "models/marts/_models.yml",
        replace: "{name: isbn_count, data_type: bigint,",
        by: "{name: isbn_count, data_type: bigin,",
        says: ['models/marts/_models.yml:68:16  the contract says that "isbn_count" is bigin, which is no type'],
    },
    "a contract with a column that is not there": {
        file: "models/marts/bridge_subjects_books.sql",
        replace: "        subject,\n        work_key\n",
        by: "        subject\n",
        says: ['models/marts/_models.yml:114:16  "bridge_subjects_books" has no column "work_key".'],
    },
    "a column that is not in the contract": {
        file: "models/marts/bridge_authors_books.sql",
        replace: "        author_count,\n",
        by: "        author_count,\n        author_count + 1 as next_count,\n",
        says: [
            'models/marts/_models.yml:94:11  the contract of "bridge_authors_books" has no column "next_count" (BIGINT), but its SQL has',
        ],
    },
    "a contract without a type": {
        file: "models/marts/_models.yml",
        replace: "{name: isbn_count, data_type: bigint,",
        by: "{name: isbn_count,",
        says: ['models/marts/_models.yml:68:16  the contract needs a data_type of "isbn_count", which is BIGINT'],
    },
    "a described column that is not there": {
        file: "models/staging/_models.yml",
        replace: "{name: times_listed,",
        by: "{name: time_listed,",
        says: [
            'models/staging/_models.yml:86:16  "stg_work_authors" has no column "time_listed". Did you mean "times_listed"?',
        ],
    },
    "a unique_key that is not there": {
        file: "models/staging/_models.yml",
        replace: "config: {unique_key: [run_id, work_key, author_key]}",
        by: "config: {unique_key: [run_id, work_key, autor_key]}",
        says: [
            'models/staging/_models.yml:78:14  unique_key names a column "autor_key" that "stg_work_authors" has not. Did you mean "author_key"?',
        ],
    },
    "a mistake in a macro": {
        file: "macros/subject_key_of.sql",
        replace: "lower(trim(",
        by: "lower(trimm(",
        says: [
            'macros/subject_key_of.sql:1:17  unknown function "trimm". Did you mean "trim"?',
            "    called at models/staging/stg_work_subjects.sql:26:9",
        ],
    },
    "a mistake in a macro of one engine": {
        file: "macros/duckdb/joined_text.sql",
        replace: "array_to_string(",
        by: "array_to_text(",
        says: [
            'macros/duckdb/joined_text.sql:1:8  unknown function "array_to_text". Did you mean "array_to_string"?',
            "    called at models/marts/dim_books.sql:31:9",
        ],
    },
    "a syntax mistake in a macro": {
        file: "macros/last_part.sql",
        replace: ", '/', 3)",
        by: ", '/' 3)",
        says: [
            'macros/last_part.sql:1:26  syntax error at or near "3"',
            "    called at models/staging/stg_authors.sql:72:9",
        ],
    },
    "a mistake in a macro that a macro calls": {
        file: "macros/duckdb/is_isbn.sql",
        replace: "{{isbn}}",
        by: "{{#last_part}}[{{isbn}}]{{/last_part}}",
        says: [
            "macros/last_part.sql:1:1  no function matches the given name and argument types 'string_split(VARCHAR[], STRING_LITERAL)'. You might need to add explicit type casts.",
            "    called at macros/duckdb/is_isbn.sql:1:19",
            "    called at models/staging/stg_work_isbns.sql:27:11",
        ],
    },
    "a mistake in an argument of a macro call": {
        file: "models/marts/author_productivity.sql",
        replace: "counted.works_dated, counted.active_years{{",
        by: "counted.works_dated, counted.activ_years{{",
        says: ['models/marts/author_productivity.sql:52:46  "counted" has no column "activ_years".'],
    },
    "a mistake behind a line of Greek": {
        file: "models/staging/stg_work_authors.sql",
        replace: "author_path, '/authors/', '') as author_key",
        by: "'Ἰλιάς 伊利亚特 📚' || autor_path, '/authors/', '') as author_key",
        says: ['models/staging/stg_work_authors.sql:19:35  unknown column "autor_path". Did you mean "author_path"?'],
    },
    "a mistake in a file of Windows' line ends": {
        file: "models/staging/stg_work_isbns.sql",
        replace: "(isbn, '-'",
        by: "(isbm, '-'",
        crlf: true,
        says: ['models/staging/stg_work_isbns.sql:17:31  unknown column "isbm". Did you mean "isbn"?'],
    },
    "a mistake behind tabs": {
        file: "models/staging/stg_work_isbns.sql",
        replace: "        upper(replace(replace(isbn,",
        by: "\t\tupper(replace(replace(isbm,",
        says: ['models/staging/stg_work_isbns.sql:17:25  unknown column "isbm". Did you mean "isbn"?'],
    },
    "a union of different widths": {
        file: "models/intermediate/int_subject_works.sql",
        replace: "select subject, work_key from everything",
        by: "select subject from everything",
        says: ["models/intermediate/int_subject_works.sql:36:12  this branch of the union has 1 column, another 2"],
    },
    "a union of different widths, further down": {
        file: "models/intermediate/int_author_names.sql",
        replace: "        book_authors.author_name,\n",
        by: "",
        says: ["models/intermediate/int_author_names.sql:25:9  this branch of the union has 2 columns, another 3"],
    },
    "a union of types that do not go together": {
        file: "models/intermediate/int_subject_works.sql",
        replace: "select subject, work_key from everything",
        by: "select subject, [work_key] from everything",
        says: ['models/marts/_models.yml:114:16  the contract says that "work_key" is varchar, but it is VARCHAR[]'],
    },
    "a function that does not exist": {
        file: "models/staging/stg_work_isbns.sql",
        replace: "upper(replace(",
        by: "uper(replace(",
        says: ['models/staging/stg_work_isbns.sql:17:9  unknown function "uper". Did you mean "upper"?'],
    },
    "trim of a list": {
        file: "models/staging/stg_authors.sql",
        replace: "nullif(trim(doc.birth_date), '')",
        by: "nullif(trim(doc.alternate_names), '')",
        says: [
            "models/staging/stg_authors.sql:78:16  no function matches the given name and argument types 'trim(VARCHAR[])'. You might need to add explicit type casts.",
        ],
    },
    "sum of a text": {
        file: "models/marts/subject_summary.sql",
        replace: "sum(works) as",
        by: "sum(subject) as",
        says: [
            "models/marts/subject_summary.sql:47:9  no function matches the given name and argument types 'sum(VARCHAR)'. You might need to add explicit type casts.",
        ],
    },
    "a quote that is not closed": {
        file: "models/staging/stg_works.sql",
        replace: "    where landing_rank = 1\n",
        by: "    where title <> 'it and landing_rank = 1\n",
        says: ['models/staging/stg_works.sql:60:20  unterminated quoted string at or near "\'it and landing_rank = 1"'],
    },
    "a parenthesis that is not closed": {
        file: "models/staging/stg_works.sql",
        replace: "as times_landed\n    from docs\n),",
        by: "as times_landed\n    from docs\n,",
        says: ['models/staging/stg_works.sql:17:10  syntax error at or near "(". There are 7 "(" and 6 ")"'],
    },
    "a parenthesis that is not closed at the end": {
        file: "models/staging/stg_works.sql",
        replace: "    where landing_rank = 1\n)",
        by: "    where landing_rank = 1\n",
        says: ['models/staging/stg_works.sql:63:1  syntax error at or near "select". There are 7 "(" and 6 ")"'],
    },
    "a section that is not closed": {
        file: "models/staging/stg_work_isbns.sql",
        replace: "isbn{{/is_isbn}}",
        by: "isbn",
        says: ['models/staging/stg_work_isbns.sql:27:11  unclosed section "is_isbn"'],
    },
    "a section closed by another name": {
        file: "models/staging/stg_work_isbns.sql",
        replace: "isbn{{/is_isbn}}",
        by: "isbn{{/is_ibsn}}",
        says: ['models/staging/stg_work_isbns.sql:27:27  section "is_isbn" is closed as "is_ibsn"'],
    },
    "a tag that is not closed": {
        file: "models/staging/stg_works.sql",
        replace: "{{ref.stg_search_docs}}",
        by: "{{ref.stg_search_docs",
        says: ['models/staging/stg_works.sql:2:19  this tag is not closed: "{{ref.stg_search_docs"'],
    },
    "a tag that is not closed, with another behind it": {
        file: "models/marts/dim_books.sql",
        replace: "{{ref.int_books}}",
        by: "{{ref.int_books",
        says: ['models/marts/dim_books.sql:2:19  this tag is not closed: "{{ref.int_books"'],
    },
    "a tag in a SQL comment": {
        file: "models/staging/stg_works.sql",
        replace: "-- Pages overlap",
        by: "-- Pages of {{ref.stg_search_docs}} overlap",
        says: [
            'models/staging/stg_works.sql:5:13  a tag inside a SQL comment is still a tag: "{{ref.stg_search_docs}}". Use {{! ... }} to comment it out',
        ],
    },
    "a table read past ref": {
        file: "models/staging/stg_works.sql",
        replace: "select * from {{ref.stg_search_docs}}",
        by: "select * from stg_search_docs",
        says: [
            'models/staging/stg_works.sql:2:19  "stg_search_docs" is read past the project, which then can\'t know the order of things: write {{ref.stg_search_docs}}',
        ],
    },
    "a table read past ref, by its full name": {
        file: "models/staging/stg_works.sql",
        replace: "select * from {{ref.stg_search_docs}}",
        by: "select * from landing.openlibrary.search_pages",
        says: [
            'models/staging/stg_works.sql:2:19  "landing.openlibrary.search_pages" is read past the project, which then can\'t know the order of things: write {{source.openlibrary.search_pages}}',
        ],
    },
    "two statements": {
        file: "models/staging/stg_works.sql",
        replace: "select * from final\n",
        by: "select * from final;\nselect 1 as one\n",
        says: ["models/staging/stg_works.sql:64:1  a model or test is one SELECT statement, and here begins another"],
    },
    "no SELECT": {
        file: "models/staging/stg_works.sql",
        replace: "with docs as (",
        by: "create table t as with docs as (",
        says: ["models/staging/stg_works.sql:1:1  a model or test is one SELECT statement, and this is another kind"],
    },
    "two models that read each other": {
        file: "models/staging/stg_extract_runs.sql",
        replace: "    from source\n",
        by: "    from source\n    where run_id in (select run_id from {{ref.int_current_runs}})\n",
        says: [
            "models/staging/stg_extract_runs.sql:24:41  models read each other in a circle: stg_extract_runs reads int_current_runs reads stg_extract_runs",
        ],
    },
    "a model that reads itself": {
        file: "models/marts/dim_books.sql",
        replace: "{{ref.int_books}}",
        by: "{{ref.dim_books}}",
        says: ["models/marts/dim_books.sql:2:19  models read each other in a circle: dim_books reads dim_books"],
    },
    "two columns of one name": {
        file: "models/staging/stg_quarantine.sql",
        replace: "        misfits.body,\n",
        by: "        misfits.body,\n        misfits.run_id as reason,\n",
        says: ['models/staging/stg_quarantine.sql:18:9  there are two columns "reason": name one of them otherwise'],
    },
    "two models of one name": {
        file: "models/marts/stg_works.sql",
        by: "select 1 as run_id\n",
        says: [
            'models/staging/stg_works.sql:1:1  there are two nodes "stg_works": the other is at models/marts/stg_works.sql:1:1',
        ],
    },
    "a key that YAML does not know": {
        file: "models/staging/_models.yml",
        replace: "    config: {unique_key: [run_id, work_key, isbn]}",
        by: "    config: {uniqe_key: [run_id, work_key, isbn]}",
        says: ['models/staging/_models.yml:100:14  unknown key "uniqe_key". Did you mean "unique_key"?'],
    },
    "YAML that is indented wrongly": {
        file: "models/staging/_sources.yml",
        replace: "      - name: author_pages\n        description",
        by: "      - name: author_pages\n       description",
        says: ["models/staging/_sources.yml:63:1  sequence item without - indicator"],
    },
    "a test that is not there": {
        file: "models/staging/_models.yml",
        replace: "data_tests: [unique, not_null]",
        by: "data_tests: [uniqe, not_null]",
        says: ['models/staging/_models.yml:9:22  unknown test "uniqe". Did you mean "unique"?'],
    },
    "a test without its argument": {
        file: "models/staging/_models.yml",
        replace: "accepted_values: {values: [author, redirect, delete], severity: warn}",
        by: "accepted_values: {severity: warn}",
        says: ['models/staging/_models.yml:120:13  test "accepted_values" needs an argument "values"'],
    },
    "a test with a misspelt argument": {
        file: "models/staging/_models.yml",
        replace: "accepted_values: {values: [author, redirect, delete], severity: warn}",
        by: "accepted_values: {value: [author, redirect, delete], severity: warn}",
        says: [
            'models/staging/_models.yml:120:13  test "accepted_values" has no argument "value". Did you mean "values"?',
        ],
    },
    "accepted values of a column that is not there": {
        file: "models/staging/_models.yml",
        replace: "      - name: record_type\n",
        by: "      - name: record_typ\n",
        says: [
            'models/staging/_models.yml:117:15  "stg_authors" has no column "record_typ". Did you mean "record_type"?',
        ],
    },
    "a relationship to a column that is not there": {
        file: "models/marts/_models.yml",
        replace: "relationships: {to: ref('extract_coverage'), field: run_id}",
        by: "relationships: {to: ref('extract_coverage'), field: runid}",
        says: [
            'models/marts/_models.yml:90:13  test "relationships_dim_books_run_id_extract_coverage_runid": unknown column "runid". Did you mean "run_id"?',
        ],
    },
    "a relationship to a model that is not there": {
        file: "models/marts/_models.yml",
        replace: "relationships: {to: ref('extract_coverage'), field: run_id}",
        by: "relationships: {to: ref('extract_coverages'), field: run_id}",
        says: ['models/marts/_models.yml:90:13  unknown ref "extract_coverages". Did you mean "extract_coverage"?'],
    },
    "an expression with an unknown column": {
        file: "models/marts/_models.yml",
        replace: "expression: works_dated + works_unknown_year = works_total",
        by: "expression: works_dated + works_undated = works_total",
        says: [
            'models/marts/_models.yml:140:9  test "author_productivity_years_add_up": unknown column "works_undated". Did you mean "works_dated"?',
        ],
    },
    "a warn_if that is no condition": {
        file: "models/staging/_models.yml",
        replace: "severity: warn}",
        by: "warn_if: more than 10}",
        says: [
            'models/staging/_models.yml:120:13  test "accepted_values_stg_authors_record_type_author_redirect_delete": warn_if is "more than 10"; expected a condition on a count, as in "> 10"',
        ],
    },
    "a severity that is none": {
        file: "models/staging/_models.yml",
        replace: "severity: warn}",
        by: "severity: warning}",
        says: ['models/staging/_models.yml:120:13  severity is "warning"; expected "error", "warn"'],
    },
    "a unit test with a column that is not there": {
        file: "models/intermediate/_unit_tests.yml",
        replace: "- {author_key: A9, canonical_author_key: A1}",
        by: "- {author_key: A9, canonical_key: A1}",
        says: [
            'models/intermediate/_unit_tests.yml:83:13  unit test "an_author_under_two_keys_is_credited_once": "author_aliases" has no column "canonical_key". Columns at hand: author_key, canonical_author_key, note',
        ],
    },
    "a unit test that expects a column that is not there": {
        file: "models/intermediate/_unit_tests.yml",
        replace: "- {work_key: b, publish_year: 1800, year_status: ok}",
        by: "- {work_key: b, publish_yer: 1800, year_status: ok}",
        says: [
            'models/intermediate/_unit_tests.yml:70:11  unit test "the_outlier_rule_can_be_switched_off": "int_books" has no column "publish_yer". Did you mean "publish_year"?',
        ],
    },
    "a unit test of a value that does not fit": {
        file: "models/intermediate/_unit_tests.yml",
        replace: "- {work_key: b, publish_year: 1800, year_status: ok}",
        by: "- {work_key: b, publish_year: early, year_status: ok}",
        says: [
            "models/intermediate/_unit_tests.yml:70:11  unit test \"the_outlier_rule_can_be_switched_off\": could not convert string 'early' to INT32",
        ],
    },
    "a unit test that fails": {
        file: "models/intermediate/int_books.sql",
        replace: "        when answered_year_count = 0 then 'missing'",
        by: "        when answered_year_count = 0 then 'absent'",
        says: [
            'models/intermediate/_unit_tests.yml:3:11  unit test "a_book_has_the_first_plausible_year_that_does_not_stand_apart": the rows differ (- expected, + made, ~ changed):',
        ],
    },
    "a unit test of an input that is not there": {
        file: "models/intermediate/_unit_tests.yml",
        replace: "- input: ref('author_aliases')",
        by: "- input: ref('author_alias')",
        says: [
            'models/intermediate/_unit_tests.yml:81:16  unknown input "ref(\'author_alias\')". Did you mean "author_aliases"?',
        ],
    },
    "a unit test of an input that is not read": {
        file: "models/intermediate/_unit_tests.yml",
        replace: "- input: ref('author_aliases')",
        by: "- input: ref('author_kind_words')",
        says: [
            'models/intermediate/_unit_tests.yml:81:16  unit test "an_author_under_two_keys_is_credited_once": "int_author_keys" does not read ref(\'author_kind_words\')',
        ],
    },
    "a seed row with too many fields": {
        file: "seeds/author_aliases.csv",
        replace: "OL990000071A,OL990000070A,",
        by: "OL990000071A,OL990000070A,reviewed,",
        says: [
            "seeds/author_aliases.csv:2:36  4 fields, but the first line names 3 columns (author_key, canonical_author_key, note)",
        ],
    },
    "a seed value that does not fit": {
        file: "seeds/_seeds.yml",
        replace: "note: varchar}",
        by: "note: integer}",
        says: [
            'seeds/author_aliases.csv:2:27  error when converting column "note". Could not convert string "stand-in catalogue: Stanislaw Lem is Stanisław Lem" to \'INTEGER\'. Mend it, or give the column another column_types',
        ],
    },
    "a seed type that is none": {
        file: "seeds/_seeds.yml",
        replace: "note: varchar}",
        by: "note: varchr}",
        says: ['seeds/_seeds.yml:9:7  unknown type "varchr". Did you mean "varchar"?'],
    },
    "a seed type of a column that is not there": {
        file: "seeds/_seeds.yml",
        replace: "note: varchar}",
        by: "notes: varchar}",
        says: [
            'seeds/_seeds.yml:9:7  column_types names a column "notes" that "author_aliases" has not. Did you mean "note"?',
        ],
    },
    "a singular test with a mistake": {
        file: "tests/publish_years_are_plausible.sql",
        replace: "    year_status\n",
        by: "    year_state\n",
        says: ['tests/publish_years_are_plausible.sql:5:5  unknown column "year_state". Did you mean "year_status"?'],
    },
    "settings of a singular test that is not there": {
        file: "tests/_tests.yml",
        replace: "- name: merged_keys_count_once",
        by: "- name: merged_key_counts_once",
        says: [
            'tests/_tests.yml:11:11  test "merged_key_counts_once" has no file. Did you mean "merged_keys_count_once"?',
        ],
    },
    "a macro without a file": {
        file: "macros/_macros.yml",
        replace: "- name: last_part",
        by: "- name: last_parts",
        says: [
            'macros/_macros.yml:46:11  macro "last_parts" has no file macros/last_parts.sql. Did you mean "last_part"?',
        ],
    },
    "a model without a file": {
        file: "models/staging/_models.yml",
        replace: "- name: stg_authors",
        by: "- name: stg_autors",
        says: ['models/staging/_models.yml:107:11  model "stg_autors" has no file. Did you mean "stg_authors"?'],
    },
    "settings of a folder that is not there": {
        file: "pipeline.config.ts",
        replace: "        staging: {",
        by: "        stagging: {",
        says: ['pipeline.config.ts  models.stagging is no folder of models/. Did you mean "staging"?'],
    },
    "Jinja left over": {
        file: "models/staging/stg_works.sql",
        replace: "{{ref.stg_search_docs}}",
        by: "{{ ref('stg_search_docs') }}",
        says: ["models/staging/stg_works.sql:2:19  \"ref('stg_search_docs')\" is Jinja; write {{ref.stg_search_docs}}"],
    },
    "Jinja blocks left over": {
        file: "models/staging/stg_works.sql",
        replace: "with docs as (",
        by: "{% set n = 1 %}\nwith docs as (",
        says: [
            'models/staging/stg_works.sql:1:1  "{%" is Jinja, which means nothing here: a model is SQL with {{...}} tags',
        ],
    },
    "Jinja config left over": {
        file: "models/staging/stg_works.sql",
        replace: "with docs as (",
        by: "{{ config(materialized='table') }}\nwith docs as (",
        says: [
            'models/staging/stg_works.sql:1:1  settings do not stand in a model: write them below "config:" in a YAML file beside it',
        ],
    },
    "a source column that is renamed": {
        file: "models/staging/_sources.yml",
        replace: "{name: reason, data_type: varchar}",
        by: "{name: reasons, data_type: varchar}",
        says: ['models/staging/stg_quarantine.sql:16:9  "misfits" has no column "reason".'],
    },
    "a freshness by a column that is not there": {
        file: "models/staging/_sources.yml",
        replace: "loaded_at_field: fetched_at",
        by: "loaded_at_field: fetchd_at",
        says: [
            'models/staging/_sources.yml:48:9  loaded_at_field of "openlibrary.search_pages": unknown column "fetchd_at". Did you mean "fetched_at"?',
        ],
    },
    "a freshness in a period that is none": {
        file: "models/staging/_sources.yml",
        replace: "period: day",
        by: "period: days",
        says: [
            'models/staging/_sources.yml:49:44  sources.0.tables.2.freshness.warn_after.period is "days"; expected "minute", "hour", "day"',
        ],
    },
    "a source type that is none": {
        file: "models/staging/_sources.yml",
        replace: "{name: reason, data_type: varchar}",
        by: "{name: reason, data_type: varchr}",
        says: [
            'models/staging/_sources.yml:85:20  source "openlibrary.quarantine": unknown type "varchr". Did you mean "varchar"?',
        ],
    },
};

const quiet = { out: () => undefined, note: () => undefined };

/** The first line of every problem that the check finds, and the macro calls that led there. */
async function checked(projectDir: string): Promise<string[]> {
    try {
        await checkProject({ projectDir }, quiet);
        return [];
    } catch (error) {
        if (!(error instanceof PipelineError)) throw error;
        const problems = error instanceof ProjectError ? error.problems.map(formatProblem) : [error.message];
        return problems.flatMap((text) => {
            const [first = "", ...rest] = text.split("\n");
            return [first, ...rest.filter((line) => line.startsWith("    called at"))];
        });
    }
}

function replacedOnce(text: string, part: string, by: string): string {
    const pieces = text.split(part);
    assert.is(pieces.length, 2, `what is to be replaced stands there once: ${part}`);
    return pieces.join(by);
}

for (const [title, { file, replace, by, says, crlf = false }] of Object.entries(mutations)) {
    test(`says what is wrong and where: ${title}`, async () => {
        const folder = mkdtempSync(join(tmpdir(), "shelfmark-mutations-"));
        try {
            copyProject(folder);
            const path = join(folder, file);
            const before = replace === undefined ? "" : readFileSync(path, "utf8");
            const after = replace === undefined ? by : replacedOnce(before, replace, by);
            writeFileSync(path, crlf ? after.replaceAll("\n", "\r\n") : after);
            assert.equal(await checked(folder), says);
        } finally {
            rmSync(folder, { recursive: true });
        }
    });
}

test.run();
