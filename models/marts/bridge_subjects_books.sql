with subject_works as (
    select * from {{ref.int_subject_works}}
),

final as (
    select
        subject,
        work_key
    from subject_works
)

select * from final
