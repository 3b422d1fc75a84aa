with source as (
    select * from {{source.openlibrary.extract_runs}}
),

renamed as (
    select
        run_id,
        -- "all" is what the marts call all subjects together.
        case subject when 'all' then 'subject:all' else subject end as subject,
        base_url,
        status,
        message,
        max_works,
        num_found,
        works_landed,
        authors_wanted,
        authors_landed,
        pages_landed,
        rows_quarantined,
        requests,
        cast(extract(year from started_at) as integer) as as_of_year,
        started_at,
        ended_at
    from source
)

select * from renamed
