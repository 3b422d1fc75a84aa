with source as (
    select * from {{source.openlibrary.quarantine}}
),

search_pages as (
    select * from {{source.openlibrary.search_pages}}
),

renamed as (
    select
        misfits.run_id,
        misfits.source as source_table,
        search_pages.subject as page_subject_key,
        misfits.page_number,
        misfits.position as row_position,
        misfits.reason,
        misfits.body,
        misfits.fetched_at
    from source as misfits
    left join search_pages
        on
            misfits.source = 'search_pages'
            and misfits.run_id = search_pages.run_id
            and misfits.page_number = search_pages.page_number
)

select * from renamed
