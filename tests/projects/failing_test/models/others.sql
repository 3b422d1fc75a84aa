select title from {{ref.books}}
