select * from {{ref.one}}
