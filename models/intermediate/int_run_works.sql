with subjects as (
    select * from {{ref.stg_extract_subjects}}
),

docs as (
    select * from {{ref.stg_search_docs}}
),

labels as (
    select * from {{ref.stg_work_subjects}}
),

asked_for as (
    select
        subjects.run_id,
        subjects.subject,
        docs.work_key
    from docs
    inner join subjects
        on
            docs.run_id = subjects.run_id
            and docs.page_subject_key = subjects.subject_key
),

-- A work of two subjects is landed once a run: its labels tell of the other.
labelled as (
    select
        subjects.run_id,
        subjects.subject,
        labels.work_key
    from labels
    inner join subjects
        on
            labels.run_id = subjects.run_id
            and labels.subject_key = subjects.subject_key
),

whole_library as (
    select
        subjects.run_id,
        subjects.subject,
        docs.work_key
    from docs
    inner join subjects on docs.run_id = subjects.run_id
    where subjects.subject_key = '*'
),

final as (
    select * from asked_for
    union
    select * from labelled
    union
    select * from whole_library
)

select * from final
