select * from {{ref.classics}} where book_key is null
