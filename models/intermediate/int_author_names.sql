with book_authors as (
    select * from {{ref.int_book_authors}}
),

author_keys as (
    select * from {{ref.int_author_keys}}
),

records as (
    select * from {{ref.int_author_records}}
),

-- The author's own record knows its name best; then the works that credit the
-- key itself; then those that credit a key that stands for the same author.
candidates as (
    select
        author_key,
        author_name,
        1 as preference
    from records

    union all

    select
        author_keys.author_key,
        book_authors.author_name,
        case
            when author_keys.landed_author_key = author_keys.author_key then 2
            else 3
        end as preference
    from book_authors
    inner join author_keys
        on book_authors.landed_author_key = author_keys.landed_author_key
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
