with works as (
    select * from {{ref.stg_works}}
),

elements as (
    select
        run_id,
        work_key,
        author_names,
        unnest(author_keys) as author_path,
        generate_subscripts(author_keys, 1) as author_position
    from works
),

named as (
    select
        run_id,
        work_key,
        replace(author_path, '/authors/', '') as author_key,
        {{#element_of}}author_names, author_position{{/element_of}}
            as author_name,
        author_position
    from elements
),

-- A record may list the same author twice.
final as (
    select
        run_id,
        work_key,
        author_key,
        min(nullif(trim(author_name), '')) as author_name,
        min(author_position) as author_position,
        count(*) as times_listed
    from named
    where author_key is not null
    group by run_id, work_key, author_key
)

select * from final
