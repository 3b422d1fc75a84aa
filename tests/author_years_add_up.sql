-- An author's books by year are the author's dated books.
with by_year as (
    select
        subject,
        author_key,
        sum(works) as works,
        count(*) as years
    from {{ref.fct_author_year}}
    group by subject, author_key
)

select
    coalesce(productivity.subject, by_year.subject) as subject,
    coalesce(productivity.author_key, by_year.author_key) as author_key,
    productivity.works_dated,
    by_year.works
from {{ref.author_productivity}} as productivity
full join by_year
    on
        productivity.subject = by_year.subject
        and productivity.author_key = by_year.author_key
where
    coalesce(productivity.works_dated, -1) <> coalesce(by_year.works, 0)
    or coalesce(productivity.active_years, -1) <> coalesce(by_year.years, 0)
