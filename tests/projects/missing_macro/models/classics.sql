select {{#century_off}}publish_year{{/century_off}} as century
from {{ref.books}}
