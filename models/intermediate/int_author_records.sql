with runs as (
    select distinct
        run_id,
        started_at
    from {{ref.int_current_runs}}
),

records as (
    select * from {{ref.stg_authors}}
),

reused as (
    select * from {{ref.stg_reused_authors}}
),

-- What a run did not fetch again is as the run that it relies on has it.
run_records as (
    select
        run_id,
        run_id as page_run_id,
        author_key
    from records

    union all

    select
        run_id,
        page_run_id,
        author_key
    from reused
),

ranked as (
    select
        records.author_key,
        records.record_type,
        records.redirect_author_key,
        records.author_name,
        records.personal_name,
        records.birth_date,
        records.death_date,
        records.alternate_names,
        records.page_url,
        run_records.run_id,
        records.fetched_at,
        row_number() over (
            partition by records.author_key
            order by runs.started_at desc, runs.run_id desc
        ) as run_rank
    from run_records
    inner join runs on run_records.run_id = runs.run_id
    inner join records
        on
            run_records.page_run_id = records.run_id
            and run_records.author_key = records.author_key
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
