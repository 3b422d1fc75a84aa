export default { name: "case", models: { marts: { materialized: "veiw" } }, varz: {} };
