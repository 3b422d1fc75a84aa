regexp_full_match({{isbn}}, '[0-9]{9}[0-9X]|[0-9]{13}')
