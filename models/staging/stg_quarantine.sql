with source as (
    select * from {{source.openlibrary.quarantine}}
),

renamed as (
    select
        run_id,
        source as source_table,
        page_number,
        position as row_position,
        reason,
        body,
        fetched_at
    from source
)

select * from renamed
