with source as (
    select * from {{source.openlibrary.extract_runs}}
),

renamed as (
    select
        run_id,
        source as extract_source,
        base_url,
        status,
        message,
        max_works,
        works_landed,
        authors_wanted,
        authors_landed,
        authors_reused,
        pages_landed,
        rows_quarantined,
        requests,
        cast(extract(year from started_at) as integer) as as_of_year,
        started_at,
        ended_at
    from source
)

select * from renamed
