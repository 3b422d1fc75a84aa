with books as (
    select * from {{ref.int_books}}
),

work_authors as (
    select * from {{ref.stg_work_authors}}
),

final as (
    select
        work_authors.work_key,
        work_authors.author_key as landed_author_key,
        work_authors.author_name,
        work_authors.author_position
    from work_authors
    inner join books
        on
            work_authors.run_id = books.run_id
            and work_authors.work_key = books.work_key
)

select * from final
