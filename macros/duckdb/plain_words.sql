trim(regexp_replace(strip_accents(lower(regexp_replace({{text}}, '\([^)]*\)|\[[^\]]*\]', ' ', 'g'))), '[^\p{L}\p{N}]+', ' ', 'g'))
