with works as (
    select * from {{ref.stg_works}}
),

elements as (
    select
        works.run_id,
        works.work_key,
        replace(element.author_key, '/authors/', '') as author_key,
        {{#element_of}}works.author_names, element.author_position{{/element_of}}
            as author_name,
        element.author_position
    from works
    cross join unnest(works.author_keys) with ordinality
        as element (author_key, author_position)
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
    from elements
    where author_key is not null
    group by run_id, work_key, author_key
)

select * from final
