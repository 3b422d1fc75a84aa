select
    {{columns}},
    count(*) as n_records
from {{model}}
where {{present}}
group by {{columns}}
having count(*) > 1
