import * as v from "valibot";
import { type AuthorsPage, noAuthors, readAuthor, readAuthors, readWorks, type WorksPage } from "./answers.ts";
import type { Answer } from "./client.ts";
import type { LandedPage } from "./landing.ts";
import type { AuthorPageRow, EndRow, RunRow, SearchPageRow, Spool, Totals } from "./spool.ts";

const batchParameters = v.object({ keys: v.pipe(v.string(), v.parseJson(), v.array(v.string())) });
const singleParameters = v.object({ key: v.string() });

/**
 * One extraction of one subject: what has landed so far, and the way to land more. It is the same whether the pages came
 * just now or were read back from the landing file.
 */
export class Run {
    readonly row: RunRow;
    /** Distinct keys of the works landed. */
    readonly works = new Set<string>();
    /** The greatest of them, in the service's order of keys. */
    lastWork: string | undefined;
    /** Distinct keys of the works' authors. */
    readonly authors = new Set<string>();
    /** Authors whose documents were asked for, redirect targets included. */
    readonly asked = new Set<string>();
    /** Where merged authors went. */
    readonly redirects = new Map<string, string>();
    /** How many works the service says there are; null before the first count. */
    numFound: number | null = null;
    readonly #documents = new Set<string>();
    readonly #lastPage = { search_pages: 0, author_pages: 0 };
    #pages = 0;
    #misfits = 0;
    #requests: () => number;
    #spool: Spool | undefined;

    constructor(row: RunRow, requestsBefore = 0) {
        this.row = row;
        this.#requests = () => requestsBefore;
    }

    /** From here on, pages land in this spool and the client's requests are the run's. */
    open(spool: Spool, client: { readonly requests: number }): void {
        const before = this.#requests() - client.requests;
        this.#requests = () => before + client.requests;
        this.#spool = spool;
        spool.append({ kind: "run", row: this.row, totals: this.totals });
    }

    close(end: EndRow): void {
        this.#spool?.append({ kind: "end", row: end, totals: this.totals });
        this.#spool?.close();
        this.#spool = undefined;
    }

    /** The page is on the disk when this returns. */
    landWorks(answer: Answer<WorksPage>): void {
        const page_number = this.#lastPage.search_pages + 1;
        this.#addWorks(page_number, answer.value);
        const row: SearchPageRow = {
            run_id: this.row.run_id,
            page_number,
            ...requestOf(answer),
            num_found: answer.value.numFound,
            docs: answer.value.docs,
            ...bodyOf(answer),
        };
        const misfits = [...answer.value.misfits];
        this.#spool?.append({ kind: "search_pages", row, misfits, totals: this.totals });
    }

    /** Lands the answer to the question for the documents of `keys`; it is on the disk when this returns. */
    landAuthors(route: AuthorPageRow["route"], keys: readonly string[], answer: Answer<AuthorsPage>): void {
        const page_number = this.#lastPage.author_pages + 1;
        this.#addAuthors(page_number, keys, answer.value);
        const row: AuthorPageRow = {
            run_id: this.row.run_id,
            page_number,
            route,
            ...requestOf(answer),
            documents: answer.value.documents.length,
            ...bodyOf(answer),
        };
        const misfits = [...answer.value.misfits];
        this.#spool?.append({ kind: "author_pages", row, misfits, totals: this.totals });
    }

    /** Takes up a page that this run landed before it was interrupted. */
    recall({ route, page_number, parameters, http_status, body }: LandedPage): void {
        const json: unknown = http_status === 200 ? JSON.parse(body) : undefined;
        if (route === "search") {
            this.#addWorks(page_number, readWorks(json));
        } else if (route === "get_many") {
            this.#addAuthors(page_number, v.parse(batchParameters, JSON.parse(parameters)).keys, readAuthors(json));
        } else {
            const { key } = v.parse(singleParameters, JSON.parse(parameters));
            this.#addAuthors(page_number, [key], json === undefined ? noAuthors : readAuthor(json));
        }
    }

    get totals(): Totals {
        return {
            num_found: this.numFound,
            works_landed: this.works.size,
            authors_wanted: this.authors.size,
            authors_landed: [...this.#documents].filter((key) => this.authors.has(key)).length,
            pages_landed: this.#pages,
            rows_quarantined: this.#misfits,
            requests: this.#requests(),
        };
    }

    #addWorks(pageNumber: number, page: WorksPage): void {
        for (const key of page.works) {
            this.works.add(key);
            if (this.lastWork === undefined || key > this.lastWork) this.lastWork = key;
        }
        for (const key of page.authors) this.authors.add(key);
        this.#lastPage.search_pages = pageNumber;
        this.#pages++;
        this.#misfits += page.misfits.length;
    }

    #addAuthors(pageNumber: number, keys: readonly string[], page: AuthorsPage): void {
        for (const key of keys) this.asked.add(key);
        for (const { key, location } of page.documents) {
            this.#documents.add(key);
            if (location !== undefined) this.redirects.set(key, location);
        }
        this.#lastPage.author_pages = pageNumber;
        this.#pages++;
        this.#misfits += page.misfits.length;
    }
}

function requestOf({ url, parameters, status, fetchedAt }: Answer<unknown>) {
    return { url, parameters, http_status: status, fetched_at: fetchedAt };
}

function bodyOf({ sha256, body }: Answer<unknown>) {
    return { body_sha256: sha256, body };
}
