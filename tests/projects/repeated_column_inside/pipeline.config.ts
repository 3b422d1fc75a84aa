export default { name: "case", vars: { min_year: 1450 } };
