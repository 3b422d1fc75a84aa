export default { name: "case", models: { stagging: { materialized: "table" } } };
