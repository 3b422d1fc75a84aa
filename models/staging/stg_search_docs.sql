with source as (
    select * from {{source.openlibrary.search_pages}}
),

sound as (
    select
        run_id,
        page_number,
        subject,
        url,
        fetched_at,
        {{#sound_json}}body{{/sound_json}} as body
    from source
    where docs > 0
),

parsed as (
    select
        run_id,
        page_number,
        subject,
        url,
        fetched_at,
        {{#parsed_search_docs}}body{{/parsed_search_docs}} as docs
    from sound
),

-- A join with unnest, of whose rows some are left out, DuckDB makes by keeping
-- all pages in memory.
documents as (
    select
        run_id,
        page_number,
        subject,
        url,
        fetched_at,
        generate_subscripts(docs, 1) as row_position,
        unnest(docs) as doc
    from parsed
),

renamed as (
    select
        run_id,
        {{#last_part}}doc.key{{/last_part}} as work_key,
        nullif(doc.title, '__None__') as title,
        doc.subtitle as subtitle,
        doc.author_key as author_keys,
        doc.author_name as author_names,
        doc.language as languages,
        doc.subject as subjects,
        doc.isbn as isbns,
        doc.publish_year as publish_years,
        doc.series_key as series_keys,
        doc.series_name as series_names,
        doc.series_position as series_positions,
        doc.ddc as dewey_numbers,
        doc.lcc as congress_numbers,
        doc.ebook_access as ebook_access,
        doc.cover_edition_key as cover_edition_key,
        subject as page_subject_key,
        url as page_url,
        page_number,
        row_position,
        doc.first_publish_year as first_publish_year,
        doc.edition_count as edition_count,
        doc.number_of_pages_median as number_of_pages_median,
        doc.ratings_average as ratings_average,
        coalesce(doc.ratings_count, 0) as ratings_count,
        coalesce(doc.ratings_count_1, 0) as ratings_count_1,
        coalesce(doc.ratings_count_2, 0) as ratings_count_2,
        coalesce(doc.ratings_count_3, 0) as ratings_count_3,
        coalesce(doc.ratings_count_4, 0) as ratings_count_4,
        coalesce(doc.ratings_count_5, 0) as ratings_count_5,
        coalesce(doc.readinglog_count, 0) as readinglog_count,
        coalesce(doc.want_to_read_count, 0) as want_to_read_count,
        coalesce(doc.currently_reading_count, 0) as currently_reading_count,
        coalesce(doc.already_read_count, 0) as already_read_count,
        coalesce(doc.osp_count, 0) as osp_count,
        doc.cover_i as cover_id,
        doc.has_fulltext as has_fulltext,
        doc.public_scan_b as has_public_scan,
        fetched_at
    from documents
    where doc.key like '/works/_%'
)

select * from renamed
