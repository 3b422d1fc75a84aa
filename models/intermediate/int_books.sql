with runs as (
    select * from {{ref.int_current_runs}}
),

run_works as (
    select * from {{ref.int_run_works}}
),

works as (
    select * from {{ref.stg_works}}
),

-- The run of one of its subjects is not always that of another.
current_works as (
    select distinct
        runs.run_id,
        runs.as_of_year,
        runs.started_at,
        run_works.work_key
    from run_works
    inner join runs
        on
            run_works.run_id = runs.run_id
            and run_works.subject = runs.subject
),

-- A work in two runs: the newer one is what is known of it.
ranked as (
    select
        works.*,
        current_works.as_of_year,
        row_number() over (
            partition by works.work_key
            order by current_works.started_at desc, current_works.run_id desc
        ) as run_rank
    from works
    inner join current_works
        on
            works.run_id = current_works.run_id
            and works.work_key = current_works.work_key
),

newest as (
    select * from ranked where run_rank = 1
),

answered_years as (
    select
        work_key,
        as_of_year,
        unnest(publish_years) as publish_year
    from newest

    union all

    select
        work_key,
        as_of_year,
        first_publish_year as publish_year
    from newest
),

plausible_years as (
    select distinct
        work_key,
        publish_year
    from answered_years
    where publish_year between {{vars.min_year}} and as_of_year + 1
),

year_ranks as (
    select
        work_key,
        publish_year,
        row_number() over (
            partition by work_key
            order by publish_year
        ) as year_rank
    from plausible_years
),

years as (
    select
        work_key,
        count(*) as plausible_year_count,
        min(publish_year) as first_year,
        min(case when year_rank = 2 then publish_year end) as second_year
    from year_ranks
    group by work_key
),

raw_years as (
    select
        work_key,
        count(distinct publish_year) as answered_year_count
    from answered_years
    group by work_key
),

judged as (
    select
        newest.*,
        years.first_year,
        years.second_year,
        coalesce(years.plausible_year_count, 0) as edition_year_count,
        raw_years.answered_year_count,
        {{vars.year_outlier_rule}}
        and years.plausible_year_count >= {{vars.year_outlier_min_years}}
        and years.second_year - years.first_year > {{vars.year_outlier_gap}}
            as is_first_year_outlier
    from newest
    inner join raw_years on newest.work_key = raw_years.work_key
    left join years on newest.work_key = years.work_key
),

final as (
    select
        run_id,
        work_key,
        title,
        subtitle,
        languages,
        series_names,
        series_positions,
        ebook_access,
        cover_edition_key,
        page_url,
        case
            when answered_year_count = 0 then 'missing'
            when first_year is null then 'implausible'
            when is_first_year_outlier then 'outlier_dropped'
            when first_publish_year is null or first_publish_year = first_year
                then 'ok'
            else 'implausible_dropped'
        end as year_status,
        case when is_first_year_outlier then second_year else first_year end
            as publish_year,
        first_publish_year as publish_year_raw,
        edition_year_count,
        edition_count,
        number_of_pages_median,
        ratings_average,
        ratings_count,
        ratings_count_1,
        ratings_count_2,
        ratings_count_3,
        ratings_count_4,
        ratings_count_5,
        readinglog_count,
        want_to_read_count,
        currently_reading_count,
        already_read_count,
        osp_count,
        cover_id,
        as_of_year,
        has_fulltext,
        has_public_scan,
        work_key like '%M' as is_orphan_edition,
        fetched_at
    from judged
)

select * from final
