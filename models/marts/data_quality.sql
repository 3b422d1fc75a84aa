with subject_works as (
    select * from {{ref.int_subject_works}}
),

books as (
    select * from {{ref.int_books}}
),

credits as (
    select * from {{ref.int_author_credits}}
),

authors as (
    select * from {{ref.dim_authors}}
),

runs as (
    select * from {{ref.int_current_runs}}
),

quarantine as (
    select * from {{ref.stg_quarantine}}
),

extract_subjects as (
    select * from {{ref.stg_extract_subjects}}
),

coverage as (
    select * from {{ref.extract_coverage}}
),

author_counts as (
    select
        work_key,
        count(*) as author_count
    from credits
    group by work_key
),

-- Two works of one author with the same words for a title may be one book.
titles as (
    select distinct
        books.work_key,
        credits.author_key,
        {{#plain_words}}books.title{{/plain_words}} as plain_title
    from books
    inner join credits on books.work_key = credits.work_key
),

repeated_titles as (
    select
        author_key,
        plain_title
    from titles
    where plain_title <> ''
    group by author_key, plain_title
    having count(*) > 1
),

duplicate_candidates as (
    select distinct titles.work_key
    from titles
    inner join repeated_titles
        on
            titles.author_key = repeated_titles.author_key
            and titles.plain_title = repeated_titles.plain_title
),

book_checks as (
    select
        subject_works.subject,
        count(*) as works_total,
        count(*) filter (where books.year_status = 'missing') as year_missing,
        count(*) filter (where books.year_status = 'implausible')
            as year_implausible,
        count(*) filter (where books.year_status = 'implausible_dropped')
            as year_implausible_dropped,
        count(*) filter (where books.year_status = 'outlier_dropped')
            as year_outlier_dropped,
        count(*) filter (where books.title is null) as title_missing,
        count(*) filter (where author_counts.work_key is null)
            as author_missing,
        count(*) filter (where books.is_orphan_edition) as orphan_edition,
        count(*) filter (where duplicate_candidates.work_key is not null)
            as duplicate_candidate
    from subject_works
    inner join books on subject_works.work_key = books.work_key
    left join author_counts on subject_works.work_key = author_counts.work_key
    left join duplicate_candidates
        on subject_works.work_key = duplicate_candidates.work_key
    group by subject_works.subject
),

subject_authors as (
    select distinct
        subject_works.subject,
        credits.author_key
    from subject_works
    inner join credits on subject_works.work_key = credits.work_key
),

-- One name under several keys is usually one person, sometimes two.
same_names as (
    select
        subject_authors.subject,
        {{#plain_words}}authors.author_name{{/plain_words}} as plain_name,
        count(*) as key_count
    from subject_authors
    inner join authors on subject_authors.author_key = authors.author_key
    where authors.author_kind <> 'placeholder'
    group by
        subject_authors.subject,
        {{#plain_words}}authors.author_name{{/plain_words}}
),

same_name_checks as (
    select
        subject,
        sum(key_count - 1) as same_name_key
    from same_names
    where plain_name <> '' and key_count > 1
    group by subject
),

author_checks as (
    select
        book_checks.subject,
        count(authors.author_key) as authors_total,
        count(authors.author_key) filter (where authors.author_name is null)
            as name_missing,
        count(authors.author_key) filter (where authors.author_kind <> 'person')
            as no_person,
        count(authors.author_key)
        filter (where authors.record_status = 'missing') as record_missing,
        count(authors.author_key)
        filter (where authors.record_status = 'deleted') as record_deleted,
        count(authors.author_key)
        filter (where authors.merged_author_keys is not null) as merged_key
    from book_checks
    left join subject_authors on book_checks.subject = subject_authors.subject
    left join authors on subject_authors.author_key = authors.author_key
    group by book_checks.subject
),

-- What is on no page of one subject concerns all subjects of its run.
quarantined as (
    select
        extract_subjects.run_id,
        extract_subjects.subject,
        count(*) as row_quarantined
    from extract_subjects
    inner join quarantine
        on
            extract_subjects.run_id = quarantine.run_id
            and extract_subjects.subject_key = coalesce(
                quarantine.page_subject_key, extract_subjects.subject_key
            )
    group by extract_subjects.run_id, extract_subjects.subject
),

landing_checks as (
    select
        runs.subject,
        coverage.num_found,
        coverage.works_staged,
        greatest(coverage.works_missing, 0) as work_missing,
        greatest(-coverage.works_missing, 0) as work_uncounted,
        coverage.rows_repeated,
        coalesce(quarantined.row_quarantined, 0) as row_quarantined
    from runs
    inner join coverage
        on
            runs.run_id = coverage.run_id
            and runs.subject = coverage.subject
    left join quarantined
        on
            runs.run_id = quarantined.run_id
            and runs.subject = quarantined.subject
),

checks as (
    select subject, 'work: no year answered' as check_name, year_missing as affected, works_total as total from book_checks
    union all
    select subject, 'work: no plausible year', year_implausible, works_total from book_checks
    union all
    select subject, 'work: first year answered is implausible, next taken', year_implausible_dropped, works_total from book_checks
    union all
    select subject, 'work: first year stands apart, next taken', year_outlier_dropped, works_total from book_checks
    union all
    select subject, 'work: no title', title_missing, works_total from book_checks
    union all
    select subject, 'work: no author', author_missing, works_total from book_checks
    union all
    select subject, 'work: an edition without a work', orphan_edition, works_total from book_checks
    union all
    select subject, 'work: same author and title as another', duplicate_candidate, works_total from book_checks
    union all
    select subject, 'author: no name', name_missing, authors_total from author_checks
    union all
    select subject, 'author: a body or a placeholder', no_person, authors_total from author_checks
    union all
    select subject, 'author: no record', record_missing, authors_total from author_checks
    union all
    select subject, 'author: record deleted', record_deleted, authors_total from author_checks
    union all
    select subject, 'author: stands for other keys too', merged_key, authors_total from author_checks
    union all
    select author_checks.subject, 'author: same name as another', coalesce(same_name_checks.same_name_key, 0), author_checks.authors_total
    from author_checks
    left join same_name_checks on author_checks.subject = same_name_checks.subject
    union all
    select subject, 'landing: works counted but not landed', work_missing, num_found from landing_checks
    union all
    select subject, 'landing: works landed but not counted', work_uncounted, works_staged from landing_checks
    union all
    select subject, 'landing: work repeated on another page', rows_repeated, works_staged from landing_checks
    union all
    select subject, 'landing: row quarantined', row_quarantined, works_staged from landing_checks
),

final as (
    select
        subject,
        check_name,
        cast(affected as bigint) as affected,
        cast(total as bigint) as total,
        {{#exact_ratio}}affected, total{{/exact_ratio}} as share
    from checks
)

select * from final
