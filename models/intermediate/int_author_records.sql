with runs as (
    select distinct
        run_id,
        started_at
    from {{ref.int_current_runs}}
),

records as (
    select * from {{ref.stg_authors}}
),

ranked as (
    select
        records.*,
        row_number() over (
            partition by records.author_key
            order by runs.started_at desc, runs.run_id desc
        ) as run_rank
    from records
    inner join runs on records.run_id = runs.run_id
),

final as (
    select
        author_key,
        record_type,
        redirect_author_key,
        author_name,
        personal_name,
        birth_date,
        death_date,
        alternate_names,
        page_url,
        run_id,
        fetched_at
    from ranked
    where run_rank = 1
)

select * from final
