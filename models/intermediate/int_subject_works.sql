with runs as (
    select * from {{ref.int_current_runs}}
),

works as (
    select * from {{ref.int_run_works}}
),

current_works as (
    select
        runs.subject,
        works.work_key
    from works
    inner join runs
        on
            works.run_id = runs.run_id
            and works.subject = runs.subject
),

-- The whole library is no subject of its own.
by_subject as (
    select * from current_works where subject <> '*'
),

-- Counted distinct: a work of two subjects is one work of all.
everything as (
    select distinct
        'all' as subject,
        work_key
    from current_works
),

final as (
    select subject, work_key from by_subject
    union all
    select subject, work_key from everything
)

select * from final
