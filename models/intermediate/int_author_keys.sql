with recursive records as (
    select * from {{ref.int_author_records}}
),

book_authors as (
    select * from {{ref.int_book_authors}}
),

aliases as (
    select * from {{ref.author_aliases}}
),

redirects as (
    select
        author_key,
        redirect_author_key
    from records
    where record_type = 'redirect' and redirect_author_key is not null
),

landed as (
    select landed_author_key as author_key from book_authors
    union
    select author_key from records
    union
    select canonical_author_key as author_key from aliases
),

-- A merged record points at another, which may have been merged in turn; five
-- steps is as far as Open Library itself follows.
steps as (
    select
        author_key,
        author_key as reached_key,
        0 as step
    from landed

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

-- The key that a reviewed alias names may itself have been merged since.
final as (
    select
        merged.author_key as landed_author_key,
        coalesce(canonical.merged_key, merged.merged_key) as author_key
    from merged
    left join aliases on merged.merged_key = aliases.author_key
    left join merged as canonical
        on aliases.canonical_author_key = canonical.author_key
)

select * from final
