with history as (
    select * from {{ref.work_history}}
),

steps as (
    select * from {{ref.int_run_steps}}
),

-- Few works change: the others need not be put in order.
changed_works as (
    select distinct
        subject,
        extract_source,
        work_key
    from history
    where run_number > 1
),

states as (
    select
        history.*,
        row_number() over (
            partition by
                history.subject, history.extract_source, history.work_key
            order by history.run_number
        ) as state_number
    from history
    inner join changed_works
        on
            history.subject = changed_works.subject
            and history.extract_source = changed_works.extract_source
            and history.work_key = changed_works.work_key
),

final as (
    select
        states.run_id,
        steps.previous_run_id,
        states.subject,
        states.work_key,
        states.extract_source,
        case
            when states.is_gone then 'gone'
            when coalesce(before.is_gone, true) then 'added'
            else 'changed'
        end as change,
        before.title as title_before,
        states.title,
        before.author_keys as author_keys_before,
        states.author_keys,
        before.first_publish_year as first_publish_year_before,
        states.first_publish_year,
        before.edition_count as edition_count_before,
        states.edition_count,
        before.ratings_average as ratings_average_before,
        states.ratings_average,
        before.ratings_count as ratings_count_before,
        states.ratings_count,
        before.readinglog_count as readinglog_count_before,
        states.readinglog_count,
        before.want_to_read_count as want_to_read_count_before,
        states.want_to_read_count,
        steps.previous_ended_at,
        steps.ended_at
    from states
    inner join steps
        on
            states.run_id = steps.run_id
            and states.subject = steps.subject
    left join states as before
        on
            states.subject = before.subject
            and states.extract_source = before.extract_source
            and states.work_key = before.work_key
            and states.state_number = before.state_number + 1
    where states.run_number > 1
)

select * from final
