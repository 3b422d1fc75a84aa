with books as (
    select * from {{ref.int_books}}
),

credits as (
    select * from {{ref.int_author_credits}}
),

author_counts as (
    select
        work_key,
        count(*) as author_count
    from credits
    group by work_key
),

isbn_counts as (
    select
        run_id,
        work_key,
        count(*) as isbn_count
    from {{ref.stg_work_isbns}}
    group by run_id, work_key
),

final as (
    select
        books.work_key,
        books.title,
        books.subtitle,
        {{#joined_text}}books.languages, '; '{{/joined_text}} as languages,
        {{#joined_text}}books.series_names, '; '{{/joined_text}} as series_names,
        {{#joined_text}}books.series_positions, '; '{{/joined_text}}
            as series_positions,
        books.ebook_access,
        books.cover_edition_key,
        books.year_status,
        books.publish_year,
        books.publish_year_raw,
        books.as_of_year,
        books.edition_year_count,
        books.edition_count,
        coalesce(author_counts.author_count, 0) as author_count,
        coalesce(isbn_counts.isbn_count, 0) as isbn_count,
        books.number_of_pages_median,
        cast(books.ratings_average as decimal(18, 6)) as ratings_average,
        books.ratings_count,
        books.ratings_count_1,
        books.ratings_count_2,
        books.ratings_count_3,
        books.ratings_count_4,
        books.ratings_count_5,
        books.readinglog_count,
        books.want_to_read_count,
        books.currently_reading_count,
        books.already_read_count,
        books.osp_count,
        books.cover_id,
        books.has_fulltext,
        books.has_public_scan,
        books.is_orphan_edition,
        books.run_id,
        books.page_url,
        books.fetched_at
    from books
    left join author_counts on books.work_key = author_counts.work_key
    left join isbn_counts
        on
            books.run_id = isbn_counts.run_id
            and books.work_key = isbn_counts.work_key
)

select * from final
