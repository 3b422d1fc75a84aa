select
    {{columns}},
    count(*) as n_records
from {{model}}
group by {{columns}}
having count(*) > 1
