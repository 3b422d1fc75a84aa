select * from query('select * from main.books')
