select alias.author_key
from {{ref.author_aliases}} as alias
inner join {{ref.author_aliases}} as other
    on alias.author_key = other.canonical_author_key
