with books as (
    select * from {{ref.int_books}}
),

work_authors as (
    select * from {{ref.stg_work_authors}}
),

author_keys as (
    select * from {{ref.int_author_keys}}
),

credits as (
    select
        books.work_key,
        author_keys.author_key,
        min(work_authors.author_position) as author_position
    from books
    inner join work_authors
        on
            books.run_id = work_authors.run_id
            and books.work_key = work_authors.work_key
    inner join author_keys
        on work_authors.author_key = author_keys.landed_author_key
    group by books.work_key, author_keys.author_key
),

final as (
    select
        work_key,
        author_key,
        author_position,
        count(*) over (partition by work_key) as author_count,
        cast(
            1e0 / count(*) over (partition by work_key) as decimal(18, 12)
        ) as credit_share
    from credits
)

select * from final
