select
    book_key,,
    title
from {{ref.books}}
