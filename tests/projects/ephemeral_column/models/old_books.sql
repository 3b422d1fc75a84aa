select
    book_key,
    yaer
from {{ref.books}}
