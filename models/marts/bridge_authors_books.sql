with credits as (
    select * from {{ref.int_author_credits}}
),

final as (
    select
        author_key,
        work_key,
        author_position,
        author_count,
        cast(credit_share as decimal(18, 6)) as credit_share
    from credits
)

select * from final
