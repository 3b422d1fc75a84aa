with changes as (
    select * from {{ref.int_work_changes}}
),

compared as (
    select
        changes.*,
        change as change_kind,
        cast(null as varchar) as value_before,
        cast(null as varchar) as value_now
    from changes
    where change in ('added', 'gone')

    union all

    select
        changes.*,
        'title' as change_kind,
        title_before as value_before,
        title as value_now
    from changes
    where change = 'changed'

    union all

    select
        changes.*,
        'authors' as change_kind,
        author_keys_before as value_before,
        author_keys as value_now
    from changes
    where change = 'changed'

    union all

    select
        changes.*,
        'year' as change_kind,
        cast(first_publish_year_before as varchar) as value_before,
        cast(first_publish_year as varchar) as value_now
    from changes
    where change = 'changed'

    union all

    select
        changes.*,
        'editions' as change_kind,
        cast(edition_count_before as varchar) as value_before,
        cast(edition_count as varchar) as value_now
    from changes
    where change = 'changed'
),

final as (
    select
        run_id,
        previous_run_id,
        subject,
        work_key,
        case change when 'gone' then title_before else title end as title,
        change_kind as change,
        value_before,
        value_now,
        previous_ended_at,
        ended_at
    from compared
    where change <> 'changed' or value_before is distinct from value_now
)

select * from final
