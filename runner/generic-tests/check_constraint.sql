select *
from {{model}}
where not ({{expression}})
