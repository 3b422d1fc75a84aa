with changes as (
    select * from {{ref.int_work_changes}}
),

moved as (
    select
        changes.*,
        date_diff('second', previous_ended_at, ended_at) as seconds_between
    from changes
    where
        change = 'changed'
        and (
            want_to_read_count <> want_to_read_count_before
            or readinglog_count <> readinglog_count_before
            or ratings_count <> ratings_count_before
            or ratings_average is distinct from ratings_average_before
        )
),

final as (
    select
        run_id,
        previous_run_id,
        subject,
        work_key,
        title,
        want_to_read_count_before as want_to_read_before,
        want_to_read_count as want_to_read_now,
        want_to_read_count - want_to_read_count_before as want_to_read_change,
        -- What came within hours says little of a month.
        case
            when seconds_between >= 86400
                then
                    {{#exact_ratio}}
                        (want_to_read_count - want_to_read_count_before)
                        * 2592000,
                        seconds_between
                    {{/exact_ratio}}
        end as want_to_read_change_per_30_days,
        readinglog_count_before as readinglog_before,
        readinglog_count as readinglog_now,
        readinglog_count - readinglog_count_before as readinglog_change,
        ratings_count_before,
        ratings_count as ratings_count_now,
        ratings_count - ratings_count_before as ratings_count_change,
        ratings_average_before,
        ratings_average as ratings_average_now,
        {{#exact_ratio}}seconds_between, 86400{{/exact_ratio}} as days_between,
        previous_ended_at,
        ended_at
    from moved
)

select * from final
