-- The year 1900 is still of the 19th century.
century({{year}}) + no_such_column
