import { type Catalogue, type SubjectField, subjectFields, subjectKey, type Work } from "./catalogue-file.ts";
import { type Answer, fastApi, internalServerError, type StandInRequest } from "./http.ts";
import { accessOf, ordered } from "./order.ts";
import { Parameters } from "./parameters.ts";

/** How many values of a facet are answered. */
const facetLimit = 25;

/** The least access that counts as full text: `ebook_access:[borrowable TO *]`. */
const borrowable = 3;

/**
 * GET /subjects/{name}.json, `name` decoded. `shuffle` decides the order of works that the sort leaves equal.
 * Source: openlibrary/fastapi/subjects.py and plugins/worksearch/subjects.py.
 */
export function subjects(catalogue: Catalogue, name: string, request: StandInRequest, shuffle: string): Answer {
    if (name.toLowerCase() !== name) return redirect(name.toLowerCase(), request);
    const parameters = new Parameters(request.query);
    const limit = parameters.integer("limit", 12, { min: 0, max: 1000 });
    const offset = parameters.integer("offset", 0, { min: 0 });
    // Checked and then not used: every page is the first one.
    parameters.integer("page", 1, { min: 1 });
    const details = parameters.flag("details");
    const hasFulltext = parameters.flag("has_fulltext");
    const rejection = parameters.rejection();
    if (rejection !== undefined) return rejection;

    const type = subjectFields.find((field) => name.startsWith(`${field}:`)) ?? "subject";
    const path = type === "subject" ? name : name.slice(type.length + 1);
    const years = publishedIn(parameters.text("published_in"));
    const selected = (catalogue.bySubject[type].get(subjectKey(path)) ?? []).filter(
        (work) =>
            (!hasFulltext || accessOf(work) >= borrowable) &&
            (years === undefined || work.publish_year?.some((year) => year >= years.from && year <= years.to) === true),
    );
    const found = ordered(selected, parameters.text("sort") ?? "editions", shuffle);
    if (found === undefined) return internalServerError;
    const facets = details ? facetsOf(selected, name, type) : undefined;
    return fastApi({
        key: `/subjects/${name}`,
        name: facets?.label ?? path.replaceAll("_", " "),
        subject_type: type,
        solr_query: solrQuery(type, path, years),
        work_count: found.length,
        works: found.slice(offset, offset + limit).map(item),
        ...facets?.counts,
        ...(hasFulltext ? { ebook_count: found.length } : {}),
    });
}

/** To the lower-cased name at the same host, with the query as it came. */
function redirect(name: string, request: StandInRequest): Answer {
    const query = request.url.includes("?") ? request.url.slice(request.url.indexOf("?")) : "";
    const location = `http://${request.headers.host ?? "127.0.0.1"}${encodeURI(`/subjects/${name}.json`)}${query}`;
    return { status: 301, headers: { Location: location, "X-Served-By": "FastAPI" }, body: "" };
}

/** `1999` or `1990-1999`; anything else does not filter. */
function publishedIn(text: string | undefined): { from: number; to: number } | undefined {
    const match = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(text ?? "");
    return match === null ? undefined : { from: Number(match[1]), to: Number(match[2] ?? match[1]) };
}

function solrQuery(type: SubjectField, path: string, years: { from: number; to: number } | undefined): string {
    const subject = `${type}_key:"${subjectKey(path)}"`;
    if (years === undefined) return subject;
    return `${subject}  publish_year:${years.from === years.to ? years.from : `[${years.from} TO ${years.to}]`}`;
}

/** A work as /subjects answers it: every field is always there, with null, "" or [] for what is unknown. */
function item(work: Work): Record<string, unknown> {
    const { author_key: keys = [], author_name: names = [], ia_collection = [] } = work;
    return {
        key: work.key,
        title: work.title,
        edition_count: work.edition_count ?? 0,
        cover_id: work.cover_i ?? null,
        cover_edition_key: work.cover_edition_key ?? null,
        subject: work.subject ?? [],
        ia_collection,
        printdisabled: ia_collection.includes("printdisabled"),
        lending_edition: work.lending_edition_s ?? "",
        lending_identifier: work.lending_identifier_s ?? "",
        authors: keys.slice(0, names.length).map((olid, i) => ({ key: `/authors/${olid}`, name: names[i] })),
        first_publish_year: work.first_publish_year ?? null,
        ia: work.ia?.[0] ?? null,
        public_scan: work.public_scan_b ?? work.ia !== undefined,
        has_fulltext: work.has_fulltext ?? false,
        ...(work.availability === undefined ? {} : { availability: work.availability }),
    };
}

/** What details=true adds, and the exact label of the subject when it is among the facet's values. */
function facetsOf(works: readonly Work[], name: string, type: SubjectField): { label?: string; counts: object } {
    const byField = Object.fromEntries(
        subjectFields.map((field) => {
            const prefix = field === "subject" ? "" : `${field}:`;
            const values = counted(works.flatMap((work) => [...new Set(work[field])])).slice(0, facetLimit);
            return [field, values.map(([label, count]) => ({ key: keyOf(prefix, label), name: label, count }))];
        }),
    ) as Record<SubjectField, { key: string; name: string; count: number }[]>;
    const own = byField[type].findIndex((facet) => facet.key.toLowerCase() === `/subjects/${name}`);
    const label = own < 0 ? undefined : byField[type].splice(own, 1)[0]?.name;
    const authors = counted(
        works.flatMap((work) => (work.author_key ?? []).map((olid, i) => `${olid} ${work.author_name?.[i] ?? ""}`)),
    );
    const publishers = counted(works.flatMap((work) => [...new Set(work.publisher)]));
    const lastYear = new Date().getUTCFullYear() + 1;
    const counts = {
        ebook_count: works.filter((work) => work.has_fulltext === true).length,
        subjects: byField.subject,
        places: byField.place,
        people: byField.person,
        times: byField.time,
        authors: authors.slice(0, facetLimit).map(([author, count]) => {
            const [olid = "", ...rest] = author.split(" ");
            return { name: rest.join(" "), key: `/authors/${olid}`, count };
        }),
        publishers: publishers.slice(0, facetLimit).map(([publisher, count]) => {
            return { name: publisher, count, key: `/publishers/${publisher.replaceAll(" ", "_")}` };
        }),
        languages: counted(works.flatMap((work) => [...new Set(work.language)]))
            .slice(0, facetLimit)
            .map(([language, count]) => ({ name: language, count })),
        publishing_history: counted(works.flatMap((work) => [...new Set(work.publish_year)]))
            .filter(([year]) => year > 1000 && year <= lastYear)
            .sort(([a], [b]) => a - b),
    };
    return label === undefined ? { counts } : { label, counts };
}

function keyOf(prefix: string, label: string): string {
    return `/subjects/${prefix}${subjectKey(label)}`;
}

/** Distinct values with how often they occur, the most frequent first, equal ones in their own order. */
function counted<T extends string | number>(values: readonly T[]): [T, number][] {
    const counts = new Map<T, number>();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}
