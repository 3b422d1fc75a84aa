select * from {{ref.c}}
