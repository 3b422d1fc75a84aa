with changes as (
    select
        run_id,
        subject,
        count(*) filter (where change = 'added') as works_added,
        count(*) filter (where change = 'gone') as works_gone
    from {{ref.work_changes}}
    group by run_id, subject
)

select
    steps.run_id,
    steps.subject,
    steps.previous_works,
    changes.works_added,
    changes.works_gone,
    steps.works
from {{ref.int_run_steps}} as steps
left join changes
    on
        steps.run_id = changes.run_id
        and steps.subject = changes.subject
where
    steps.works
    <> steps.previous_works
    + coalesce(changes.works_added, 0)
    - coalesce(changes.works_gone, 0)
