with runs as (
    select * from {{ref.stg_extract_runs}}
),

records as (
    select * from {{ref.stg_authors}}
),

{{#incremental}}
kept as (
    select
        author_history.*,
        row_number() over (
            partition by extract_source, author_key
            order by fetched_at desc, run_id desc
        ) as recency
    from {{this}} as author_history
),
{{/incremental}}

observed as (
    select
        records.run_id,
        records.author_key,
        runs.extract_source,
        records.record_type,
        records.redirect_author_key,
        records.author_name,
        records.revision,
        true as is_landed,
        records.fetched_at
    from records
    inner join runs on records.run_id = runs.run_id
    {{#incremental}}
    left join kept
        on
            records.author_key = kept.author_key
            and runs.extract_source = kept.extract_source
            and kept.recency = 1
    where kept.fetched_at is null or records.fetched_at > kept.fetched_at

    union all

    select
        run_id,
        author_key,
        extract_source,
        record_type,
        redirect_author_key,
        author_name,
        revision,
        false as is_landed,
        fetched_at
    from kept
    where recency = 1
    {{/incremental}}
),

compared as (
    select
        observed.*,
        row_number() over (
            partition by extract_source, author_key
            order by fetched_at, run_id
        ) as times_seen,
        lag(record_type) over (
            partition by extract_source, author_key
            order by fetched_at, run_id
        ) as last_record_type,
        lag(redirect_author_key) over (
            partition by extract_source, author_key
            order by fetched_at, run_id
        ) as last_redirect_author_key,
        lag(author_name) over (
            partition by extract_source, author_key
            order by fetched_at, run_id
        ) as last_author_name
    from observed
),

final as (
    select
        run_id,
        author_key,
        extract_source,
        record_type,
        redirect_author_key,
        author_name,
        revision,
        fetched_at
    from compared
    where
        is_landed
        and (
            times_seen = 1
            or record_type is distinct from last_record_type
            or redirect_author_key is distinct from last_redirect_author_key
            or author_name is distinct from last_author_name
        )
)

select * from final
