split_part({{path}}, '/', 3)
