with recursive documents as (
    select
        author_key,
        record_type,
        redirect_author_key,
        row_number() over (
            partition by author_key
            order by fetched_at desc, run_id desc
        ) as landing_rank
    from {{ref.stg_authors}}
),

redirects as (
    select
        author_key,
        redirect_author_key
    from documents
    where
        landing_rank = 1
        and record_type = 'redirect'
        and redirect_author_key is not null
),

aliases as (
    select * from {{ref.author_aliases}}
),

credited as (
    select distinct author_key from {{ref.stg_work_authors}}
    union
    select author_key from documents
),

-- A merged record points at another, which may have been merged in turn; five
-- steps is as far as Open Library itself follows.
steps as (
    select
        author_key,
        author_key as reached_key,
        0 as step
    from credited

    union all

    select
        steps.author_key,
        redirects.redirect_author_key as reached_key,
        steps.step + 1 as step
    from steps
    inner join redirects on steps.reached_key = redirects.author_key
    where steps.step < 5
),

last_steps as (
    select
        author_key,
        reached_key,
        row_number() over (
            partition by author_key
            order by step desc
        ) as last_rank
    from steps
),

-- Records that redirect in a circle lead nowhere: each stays itself.
merged as (
    select
        last_steps.author_key,
        case
            when redirects.author_key is null then last_steps.reached_key
            else last_steps.author_key
        end as merged_key
    from last_steps
    left join redirects on last_steps.reached_key = redirects.author_key
    where last_steps.last_rank = 1
),

final as (
    select
        merged.author_key as landed_author_key,
        coalesce(aliases.canonical_author_key, merged.merged_key) as author_key
    from merged
    left join aliases on merged.merged_key = aliases.author_key
)

select * from final
