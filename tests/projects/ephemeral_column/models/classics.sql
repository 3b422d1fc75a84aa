with old as (select * from {{ref.old_books}})

select * from old
