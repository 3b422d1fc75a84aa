with subject_works as (
    select * from {{ref.int_subject_works}}
),

books as (
    select * from {{ref.int_books}}
),

credits as (
    select * from {{ref.int_author_credits}}
),

final as (
    select
        subject_works.subject,
        credits.author_key,
        books.publish_year,
        count(*) as works,
        cast(sum(credits.credit_share) as decimal(18, 6)) as works_fractional
    from subject_works
    inner join books on subject_works.work_key = books.work_key
    inner join credits on subject_works.work_key = credits.work_key
    where books.publish_year is not null
    group by
        subject_works.subject,
        credits.author_key,
        books.publish_year
)

select * from final
