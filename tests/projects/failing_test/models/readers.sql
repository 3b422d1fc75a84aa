select book_key from {{ref.classics}}
