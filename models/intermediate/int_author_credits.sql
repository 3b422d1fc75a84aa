with book_authors as (
    select * from {{ref.int_book_authors}}
),

author_keys as (
    select * from {{ref.int_author_keys}}
),

credits as (
    select
        book_authors.work_key,
        author_keys.author_key,
        min(book_authors.author_position) as author_position
    from book_authors
    inner join author_keys
        on book_authors.landed_author_key = author_keys.landed_author_key
    group by book_authors.work_key, author_keys.author_key
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
