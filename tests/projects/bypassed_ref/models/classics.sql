with readers as (select 1 as n)

select books.book_key
from main.books as books
cross join readers
