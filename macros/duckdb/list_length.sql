coalesce(len({{list}}), 0)
