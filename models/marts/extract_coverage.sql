with runs as (
    select * from {{ref.stg_extract_runs}}
),

subjects as (
    select * from {{ref.stg_extract_subjects}}
),

current_runs as (
    select * from {{ref.int_current_runs}}
),

works as (
    select
        run_id,
        subject,
        count(*) as works_staged
    from {{ref.int_run_works}}
    group by run_id, subject
),

docs as (
    select
        run_id,
        page_subject_key,
        count(*) - count(distinct work_key) as rows_repeated
    from {{ref.stg_search_docs}}
    group by run_id, page_subject_key
),

authors as (
    select
        run_id,
        count(*) as author_records_staged
    from {{ref.stg_authors}}
    group by run_id
),

final as (
    select
        runs.run_id,
        subjects.subject,
        runs.extract_source,
        runs.base_url,
        subjects.status,
        subjects.message,
        runs.status as run_status,
        runs.message as run_message,
        runs.max_works,
        subjects.num_found,
        coalesce(works.works_staged, 0) as works_staged,
        subjects.num_found - coalesce(works.works_staged, 0) as works_missing,
        coalesce(docs.rows_repeated, 0) as rows_repeated,
        runs.rows_quarantined,
        runs.authors_wanted,
        runs.authors_landed,
        runs.authors_reused,
        coalesce(authors.author_records_staged, 0) as author_records_staged,
        runs.pages_landed,
        runs.requests,
        current_runs.run_id is not null as is_current,
        runs.started_at,
        runs.ended_at
    from subjects
    inner join runs on subjects.run_id = runs.run_id
    left join works
        on
            subjects.run_id = works.run_id
            and subjects.subject = works.subject
    left join docs
        on
            subjects.run_id = docs.run_id
            and subjects.subject_key = docs.page_subject_key
    left join authors on subjects.run_id = authors.run_id
    left join current_runs
        on
            subjects.run_id = current_runs.run_id
            and subjects.subject = current_runs.subject
)

select * from final
