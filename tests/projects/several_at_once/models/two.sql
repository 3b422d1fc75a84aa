select sum(title) as total from {{ref.books}}
