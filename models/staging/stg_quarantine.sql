with source as (
    select * from {{source.openlibrary.quarantine}}
),

search_pages as (
    select * from {{source.openlibrary.search_pages}}
),

renamed as (
    select
        source.run_id,
        source.source as source_table,
        search_pages.subject as page_subject_key,
        source.page_number,
        source.position as row_position,
        source.reason,
        source.body,
        source.fetched_at
    from source
    left join search_pages
        on
            source.source = 'search_pages'
            and source.run_id = search_pages.run_id
            and source.page_number = search_pages.page_number
)

select * from renamed
