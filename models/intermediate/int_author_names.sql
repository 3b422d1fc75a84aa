with work_authors as (
    select * from {{ref.stg_work_authors}}
),

author_keys as (
    select * from {{ref.int_author_keys}}
),

documents as (
    select
        author_key,
        author_name,
        row_number() over (
            partition by author_key
            order by fetched_at desc, run_id desc
        ) as landing_rank
    from {{ref.stg_authors}}
),

-- The author's own record knows its name best; then the answers that credit the
-- key itself; then those that credit a key that stands for the same author.
candidates as (
    select
        author_key,
        author_name,
        1 as preference
    from documents
    where landing_rank = 1

    union all

    select
        author_keys.author_key,
        work_authors.author_name,
        case
            when work_authors.author_key = author_keys.author_key then 2
            else 3
        end as preference
    from work_authors
    inner join author_keys
        on work_authors.author_key = author_keys.landed_author_key
),

ranked as (
    select
        author_key,
        author_name,
        row_number() over (
            partition by author_key
            order by preference, author_name
        ) as name_rank
    from candidates
    where author_name is not null
),

final as (
    select
        author_key,
        author_name
    from ranked
    where name_rank = 1
)

select * from final
