select book_key, title, publish_year, 'B1' as first_key
from {{ref.books}}
