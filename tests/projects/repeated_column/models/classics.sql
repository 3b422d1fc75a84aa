select book_key, title as book_key from {{ref.books}}
