nullif(array_to_string(list_sort(list_distinct({{list}})), {{separator}}), '')
