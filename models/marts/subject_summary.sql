with subject_works as (
    select * from {{ref.int_subject_works}}
),

books as (
    select * from {{ref.int_books}}
),

credits as (
    select * from {{ref.int_author_credits}}
),

author_years as (
    select * from {{ref.fct_author_year}}
),

runs as (
    select * from {{ref.int_current_runs}}
),

works as (
    select
        subject_works.subject,
        count(*) as works_total,
        count(books.publish_year) as works_dated,
        min(books.publish_year) as first_year,
        max(books.publish_year) as last_year
    from subject_works
    inner join books on subject_works.work_key = books.work_key
    group by subject_works.subject
),

authors as (
    select
        subject_works.subject,
        count(distinct credits.author_key) as authors,
        count(distinct credits.work_key) as works_with_author
    from subject_works
    inner join credits on subject_works.work_key = credits.work_key
    group by subject_works.subject
),

dated_credits as (
    select
        subject,
        count(*) as author_years,
        sum(works) as credits_dated
    from author_years
    group by subject
),

final as (
    select
        works.subject,
        runs.run_id,
        runs.status as extract_status,
        works.works_total,
        works.works_dated,
        works.works_total - works.works_dated as works_unknown_year,
        works.works_total - coalesce(authors.works_with_author, 0)
            as works_without_author,
        coalesce(authors.authors, 0) as authors,
        coalesce(dated_credits.author_years, 0) as author_years,
        cast(coalesce(dated_credits.credits_dated, 0) as bigint)
            as credits_dated,
        works.first_year,
        works.last_year,
        {{#exact_ratio}}
            dated_credits.credits_dated, dated_credits.author_years
        {{/exact_ratio}} as avg_books_per_author_year
    from works
    left join runs on works.subject = runs.subject
    left join authors on works.subject = authors.subject
    left join dated_credits on works.subject = dated_credits.subject
)

select * from final
