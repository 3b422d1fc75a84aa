nullif(array_to_string({{list}}, {{separator}}), '')
