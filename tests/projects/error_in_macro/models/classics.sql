select
    book_key,
    {{#century_of}}make_date(publish_year, 1, 1){{/century_of}} as century
from {{ref.books}}
