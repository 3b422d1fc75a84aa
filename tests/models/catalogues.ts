import type { CatalogueRecord, Work } from "../../demo/catalogue-file.ts";
import { generate } from "../../demo/generator.ts";

export function isWork(record: CatalogueRecord): record is Work {
    return record.key.startsWith("/works/");
}

/** Pages of `size` documents, each beginning with the last `overlap` of the one before. */
export function pagesOf<T>(docs: readonly T[], size: number, overlap: number): T[][] {
    const pages: T[][] = [];
    for (let at = 0; at < docs.length; at += size) pages.push(docs.slice(Math.max(0, at - overlap), at + size));
    return pages;
}

/** A made-up catalogue as its works and its author documents. */
export function snapshotOf(works: number, seed: number): { docs: Work[]; authors: CatalogueRecord[] } {
    const records = [...generate({ works, seed })];
    return { docs: records.filter(isWork), authors: records.filter((record) => !isWork(record)) };
}

/** The seed author_aliases. */
export function aliasFile(aliases: Readonly<Record<string, string>>): string {
    const lines = Object.entries(aliases).map(([alias, canonical]) => `${alias},${canonical},test\n`);
    return `author_key,canonical_author_key,note\n${lines.join("")}`;
}
