with docs as (
    select * from {{ref.stg_search_docs}}
),

-- Pages overlap when the service shifts between them: the answer that came last counts.
numbered as (
    select
        docs.*,
        row_number() over (
            partition by run_id, work_key
            order by page_number desc, row_position desc
        ) as landing_rank,
        count(*) over (partition by run_id, work_key) as times_landed
    from docs
),

final as (
    select
        run_id,
        work_key,
        title,
        subtitle,
        author_keys,
        author_names,
        languages,
        subjects,
        isbns,
        publish_years,
        series_keys,
        series_names,
        series_positions,
        dewey_numbers,
        congress_numbers,
        ebook_access,
        cover_edition_key,
        page_url,
        page_number,
        row_position,
        times_landed,
        first_publish_year,
        edition_count,
        number_of_pages_median,
        ratings_average,
        ratings_count,
        ratings_count_1,
        ratings_count_2,
        ratings_count_3,
        ratings_count_4,
        ratings_count_5,
        readinglog_count,
        want_to_read_count,
        currently_reading_count,
        already_read_count,
        osp_count,
        cover_id,
        has_fulltext,
        has_public_scan,
        fetched_at
    from numbered
    where landing_rank = 1
)

select * from final
