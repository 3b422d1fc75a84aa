with steps as (
    select * from {{ref.int_run_steps}}
),

run_works as (
    select * from {{ref.int_run_works}}
),

works as (
    select * from {{ref.stg_works}}
),

{{#incremental}}
kept as (
    select
        work_history.*,
        row_number() over (
            partition by subject, extract_source, work_key
            order by run_number desc
        ) as recency
    from {{this}} as work_history
),

kept_runs as (
    select
        subject,
        extract_source,
        max(run_number) as run_number
    from kept
    group by subject, extract_source
),
{{/incremental}}

-- Of a run whose pages are no longer there, every work would seem to be gone.
landed as (
    select distinct
        run_id,
        subject
    from run_works
),

new_runs as (
    select
        steps.run_id,
        steps.subject,
        steps.extract_source,
        steps.run_number,
        row_number() over (
            partition by steps.subject, steps.extract_source
            order by steps.run_number
        ) as step
    from steps
    inner join landed
        on
            steps.run_id = landed.run_id
            and steps.subject = landed.subject
    {{#incremental}}
    left join kept_runs
        on
            steps.subject = kept_runs.subject
            and steps.extract_source = kept_runs.extract_source
    where steps.run_number > coalesce(kept_runs.run_number, 0)
    {{/incremental}}
),

-- What each new run has of its subject, and, as step 0, what was kept last.
observed as (
    select
        new_runs.subject,
        works.work_key,
        new_runs.extract_source,
        new_runs.step,
        works.title,
        replace(
            {{#sorted_text}}works.author_keys, '; '{{/sorted_text}},
            '/authors/',
            ''
        ) as author_keys,
        works.first_publish_year,
        works.edition_count,
        cast(works.ratings_average as decimal(18, 6)) as ratings_average,
        works.ratings_count,
        works.readinglog_count,
        works.want_to_read_count
    from new_runs
    inner join run_works
        on
            new_runs.run_id = run_works.run_id
            and new_runs.subject = run_works.subject
    inner join works
        on
            run_works.run_id = works.run_id
            and run_works.work_key = works.work_key
    {{#incremental}}

    union all

    select
        kept.subject,
        kept.work_key,
        kept.extract_source,
        0 as step,
        kept.title,
        kept.author_keys,
        kept.first_publish_year,
        kept.edition_count,
        kept.ratings_average,
        kept.ratings_count,
        kept.readinglog_count,
        kept.want_to_read_count
    from kept
    inner join new_runs
        on
            kept.subject = new_runs.subject
            and kept.extract_source = new_runs.extract_source
            and new_runs.step = 1
    where kept.recency = 1 and not kept.is_gone
    {{/incremental}}
),

changed as (
    select
        coalesce(this_run.subject, last_run.subject) as subject,
        coalesce(this_run.work_key, last_run.work_key) as work_key,
        coalesce(this_run.extract_source, last_run.extract_source)
            as extract_source,
        coalesce(this_run.step, last_run.step + 1) as step,
        this_run.title,
        this_run.author_keys,
        this_run.first_publish_year,
        this_run.edition_count,
        this_run.ratings_average,
        this_run.ratings_count,
        this_run.readinglog_count,
        this_run.want_to_read_count,
        this_run.work_key is null as is_gone
    from observed as this_run
    full join observed as last_run
        on
            this_run.subject = last_run.subject
            and this_run.extract_source = last_run.extract_source
            and this_run.work_key = last_run.work_key
            and this_run.step = last_run.step + 1
    where
        this_run.work_key is null
        or last_run.work_key is null
        or this_run.title is distinct from last_run.title
        or this_run.author_keys is distinct from last_run.author_keys
        or this_run.first_publish_year
        is distinct from last_run.first_publish_year
        or this_run.edition_count is distinct from last_run.edition_count
        or this_run.ratings_average is distinct from last_run.ratings_average
        or this_run.ratings_count is distinct from last_run.ratings_count
        or this_run.readinglog_count
        is distinct from last_run.readinglog_count
        or this_run.want_to_read_count
        is distinct from last_run.want_to_read_count
),

final as (
    select
        new_runs.run_id,
        changed.subject,
        changed.work_key,
        changed.extract_source,
        changed.title,
        changed.author_keys,
        new_runs.run_number,
        changed.first_publish_year,
        changed.edition_count,
        changed.ratings_average,
        changed.ratings_count,
        changed.readinglog_count,
        changed.want_to_read_count,
        changed.is_gone
    from changed
    inner join new_runs
        on
            changed.subject = new_runs.subject
            and changed.extract_source = new_runs.extract_source
            and changed.step = new_runs.step
)

select * from final
