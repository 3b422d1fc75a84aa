select book_key, title, publish_year, publish_year > 1900 as is_modern, 1 as n from {{ref.books}}
