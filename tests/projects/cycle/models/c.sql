select *
from {{ref.b}}
