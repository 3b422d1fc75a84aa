select
    'Ὅμηρος Ἰλιάς — 書' as author, titel as title
from {{ref.books}}
