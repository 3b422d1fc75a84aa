with source as (
    select * from {{source.openlibrary.extract_subjects}}
),

renamed as (
    select
        run_id,
        -- "all" is what the marts call all subjects together.
        case subject when 'all' then 'subject:all' else subject end as subject,
        subject as subject_key,
        status,
        message,
        num_found,
        works_landed
    from source
)

select * from renamed
