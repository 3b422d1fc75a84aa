list_extract({{list}}, {{position}})
