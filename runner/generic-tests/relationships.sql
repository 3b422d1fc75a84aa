select child.*
from (select * from {{model}} where {{column_name}} is not null) as child
where not exists (
    select 1
    from {{to}} as parent
    where parent.{{field}} = child.{{column_name}}
)
