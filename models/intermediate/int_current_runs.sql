with runs as (
    select * from {{ref.stg_extract_runs}}
),

works as (
    select
        run_id,
        count(*) as works_staged
    from {{ref.stg_works}}
    group by run_id
),

ranked as (
    select
        runs.run_id,
        runs.subject,
        runs.status,
        runs.as_of_year,
        runs.started_at,
        row_number() over (
            partition by runs.subject
            order by
                case runs.status
                    when 'complete' then 0
                    when 'partial' then 1
                    else 2
                end,
                runs.started_at desc,
                runs.run_id desc
        ) as preference
    from runs
    inner join works on runs.run_id = works.run_id
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
