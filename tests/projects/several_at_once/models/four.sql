select book_key, count(*) as n from {{ref.books}}
