select book_kee from {{ref.books}}
