with works as (
    select * from {{ref.stg_works}}
),

elements as (
    select
        run_id,
        work_key,
        unnest(isbns) as isbn
    from works
),

compact as (
    select
        run_id,
        work_key,
        upper(replace(replace(isbn, '-', ''), ' ', '')) as isbn
    from elements
),

final as (
    select distinct
        run_id,
        work_key,
        isbn
    from compact
    where {{#is_isbn}}isbn{{/is_isbn}}
)

select * from final
