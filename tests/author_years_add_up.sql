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
    productivity.subject,
    productivity.author_key,
    productivity.works_dated,
    by_year.works
from {{ref.author_productivity}} as productivity
left join by_year
    on
        productivity.subject = by_year.subject
        and productivity.author_key = by_year.author_key
where
    productivity.works_dated <> coalesce(by_year.works, 0)
    or productivity.active_years <> coalesce(by_year.years, 0)
