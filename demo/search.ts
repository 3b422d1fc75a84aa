import type { Catalogue, Work } from "./catalogue-file.ts";
import { type Answer, fastApi, internalServerError, type StandInRequest } from "./http.ts";
import { ordered } from "./order.ts";
import { Parameters } from "./parameters.ts";
import { select, UnsupportedQuery } from "./query.ts";

/** What is answered when `fields` is not given. Source: worksearch/schemes/works.py, default_fetched_fields. */
const defaultFields = [
    ..."author_key author_name cover_edition_key cover_i ebook_access edition_count first_publish_year".split(" "),
    ..."has_fulltext ia ia_collection id_cita_press id_librivox id_openstax id_project_gutenberg".split(" "),
    ..."id_project_runeberg id_standard_ebooks id_wikisource key language lending_edition_s".split(" "),
    ..."lending_identifier_s public_scan_b series_key series_name series_position subtitle title".split(" "),
];

/** Indexed by Solr but not stored, so that no answer ever has them. */
const neverReturned = /^(?:(?:subject|person|place|time)_key|title_sort|.*_facet)$/;

/** Alternative ways to ask beside `q`: URL parameters that Open Library turns into a query of their field. */
const fieldParameters = ["title", "publisher", "subject", "place", "person", "time", "author_key"];

/**
 * GET /search.json. `shuffle` decides the order of works that the sort leaves equal.
 * Source: openlibrary/fastapi/search.py.
 */
export function search(catalogue: Catalogue, request: StandInRequest, shuffle: string): Answer {
    const parameters = new Parameters(request.query);
    const q = parameters.text("q") ?? "";
    if (q !== "" && q.length < 3) {
        const msg = "Value error, Query too short, must be at least 3 characters";
        parameters.report("q", "value_error", msg, q, { error: {} });
    } else if (q.toLowerCase() === "the") {
        const msg = "Value error, ('Invalid query; the following queries are not allowed: the',)";
        parameters.report("q", "value_error", msg, q, { error: {} });
    }
    const page = parameters.integer("page", 1, { min: 1 });
    const limit = parameters.integer("limit", 100, { min: 0 });
    const offset = parameters.integer("offset", null, { min: 0 });
    const rejection = parameters.rejection();
    if (rejection !== undefined) return rejection;
    if ([...request.query.keys()].some((name) => name.startsWith("solr_"))) {
        return fastApi({ detail: "Solr internals parameters are not allowed in this environment." }, 403);
    }

    const query = [q, ...fieldQueries(request.query)].filter((part) => part !== "").join(" AND ");
    let found: readonly Work[] | undefined;
    try {
        const selected = query === "" ? [] : select(catalogue, query);
        found = ordered(selected, parameters.text("sort") ?? "", shuffle);
    } catch (error) {
        if (!(error instanceof UnsupportedQuery)) throw error;
        return { status: 501, headers: { "Content-Type": "text/plain; charset=utf-8" }, body: error.message };
    }
    if (found === undefined) return internalServerError;
    const start = offset ?? (page - 1) * limit;
    const fields = requestedFields(request.query);
    return fastApi({
        numFound: found.length,
        start,
        numFoundExact: true,
        num_found: found.length,
        documentation_url: "https://openlibrary.org/dev/docs/api/search",
        q,
        offset,
        docs: found.slice(start, start + limit).map((work) => project(work, fields)),
    });
}

function fieldQueries(query: URLSearchParams): string[] {
    return fieldParameters.flatMap((name) =>
        query.getAll(name).map((value) => `${name}:${JSON.stringify(value.replaceAll("\\", ""))}`),
    );
}

/** The fields of `fields=a,b&fields=c`, in the order of the answer, or undefined for `*`. */
function requestedFields(query: URLSearchParams): readonly string[] | undefined {
    const asked = query.getAll("fields").flatMap((list) => list.split(",").map((field) => field.trim()));
    if (asked.includes("*")) return undefined;
    const fields = asked.some((field) => field !== "") ? asked : defaultFields;
    return [...new Set(fields)].filter((field) => !neverReturned.test(field)).sort();
}

/** `fields=*` means every stored field; availability is fetched elsewhere and has to be asked for by its name. */
function project(work: Work, fields: readonly string[] | undefined): Record<string, unknown> {
    const document: Record<string, unknown> = {};
    for (const name of fields ?? storedFields(work)) {
        if (work[name] !== undefined) document[name] = work[name];
    }
    return document;
}

function storedFields(work: Work): string[] {
    return Object.keys(work)
        .filter((name) => name !== "availability" && !neverReturned.test(name))
        .sort();
}
