select book_key, title, publish_year from {{ref.books}}
