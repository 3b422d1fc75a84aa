select book_key
from {{ref.boks}}
