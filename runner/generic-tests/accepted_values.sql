select
    {{column_name}},
    count(*) as n_records
from {{model}}
where {{column_name}} not in ({{values}})
group by {{column_name}}
