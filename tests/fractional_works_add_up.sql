-- The shares of a dated book's authors add up to the book; published shares are rounded to six places.
with fractional as (
    select
        subject,
        sum(works_fractional) as works_fractional,
        sum(works) as credits
    from {{ref.fct_author_year}}
    group by subject
),

books as (
    select
        subject_works.subject,
        count(*) as works
    from {{ref.int_subject_works}} as subject_works
    inner join {{ref.dim_books}} as books
        on subject_works.work_key = books.work_key
    where books.publish_year is not null and books.author_count > 0
    group by subject_works.subject
)

select
    books.subject,
    books.works,
    fractional.works_fractional
from books
left join fractional on books.subject = fractional.subject
where
    fractional.subject is null
    or abs(fractional.works_fractional - books.works)
    > 0.000001 + 0.0000005 * fractional.credits
