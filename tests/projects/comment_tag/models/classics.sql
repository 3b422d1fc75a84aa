select book_key
-- from {{ref.old_books}}
from {{ref.books}}
