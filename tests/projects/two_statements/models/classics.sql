select book_key from {{ref.books}};
drop table books
