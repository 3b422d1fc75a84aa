with source as (
    select * from {{source.openlibrary.reused_authors}}
),

renamed as (
    select
        run_id,
        {{#last_part}}author_key{{/last_part}} as author_key,
        page_run_id,
        page_number
    from source
)

select * from renamed
