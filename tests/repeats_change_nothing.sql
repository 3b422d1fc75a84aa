-- However often and in whatever order pages come: a work counts once, and so does each of its authors.
with runs as (
    select * from {{ref.int_current_runs}}
),

landed_works as (
    select
        runs.subject,
        count(distinct run_works.work_key) as works
    from {{ref.int_run_works}} as run_works
    inner join runs
        on
            run_works.run_id = runs.run_id
            and run_works.subject = runs.subject
    group by runs.subject
),

landed_credits as (
    select count(*) as credits
    from (
        select distinct
            book_authors.work_key,
            author_keys.author_key
        from {{ref.int_book_authors}} as book_authors
        inner join {{ref.int_author_keys}} as author_keys
            on book_authors.landed_author_key = author_keys.landed_author_key
    ) as distinct_credits
),

counted_credits as (
    select coalesce(sum(works_total), 0) as credits
    from {{ref.author_productivity}}
    where subject = 'all'
)

select
    summary.subject,
    landed_works.works as expected,
    summary.works_total as found
from {{ref.subject_summary}} as summary
inner join landed_works on summary.subject = landed_works.subject
where summary.works_total <> landed_works.works

union all

select
    'credits of all' as subject,
    landed_credits.credits as expected,
    counted_credits.credits as found
from landed_credits
cross join counted_credits
where landed_credits.credits <> counted_credits.credits
