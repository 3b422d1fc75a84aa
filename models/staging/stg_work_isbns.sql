with works as (
    select * from {{ref.stg_works}}
),

elements as (
    select
        works.run_id,
        works.work_key,
        upper(replace(replace(element.isbn, '-', ''), ' ', '')) as isbn
    from works
    cross join unnest(works.isbns) as element (isbn)
),

final as (
    select distinct
        run_id,
        work_key,
        isbn
    from elements
    where {{#is_isbn}}isbn{{/is_isbn}}
)

select * from final
