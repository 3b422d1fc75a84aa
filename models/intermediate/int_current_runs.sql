with runs as (
    select * from {{ref.stg_extract_runs}}
),

subjects as (
    select * from {{ref.stg_extract_subjects}}
),

works as (
    select
        run_id,
        subject,
        count(*) as works_staged
    from {{ref.int_run_works}}
    group by run_id, subject
),

ranked as (
    select
        runs.run_id,
        subjects.subject,
        subjects.status,
        runs.as_of_year,
        runs.started_at,
        row_number() over (
            partition by subjects.subject
            order by
                case subjects.status
                    when 'complete' then 0
                    when 'partial' then 1
                    else 2
                end,
                runs.started_at desc,
                runs.run_id desc
        ) as preference
    from subjects
    inner join runs on subjects.run_id = runs.run_id
    inner join works
        on
            subjects.run_id = works.run_id
            and subjects.subject = works.subject
),

final as (
    select
        run_id,
        subject,
        status,
        as_of_year,
        started_at
    from ranked
    where preference = 1
)

select * from final
