import * as v from "valibot";
import {
    type AuthorDocument,
    type AuthorsPage,
    addNames,
    type FoundWork,
    readWorks,
    type WorksPage,
} from "./answers.ts";
import type { Answer } from "./client.ts";
import { type LandedDocument, type LandedPage, readAuthorsPage } from "./recall.ts";
import { hasUpperEnd } from "./search.ts";
import type { AuthorPageRow, EndRow, ReusedPage, RunRow, SearchPageRow, Spool, SubjectRow, Totals } from "./spool.ts";
import { keyOfLabel } from "./subject-key.ts";

const batchParameters = v.object({ keys: v.pipe(v.string(), v.parseJson(), v.array(v.string())) });
const singleParameters = v.object({ key: v.string() });

/** One subject of a run: what of it has landed. */
export interface Subject {
    readonly key: string;
    /** Distinct keys of its works in the run's pages, those of other subjects included. */
    readonly works: ReadonlySet<string>;
    /** Of these, the ones in pages that were asked for because of this subject. */
    readonly walked: ReadonlySet<string>;
    /** How many works the service says it has; null before the first count. */
    readonly numFound: number | null;
    /** Were its works asked for in key ranges, some at once? */
    readonly wasSplit: boolean;
}

/** Where a subject stands when its run ends. */
export type Verdict = Pick<SubjectRow, "status" | "message">;

/**
 * One extraction of some subjects: what has landed so far, and the way to land more. It is the same whether the pages came
 * just now or were read back from the landing file.
 */
export class Run {
    readonly row: RunRow;
    readonly subjects: readonly Subject[];
    /** The works' authors by their keys, with the different names that the works give them. */
    readonly authors: ReadonlyMap<string, readonly string[]>;
    /** Authors whose documents were asked for or are reused, redirect targets included. */
    readonly asked = new Set<string>();
    /** Where merged authors went. */
    readonly redirects = new Map<string, string>();
    readonly #subjects: ReadonlyMap<string, Standing>;
    readonly #works = new Set<string>();
    readonly #authors = new Map<string, readonly string[]>();
    readonly #documents = new Set<string>();
    readonly #reused = new Set<string>();
    readonly #lastPage = { search_pages: 0, author_pages: 0 };
    #authorsLanded = 0;
    #authorsReused = 0;
    #pages = 0;
    #misfits = 0;
    #requests: () => number;
    #spool: Spool | undefined;

    constructor(row: RunRow, { subjects, requests = 0 }: { subjects: readonly string[]; requests?: number }) {
        this.row = row;
        this.authors = this.#authors;
        this.#subjects = new Map(subjects.map((key) => [key, new Standing(key)]));
        this.subjects = [...this.#subjects.values()];
        this.#requests = () => requests;
    }

    /** From here on, pages land in this spool and the client's requests are the run's. */
    open(spool: Spool, client: { readonly requests: number }): void {
        const before = this.#requests() - client.requests;
        this.#requests = () => before + client.requests;
        this.#spool = spool;
        const subjects = this.subjects.map((subject) => rowOf(subject));
        spool.append({ kind: "run", row: this.row, subjects, totals: this.totals });
    }

    /** Ends the run; a subject without a verdict has failed. */
    close(end: EndRow, verdicts: ReadonlyMap<string, Verdict>): void {
        const subjects = this.subjects.map((subject) => rowOf(subject, verdicts.get(subject.key)));
        this.#spool?.append({ kind: "end", row: end, subjects, totals: this.totals });
        this.#spool?.close();
        this.#spool = undefined;
    }

    /**
     * Lands a page of a subject's works; it is on the disk when this returns.
     * @param numFound how many works the subject has, when the page tells.
     */
    landWorks(subject: Subject, answer: Answer<WorksPage>, numFound: number | null = subject.numFound): void {
        const page_number = this.#lastPage.search_pages + 1;
        const standing = this.#addWorks(subject.key, { page_number, parameters: answer.parameters }, answer.value);
        standing.numFound = numFound;
        const row: SearchPageRow = {
            run_id: this.row.run_id,
            page_number,
            subject: subject.key,
            ...requestOf(answer),
            num_found: answer.value.numFound,
            docs: answer.value.docs,
            ...bodyOf(answer),
        };
        const misfits = [...answer.value.misfits];
        this.#spool?.append({
            kind: "search_pages",
            row,
            misfits,
            standing: rowOf(standing),
            totals: this.totals,
        });
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

