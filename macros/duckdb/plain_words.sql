trim(regexp_replace(
    regexp_replace(
        strip_accents(lower(regexp_replace({{text}}, '\([^)]*\)|\[[^\]]*\]', '', 'g'))),
        '[^\p{L}\p{N}\s]+', '', 'g'
    ),
    '\s+', ' ', 'g'
))
