with works as (
    select * from {{ref.stg_works}}
),

elements as (
    select
        run_id,
        work_key,
        unnest(subjects) as label
    from works
),

trimmed as (
    select
        run_id,
        work_key,
        trim(label) as subject_label
    from elements
),

final as (
    select distinct
        run_id,
        work_key,
        subject_label,
        {{#subject_key_of}}subject_label{{/subject_key_of}} as subject_key
    from trimmed
    where subject_label <> ''
)

select * from final
