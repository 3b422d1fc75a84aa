with runs as (
    select * from {{ref.run_history}}
),

final as (
    select
        run_id,
        lag(run_id) over (
            partition by subject, extract_source
            order by ended_at, run_id
        ) as previous_run_id,
        subject,
        extract_source,
        row_number() over (
            partition by subject, extract_source
            order by ended_at, run_id
        ) as run_number,
        works,
        lag(works) over (
            partition by subject, extract_source
            order by ended_at, run_id
        ) as previous_works,
        ended_at,
        lag(ended_at) over (
            partition by subject, extract_source
            order by ended_at, run_id
        ) as previous_ended_at
    from runs
)

select * from final
