select book_key from {{ref.books}}
