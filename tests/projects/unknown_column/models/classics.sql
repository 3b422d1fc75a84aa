with books as (
    select * from {{ref.books}}
)

select
    book_key,
    titel
from books
