select *
from {{model}}
where ({{expression}}) is not true
