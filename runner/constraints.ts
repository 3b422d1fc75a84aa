import * as v from "valibot";

// dbt's `constraints:`. DuckDB's own slow a load down and can't be changed on a standing table, so tests hold them: before
// anything that reads the model, and before it is published.

const shared = {
    name: v.optional(v.string()),
    warn_unsupported: v.optional(v.boolean()),
    warn_unenforced: v.optional(v.boolean()),
};
const key = { ...shared, type: v.picklist(["not_null", "unique", "primary_key"]) };
const foreignKey = {
    ...shared,
    type: v.literal("foreign_key"),
    to: v.pipe(v.string(), v.description("ref('model') or source('source', 'table')")),
    to_columns: v.pipe(v.array(v.string()), v.length(1, "one column")),
};
const check = {
    ...shared,
    type: v.literal("check"),
    expression: v.pipe(v.string(), v.description("True or unknown for every row.")),
};
const columns = { columns: v.optional(v.array(v.string()), []) };

/** A constraint of a column. */
export const columnConstraintSchema = v.variant("type", [
    v.strictObject(key),
    v.strictObject(foreignKey),
    v.strictObject(check),
]);
/** A constraint of a model, which names its columns. */
export const modelConstraintSchema = v.variant("type", [
    v.strictObject({ ...key, ...columns }),
    v.strictObject({ ...foreignKey, ...columns }),
    v.strictObject({ ...check, ...columns }),
]);
export type ColumnConstraint = v.InferOutput<typeof columnConstraintSchema>;
export type ModelConstraint = v.InferOutput<typeof modelConstraintSchema>;

/** A generic test that holds a constraint, or a part of one. */
export interface ConstraintTest {
    readonly generic: string;
    readonly args: Readonly<Record<string, string>>;
}

/** What a constraint asks of its one column. */
export function testsOfColumn(constraint: ColumnConstraint): ConstraintTest[] {
    const test = (generic: string, args: ConstraintTest["args"] = {}): ConstraintTest => ({ generic, args });
    switch (constraint.type) {
        case "primary_key":
            return [test("not_null"), test("unique")];
        case "foreign_key":
            return [test("relationships", { to: constraint.to, field: constraint.to_columns.join() })];
        case "check":
            return [test("check_constraint", { expression: constraint.expression })];
        default:
            return [test(constraint.type)];
    }
}

/** What a model's constraint asks of its column `name`. */
export function partOfColumn(constraint: ModelConstraint, name: string): ConstraintTest[] {
    if (constraint.type === "check" || !constraint.columns.includes(name)) return [];
    const isAlone = constraint.columns.length === 1;
    return testsOfColumn(constraint).filter(({ generic }) => isAlone || generic !== "unique");
}

/** What a model's constraint asks of its rows as a whole. */
export function partOfModel(constraint: ModelConstraint): ConstraintTest[] {
    if (constraint.type === "check") return testsOfColumn(constraint);
    const { type, columns: names } = constraint;
    if (names.length < 2 || (type !== "unique" && type !== "primary_key")) return [];
    const present = names.map((name) => `${name} is not null`).join(" and ");
    return [{ generic: "unique_constraint", args: { columns: names.join(", "), present } }];
}
