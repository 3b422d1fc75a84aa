-- A run that says it is complete has as many distinct works as the service counted.
select
    run_id,
    subject,
    num_found,
    works_staged,
    works_missing
from {{ref.extract_coverage}}
where status = 'complete' and works_missing <> 0
