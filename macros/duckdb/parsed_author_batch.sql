map_entries(try(from_json({{body}}, '{"result": "MAP(VARCHAR, JSON)"}')).result)
