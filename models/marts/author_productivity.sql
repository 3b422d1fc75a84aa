with subject_works as (
    select * from {{ref.int_subject_works}}
),

books as (
    select * from {{ref.int_books}}
),

credits as (
    select * from {{ref.int_author_credits}}
),

author_names as (
    select * from {{ref.int_author_names}}
),

counted as (
    select
        subject_works.subject,
        credits.author_key,
        count(*) as works_total,
        count(books.publish_year) as works_dated,
        count(*) - count(books.publish_year) as works_unknown_year,
        count(distinct books.publish_year) as active_years,
        min(books.publish_year) as first_year,
        max(books.publish_year) as last_year,
        max(books.publish_year) - min(books.publish_year) + 1 as span_years,
        coalesce(
            sum(credits.credit_share)
            filter (where books.publish_year is not null),
            0
        ) as works_fractional
    from subject_works
    inner join books on subject_works.work_key = books.work_key
    inner join credits on subject_works.work_key = credits.work_key
    group by subject_works.subject, credits.author_key
),

final as (
    select
        counted.subject,
        counted.author_key,
        author_names.author_name,
        counted.works_total,
        counted.works_dated,
        counted.works_unknown_year,
        counted.active_years,
        counted.first_year,
        counted.last_year,
        counted.span_years,
        cast(counted.works_fractional as decimal(18, 6)) as works_fractional,
        {{#exact_ratio}}counted.works_dated, counted.active_years{{/exact_ratio}}
            as avg_books_per_active_year,
        {{#exact_ratio}}counted.works_dated, counted.span_years{{/exact_ratio}}
            as avg_books_per_span_year
    from counted
    left join author_names on counted.author_key = author_names.author_key
)

select * from final
