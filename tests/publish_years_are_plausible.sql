select
    work_key,
    publish_year,
    as_of_year,
    year_status
from {{ref.dim_books}}
where
    publish_year < {{vars.min_year}}
    or publish_year > as_of_year + 1
    or (publish_year is null) <> (year_status in ('missing', 'implausible'))
