-- Counting several keys as one author never gives that author more books than there are.
with works as (
    select
        author_keys.author_key,
        count(distinct book_authors.work_key) as works
    from {{ref.int_book_authors}} as book_authors
    inner join {{ref.int_author_keys}} as author_keys
        on book_authors.landed_author_key = author_keys.landed_author_key
    group by author_keys.author_key
)

select
    productivity.author_key,
    productivity.works_total,
    works.works
from {{ref.author_productivity}} as productivity
left join works on productivity.author_key = works.author_key
where
    productivity.subject = 'all'
    and productivity.works_total > coalesce(works.works, 0)
