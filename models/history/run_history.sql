with runs as (
    select * from {{ref.stg_extract_runs}}
),

subjects as (
    select * from {{ref.stg_extract_subjects}}
),

run_works as (
    select
        run_id,
        subject,
        count(*) as works
    from {{ref.int_run_works}}
    group by run_id, subject
),

-- A failed run may still be gone on with; what the others landed stays so.
complete as (
    select
        runs.run_id,
        subjects.subject,
        runs.extract_source,
        run_works.works,
        runs.started_at,
        runs.ended_at
    from subjects
    inner join runs on subjects.run_id = runs.run_id
    inner join run_works
        on
            subjects.run_id = run_works.run_id
            and subjects.subject = run_works.subject
    where subjects.status = 'complete' and runs.status <> 'failed'
),

{{#incremental}}
kept as (
    select
        subject,
        extract_source,
        max(ended_at) as ended_at
    from {{this}}
    group by subject, extract_source
),
{{/incremental}}

final as (
    select complete.*
    from complete
    {{#incremental}}
    left join kept
        on
            complete.subject = kept.subject
            and complete.extract_source = kept.extract_source
    where kept.ended_at is null or complete.ended_at > kept.ended_at
    {{/incremental}}
)

select * from final
