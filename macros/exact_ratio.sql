cast(1e0 * {{dividend}} / nullif({{divisor}}, 0) as decimal(18, 6))
