select book_key
from {{ref.books}}
where title > publish_year - 1
