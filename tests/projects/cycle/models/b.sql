select * from {{ref.a}}
