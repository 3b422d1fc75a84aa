-- However often and in whatever order pages come: a work counts once, and so does each of its authors.
with landed_works as (
    select
        run_id,
        count(distinct work_key) as works
    from {{ref.stg_search_docs}}
    group by run_id
),

staged_works as (
    select
        run_id,
        count(*) as works
    from {{ref.stg_works}}
    group by run_id
),

credits as (
    select
        credits.work_key,
        count(*) as authors,
        count(distinct credits.author_key) as distinct_authors
    from {{ref.int_author_credits}} as credits
    group by credits.work_key
)

select
    landed_works.run_id as subject_of_failure,
    landed_works.works as expected,
    staged_works.works as found
from landed_works
left join staged_works on landed_works.run_id = staged_works.run_id
where landed_works.works <> coalesce(staged_works.works, 0)

union all

select
    work_key as subject_of_failure,
    distinct_authors as expected,
    authors as found
from credits
where authors <> distinct_authors
