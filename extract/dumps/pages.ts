/** Which of the optional files were given: what they would say is absent from a document, not null. */
export interface Given {
    readonly editions: boolean;
    readonly ratings: boolean;
    readonly readingLog: boolean;
}

export interface Range {
    /** The first and the last work's position. */
    readonly from: number;
    readonly to: number;
    /** Their keys. */
    readonly first: string;
    readonly last: string;
}

/**
 * SQL for the works from `from` to `to`: their `position` and `document`, the text that /search.json would write. It reads
 * the tables works, credits, editions, ratings and reading_log, each in the order of the works' keys.
 * Source: openlibrary/solr/updater/work.py.
 */
export function documentsSql(range: Range, given: Given): string {
    const inRange = `between '${range.first}' and '${range.last}'`;
    const ctes = [
        `range_works as (select * from works where position between ${range.from} and ${range.to})`,
        `range_credits as (
            select work, list(author order by position) as author_keys, list(name order by position) as author_names
            from credits
            where work ${inRange}
            group by work
        )`,
    ];
    const joins = ["left join range_credits on range_works.key = range_credits.work"];
    const members: string[] = [
        `'"key":' || to_json('/works/' || key)`,
        `',"title":' || to_json(coalesce(nullif(range_works.title, ''), ${given.editions ? "edition_title" : "null"}, '__None__'))`,
        `',"subtitle":' || to_json(nullif(subtitle, ''))`,
        list("author_key", "author_keys"),
        list("author_name", "author_names"),
        list("subject", "range_works.subjects"),
    ];
    if (given.editions) {
        ctes.push(editionsSql(inRange));
        joins.push("left join range_editions on range_works.key = range_editions.work");
        members.push(
            `',"edition_count":' || coalesce(edition_count, 0)`,
            `',"first_publish_year":' || list_min(years)`,
            list("publish_year", "years"),
            list("language", "languages"),
            list("isbn", "isbns"),
            list("publisher", "publishers"),
            `',"number_of_pages_median":' || pages`,
            list("ia", "ias"),
            `',"cover_i":' || coalesce(cover, only_cover)`,
            // Where two editions have it, the service takes the one that it comes upon first.
            `',"cover_edition_key":' || to_json(case
                when len(list_filter(edition_covers, lambda x: x.cover = coalesce(cover, only_cover))) = 1
                then list_filter(edition_covers, lambda x: x.cover = coalesce(cover, only_cover))[1].key
            end)`,
        );
    } else {
        members.push(`',"cover_i":' || cover`);
    }
    if (given.ratings) {
        ctes.push(`range_ratings as (select * from ratings where work ${inRange})`);
        joins.push("left join range_ratings on range_works.key = range_ratings.work");
        members.push(...ratingsMembers());
    }
    if (given.readingLog) {
        ctes.push(`range_log as (select * from reading_log where work ${inRange})`);
        joins.push("left join range_log on range_works.key = range_log.work");
        for (const name of ["readinglog", "want_to_read", "currently_reading", "already_read"]) {
            members.push(`',"${name}_count":' || range_log.${name}`);
        }
    }
    return `
        with ${ctes.join(",\n")}
        select range_works.position, concat('{', ${members.join(",\n")}, '}') as document
        from range_works
        ${joins.join("\n")}`;
}

/** `,"name":[...]`, or null, which concat passes over, for an empty list. */
function list(name: string, sql: string): string {
    return `case when len(${sql}) > 0 then ',"${name}":' || to_json(${sql}) end`;
}

/** Of each work's editions what the service sums up; sets in an order of their own, so that equal data is equal text. */
function editionsSql(inRange: string): string {
    const union = (column: string): string => `list_sort(list_distinct(flatten(list(${column}))))`;
    return `range_editions as (
        select
            work,
            count(*) as edition_count,
            first(title order by key) filter (title <> '') as edition_title,
            list_sort(list(distinct year) filter (year is not null)) as years,
            ${union("languages")} as languages,
            ${union("isbns")} as isbns,
            ${union("publishers")} as publishers,
            ceil(median(pages))::integer as pages,
            list(ia order by key) filter (ia is not null) as ias,
            case when count(distinct covers[1]) = 1 then min(covers[1]) end as only_cover,
            flatten(list([{'cover': x, 'key': key} for x in list_distinct(covers)])) as edition_covers
        from editions
        where work ${inRange}
        group by work
    )`;
}

/**
 * ratings_sortable is the lower end of what the average may be, each number of stars taken as given once more than it was;
 * the formula gives what two records of the service have.
 */
function ratingsMembers(): string[] {
    const sum = (term: (stars: number) => string): string => `(${[1, 2, 3, 4, 5].map(term).join(" + ")})`;
    const total = sum((n) => `stars_${n}`);
    const moment = (power: number): string => `${sum((n) => `${n ** power} * (stars_${n} + 1)`)} / (${total} + 5)`;
    const spread = `sqrt((${moment(2)} - pow(${moment(1)}, 2)) / (${total} + 6))`;
    return [
        `',"ratings_average":' || ${sum((n) => `${n} * stars_${n}`)} / ${total}`,
        `',"ratings_sortable":' || (${moment(1)} - 1.65e0 * ${spread})`,
        `',"ratings_count":' || ${total}`,
        ...[1, 2, 3, 4, 5].map((n) => `',"ratings_count_${n}":' || stars_${n}`),
    ];
}
