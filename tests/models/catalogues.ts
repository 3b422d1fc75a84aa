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

/** The same catalogue at some other time: some works are gone or edited, figures moved, and some authors are merged. */
export function driftOf(
    { docs, authors }: ReturnType<typeof snapshotOf>,
    seed: number,
): { docs: Work[]; authors: CatalogueRecord[] } {
    const [target] = authors;
    return {
        docs: docs.flatMap((doc, n): Work[] => {
            const { author_key, author_name, ...rest } = doc;
            switch ((n * 7919 + seed * 104_729) % 11) {
                case 0:
                    return [];
                case 1:
                    return [{ ...doc, first_publish_year: 1900 + (seed % 100) }];
                case 2:
                    return [{ ...doc, want_to_read_count: seed, title: `Drifted ${seed % 3}` }];
                case 3:
                    return [rest];
                case 4:
                    return [
                        { ...doc, ratings_count: seed % 7, ratings_average: 1 + (seed % 5) / 3, readinglog_count: 3 },
                    ];
                case 5:
                    return [{ ...doc, edition_count: seed % 50 }];
                default:
                    return [doc];
            }
        }),
        authors: authors.map((record, n) =>
            n > 0 && target !== undefined && (n * 31 + seed) % 9 === 0
                ? { key: record.key, type: { key: "/type/redirect" }, location: target.key }
                : record,
        ),
    };
}
