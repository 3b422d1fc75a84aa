import type { Catalogue, Work } from "./catalogue-file.ts";
import { type Answer, type StandInRequest, webPy } from "./http.ts";

/**
 * GET /authors/OL1A.json, /works/OL1W.json: the stored document with 200, also when it is a redirect or a deletion.
 * Source: infogami/plugins/api/code.py, view.GET.
 */
export function entityDocument(catalogue: Catalogue, key: string): Answer {
    const found = documentOf(catalogue, key);
    return found === undefined ? webPy({ error: "notfound", key }, 404) : webPy(found);
}

/**
 * GET /api/get_many?keys=["/authors/OL1A",...]: documents by key, without those that are missing.
 * A list that can't be read is a failure told with 200. Source: infogami/plugins/api/code.py, infobase_request.
 */
export function manyDocuments(catalogue: Catalogue, request: StandInRequest): Answer {
    let keys: unknown;
    try {
        keys = JSON.parse(request.query.getAll("keys").at(-1) ?? "");
    } catch {
        keys = undefined;
    }
    if (!Array.isArray(keys) || !keys.every((key) => typeof key === "string")) {
        return webPy({ status: "fail", message: "keys is not a JSON list of strings" });
    }
    const result: Record<string, unknown> = {};
    for (const key of keys) {
        const found = documentOf(catalogue, key);
        if (found !== undefined) result[key] = found;
    }
    return webPy({ status: "ok", result });
}

function documentOf(catalogue: Catalogue, key: string): unknown {
    const work = catalogue.workOf.get(key);
    return work === undefined ? catalogue.documents.get(key) : workDocument(work);
}

/** Made from what the catalogue knows: a stored document also has revisions and dates, which it does not. */
function workDocument(work: Work): Record<string, unknown> {
    const orphan = work.key.endsWith("M");
    const authors = work.author_key?.map((olid) => {
        const author = { key: `/authors/${olid}` };
        return orphan ? author : { type: { key: "/type/author_role" }, author };
    });
    const fields = {
        key: orphan ? work.key.replace("/works/", "/books/") : work.key,
        type: { key: orphan ? "/type/edition" : "/type/work" },
        title: work.title === "__None__" ? undefined : work.title,
        subtitle: work.subtitle,
        authors,
        subjects: work.subject,
        subject_people: work.person,
        subject_places: work.place,
        subject_times: work.time,
        covers: work.cover_i === undefined ? undefined : [work.cover_i],
    };
    return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
