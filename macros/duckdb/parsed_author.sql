try(from_json({{document}}, '{
    "key": "VARCHAR",
    "type": {"key": "VARCHAR"},
    "location": "VARCHAR",
    "name": "VARCHAR",
    "personal_name": "VARCHAR",
    "birth_date": "VARCHAR",
    "death_date": "VARCHAR",
    "alternate_names": ["VARCHAR"],
    "revision": "BIGINT",
    "last_modified": {"value": "VARCHAR"}
}'))
