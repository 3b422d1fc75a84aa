with history as (
    select * from {{ref.author_history}}
),

redirects as (
    select
        author_key,
        redirect_author_key,
        run_id,
        fetched_at,
        row_number() over (
            partition by author_key, redirect_author_key
            order by fetched_at, run_id
        ) as times_seen
    from history
    where record_type = 'redirect' and redirect_author_key is not null
),

own_records as (
    select
        author_key,
        min(fetched_at) as known_since
    from history
    where record_type = 'author'
    group by author_key
),

named as (
    select
        author_key,
        author_name,
        row_number() over (
            partition by author_key
            order by fetched_at desc, run_id desc
        ) as recency
    from history
    where author_name is not null
),

final as (
    select
        redirects.author_key,
        redirects.redirect_author_key as into_author_key,
        redirects.run_id,
        merged.author_name,
        author.author_name as into_author_name,
        own_records.known_since,
        redirects.fetched_at as seen_at
    from redirects
    left join own_records
        on
            redirects.author_key = own_records.author_key
            and redirects.fetched_at > own_records.known_since
    left join named as merged
        on
            redirects.author_key = merged.author_key
            and merged.recency = 1
    left join named as author
        on
            redirects.redirect_author_key = author.author_key
            and author.recency = 1
    where redirects.times_seen = 1
)

select * from final
