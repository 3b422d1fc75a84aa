select child.*
from (select * from {{model}} where {{column_name}} is not null) as child
where not exists (
    select 1
    from (select {{field}} as parent_value from {{to}}) as parent
    where parent.parent_value = child.{{column_name}}
)
