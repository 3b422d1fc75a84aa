with works as (
    select * from {{ref.stg_works}}
),

elements as (
    select
        works.run_id,
        works.work_key,
        trim(element.subject_label) as subject_label
    from works
    cross join unnest(works.subjects) as element (subject_label)
),

final as (
    select distinct
        run_id,
        work_key,
        subject_label,
        {{#subject_key_of}}subject_label{{/subject_key_of}} as subject_key
    from elements
    where subject_label <> ''
)

select * from final
