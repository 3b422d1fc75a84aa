with runs as (
    select * from {{ref.stg_extract_runs}}
),

current_runs as (
    select * from {{ref.int_current_runs}}
),

docs as (
    select
        run_id,
        count(*) as rows_staged,
        count(distinct work_key) as works_staged
    from {{ref.stg_search_docs}}
    group by run_id
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
        runs.subject,
        runs.base_url,
        runs.status,
        runs.message,
        runs.max_works,
        runs.num_found,
        coalesce(docs.works_staged, 0) as works_staged,
        runs.num_found - coalesce(docs.works_staged, 0) as works_missing,
        coalesce(docs.rows_staged, 0) - coalesce(docs.works_staged, 0)
            as rows_repeated,
        runs.rows_quarantined,
        runs.authors_wanted,
        runs.authors_landed,
        coalesce(authors.author_records_staged, 0) as author_records_staged,
        runs.pages_landed,
        runs.requests,
        current_runs.run_id is not null as is_current,
        runs.started_at,
        runs.ended_at
    from runs
    left join docs on runs.run_id = docs.run_id
    left join authors on runs.run_id = authors.run_id
    left join current_runs on runs.run_id = current_runs.run_id
)

select * from final
