select
    book_key,
    {{#century_of}}publish_year, greatest(1, 2){{/century_of}} as century
from {{ref.books}}