    /** Has documents that earlier runs landed stand for what would be fetched; that is on the disk when this returns. */
    reuse(documents: readonly LandedDocument[]): void {
        this.recallReused(documents);
        const pages = new Map<string, ReusedPage>();
        for (const { document, page } of documents) {
            const name = `${page.page_number} ${page.page_run_id}`;
            const { author_keys } = pages.get(name) ?? { author_keys: [] };
            pages.set(name, { ...page, author_keys: [...author_keys, document.key] });
        }
        const { run_id } = this.row;
        this.#spool?.append({ kind: "reused_authors", run_id, pages: [...pages.values()], totals: this.totals });
    }

    /** Takes up a page that this run landed before it was interrupted. */
    recall(page: LandedPage): void {
        const { subject, route, page_number, parameters } = page;
        if (route === "search") {
            this.#addWorks(subject ?? "", { page_number, parameters }, readWorks(JSON.parse(page.body)));
            return;
        }
        const asked: unknown = JSON.parse(parameters);
        const keys =
            route === "get_many" ? v.parse(batchParameters, asked).keys : [v.parse(singleParameters, asked).key];
        this.#addAuthors(page_number, keys, readAuthorsPage(page));
    }

    /** Takes up documents that this run reused before it was interrupted. */
    recallReused(documents: readonly LandedDocument[]): void {
        for (const { document } of documents) {
            this.asked.add(document.key);
            this.#reused.add(document.key);
            if (this.authors.has(document.key)) this.#authorsReused++;
            this.#addDocument(document);
        }
    }

    get totals(): Totals {
        return {
            works_landed: this.#works.size,
            authors_wanted: this.authors.size,
            authors_landed: this.#authorsLanded,
            authors_reused: this.#authorsReused,
            pages_landed: this.#pages,
            rows_quarantined: this.#misfits,
            requests: this.#requests(),
        };
    }

    #addWorks(
        subjectKey: string,
        { page_number, parameters }: Pick<LandedPage, "page_number" | "parameters">,
        page: WorksPage,
    ): Standing {
        const asked = this.#subjects.get(subjectKey);
        if (asked === undefined) throw new Error(`a page of "${subjectKey}", which is no subject of the run`);
        if (page.docs > 0 && hasUpperEnd(parameters)) asked.wasSplit = true;
        for (const work of page.works) {
            this.#works.add(work.key);
            asked.walked.add(work.key);
            asked.works.add(work.key);
            for (const other of this.#alsoOf(work)) other.works.add(work.key);
        }
        for (const [key, names] of page.authors) {
            if (!this.authors.has(key)) {
                if (this.#documents.has(key)) this.#authorsLanded++;
                if (this.#reused.has(key)) this.#authorsReused++;
            }
            addNames(this.#authors, key, names);
        }
        this.#lastPage.search_pages = page_number;
        this.#pages++;
        this.#misfits += page.misfits.length;
        return asked;
    }

    /** The service finds a work by the keys of its labels, and so do we: a work of two subjects need not come twice. */
    #alsoOf(work: FoundWork): Standing[] {
        if (this.subjects.length === 1) return [];
        return [...new Set(work.labels.map(keyOfLabel))].flatMap((key) => this.#subjects.get(key) ?? []);
    }

    #addAuthors(pageNumber: number, keys: readonly string[], page: AuthorsPage): void {
        for (const key of keys) this.asked.add(key);
        for (const document of page.documents) this.#addDocument(document);
        this.#lastPage.author_pages = pageNumber;
        this.#pages++;
        this.#misfits += page.misfits.length;
    }

    #addDocument({ key, location }: AuthorDocument): void {
        if (!this.#documents.has(key) && this.authors.has(key)) this.#authorsLanded++;
        this.#documents.add(key);
        if (location !== undefined) this.redirects.set(key, location);
    }
}

class Standing implements Subject {
    readonly key: string;
    readonly works = new Set<string>();
    readonly walked = new Set<string>();
    numFound: number | null = null;
    wasSplit = false;

    constructor(key: string) {
        this.key = key;
    }
}

function rowOf({ key, works, numFound }: Subject, verdict: Verdict = { status: "failed", message: null }): SubjectRow {
    return { subject: key, ...verdict, num_found: numFound, works_landed: works.size };
}

function requestOf({ url, parameters, status, fetchedAt }: Answer<unknown>) {
    return { url, parameters, http_status: status, fetched_at: fetchedAt };
}

function bodyOf({ sha256, body }: Answer<unknown>) {
    return { body_sha256: sha256, body };
}
