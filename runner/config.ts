export interface ModelConfig {
    readonly materialized?: "view" | "table" | "ephemeral";
    readonly publish?: boolean;
}
export type ModelConfigTree = { readonly [folder: string]: ModelConfig | ModelConfigTree };
export interface ProjectConfig {
    readonly name: string;
    readonly target?: string;
    readonly vars?: Readonly<Record<string, string | number | boolean>>;
    readonly models?: ModelConfigTree;
    readonly seeds?: ModelConfigTree;
}
export interface Target {
    readonly folder: string;
    readonly attach?: Readonly<Record<string, string>>;
}
