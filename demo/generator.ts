import { PipelineError } from "../common/errors.ts";
import { type CatalogueRecord, subjectKey, type Work } from "./catalogue-file.ts";
import { type Author, Cast, credit, firstNumber } from "./generator/authors.ts";
import { type Random, randomFrom } from "./generator/random.ts";
import { rates } from "./generator/rates.ts";
import {
    foreignTitle,
    languages,
    otherSubjects,
    personLabels,
    placeLabels,
    plainTitle,
    publishers,
    timeLabels,
} from "./generator/words.ts";

export interface GeneratorOptions {
    /** How many works carry the subject. */
    readonly works: number;
    /** The same seed gives the same records, and fewer works give the first of them. Default: 1. */
    readonly seed?: number;
    /** The subject's key. Default: "science_fiction". */
    readonly subject?: string;
}

/** The last year a book of the generator appears in: the catalogue must not change with the clock. */
const lastYear = 2025;

type Credits = Pick<Work, "author_key" | "author_name">;

/**
 * Makes up a catalogue with the dirt of the real one, in its proportions: works, and the documents of their authors
 * before them. Records come one at a time and nothing grows with their number, so that any number can be written out.
 * @throws PipelineError when `subject` is not a subject key.
 */
export function* generate(options: GeneratorOptions): Generator<CatalogueRecord, void, undefined> {
    const subject = options.subject ?? "science_fiction";
    const label = subject.charAt(0).toUpperCase() + subject.slice(1).replaceAll("_", " ");
    if (subject === "" || subjectKey(label) !== subject) {
        throw new PipelineError(`the subject is "${subject}"; expected a subject key such as "science_fiction"`);
    }
    const random = randomFrom(options.seed ?? 1);
    const cast = new Cast(random);
    const recent: Work[] = [];
    yield* cast.documents.splice(0);
    for (let number = 0; number < options.works; number++) {
        const earlier = recent[random.integer(0, 199)];
        const work =
            earlier !== undefined && random.chance(rates.duplicate)
                ? duplicateOf(earlier, number, random)
                : makeWork(number, label, cast, random);
        recent[number % 200] = work;
        yield* cast.documents.splice(0);
        yield work;
    }
}

function makeWork(number: number, label: string, cast: Cast, random: Random): Work {
    const orphan = random.chance(rates.orphanEdition);
    const author = random.chance(rates.withoutAuthor) ? undefined : cast.next();
    const editions = orphan || random.chance(rates.oneEdition) ? 1 : 1 + random.tail(1.2, 400);
    const editionCount = random.chance(rates.noEdition) ? 0 : editions;
    const years = editionCount === 0 ? [] : publishYears(editions, author, random);
    const year = years.reduce<number | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined);
    return {
        key: `/works/OL${firstNumber + number}${orphan ? "M" : "W"}`,
        title: titleOf(random),
        ...(random.chance(rates.subtitle) ? { subtitle: `a ${random.pick(["novel", "reader", "history"])}` } : {}),
        ...(author === undefined ? {} : creditsOf(author, cast, random)),
        edition_count: editionCount,
        ...(year === undefined ? {} : { first_publish_year: year, publish_year: years }),
        ...subjectsOf(label, random),
        ...(editionCount === 0 ? {} : bookFields(number, years, random)),
        ...holdings(number, random),
        ...readers(random),
    };
}

/** The same title by the same author under a key of its own, as an import makes it when it finds no match. */
function duplicateOf(work: Work, number: number, random: Random): Work {
    const { title, author_key, author_name, subject, first_publish_year, publish_year } = work;
    return {
        key: `/works/OL${firstNumber + number}W`,
        title: random.chance(0.3) ? title.toUpperCase() : title,
        ...(author_key === undefined || author_name === undefined ? {} : { author_key, author_name }),
        edition_count: 1,
        ...(first_publish_year === undefined || publish_year === undefined
            ? {}
            : { first_publish_year, publish_year: [first_publish_year] }),
        ...(subject === undefined ? {} : { subject }),
        has_fulltext: false,
        ebook_access: "no_ebook",
        public_scan_b: false,
    };
}

function titleOf(random: Random): string {
    if (random.chance(rates.noTitle)) return "__None__";
    if (random.chance(rates.foreignTitle)) return foreignTitle(random);
    const title = plainTitle(random);
    if (random.chance(rates.quotedTitle)) return `"${title}" and other 'stories'`;
    return random.chance(rates.titleWithNewline) ? `${title}\nA novel` : title;
}

function creditsOf(author: Author, cast: Cast, random: Random): Credits {
    const credits = [credit(author)];
    if (author.names.length > 1 && random.chance(rates.severalKeysOnOneWork)) credits.splice(0, 1, ...author.names);
    while (!author.isCollective && random.chance(rates.coAuthor)) credits.push(credit(cast.beside(author)));
    const distinct = credits.filter(({ olid }, i) => credits.findIndex((other) => other.olid === olid) === i);
    return { author_key: distinct.map(({ olid }) => olid), author_name: distinct.map(({ name }) => name) };
}

/** The distinct years of a work's editions, in no order. The least of them is the work's first year. */
function publishYears(editions: number, author: Author | undefined, random: Random): number[] {
    if (random.chance(rates.withoutYear)) return [];
    if (random.chance(rates.absurdYear)) return [random.pick([0, 0, 1000, 1200, 1200, 8858])];
    const from = author?.firstYear ?? random.integer(1900, 2015);
    const first = random.integer(from, Math.min(lastYear, from + (author?.activeYears ?? 1)));
    const years = new Set([first]);
    for (let edition = 1; edition < editions; edition++) years.add(random.integer(first, lastYear));
    if (years.size >= 5 && years.size < editions && random.chance(rates.badEarlyEdition))
        years.add(random.pick([1390, 1800, 1889, 1900]));
    return [...years].reverse();
}

function subjectsOf(label: string, random: Random): Pick<Work, "subject" | "place" | "person" | "time"> {
    // Capitals do not make another subject, a hyphen or a full stop does.
    const own = random.chance(0.1) ? random.pick([inCapitals(label), label.toLowerCase()]) : label;
    const labels = new Set([own]);
    if (random.chance(rates.subjectVariant)) labels.add(random.pick([`${label}.`, label.replaceAll(" ", "-")]));
    for (let i = random.integer(0, 5); i > 0; i--) labels.add(random.pick(otherSubjects));
    return {
        subject: [...labels],
        ...(random.chance(rates.places) ? { place: [random.pick(placeLabels)] } : {}),
        ...(random.chance(0.05) ? { person: [random.pick(personLabels)] } : {}),
        ...(random.chance(0.1) ? { time: [random.pick(timeLabels)] } : {}),
    };
}

/** "Science Fiction" of "Science fiction". */
function inCapitals(label: string): string {
    return label.replace(/ \p{L}/gu, (letter) => letter.toUpperCase());
}

function bookFields(number: number, years: readonly number[], random: Random): Record<string, unknown> {
    const isbns = years.filter((year) => year >= 1970 && year <= lastYear).flatMap(() => isbnPair(random));
    return {
        language: [random.pick(languages)],
        publisher: [random.pick(publishers)],
        ...(isbns.length === 0 ? {} : { isbn: isbns }),
        ...(random.chance(0.6) ? { number_of_pages_median: random.integer(24, 900) } : {}),
        ...(random.chance(rates.cover)
            ? { cover_i: firstNumber + number, cover_edition_key: `OL${firstNumber + number}M` }
            : {}),
        ...(random.chance(0.3) ? { ddc: ["813.54"], lcc: [`PS-${random.integer(1000, 3600)}.00000000`] } : {}),
        ...(random.chance(0.05)
            ? { series_name: ["The Amber Atlas"], series_position: [`${random.integer(1, 12)}`] }
            : {}),
    };
}

/** One made-up book number in both its forms, with their check digits. */
function isbnPair(random: Random): [string, string] {
    const body = `99${String(random.integer(0, 9_999_999)).padStart(7, "0")}`;
    const weighted = (digits: string, weight: (i: number) => number): number =>
        [...digits].reduce((sum, digit, i) => sum + Number(digit) * weight(i), 0);
    const check10 = (11 - (weighted(body, (i) => 10 - i) % 11)) % 11;
    const check13 = (10 - (weighted(`978${body}`, (i) => (i % 2 === 0 ? 1 : 3)) % 10)) % 10;
    return [`978${body}${check13}`, `${body}${check10 === 10 ? "X" : check10}`];
}

/** What the Internet Archive has of the work. */
function holdings(number: number, random: Random): Record<string, unknown> {
    const access = random.pick(["no_ebook", "no_ebook", "no_ebook", "printdisabled", "borrowable", "public"]);
    if (access === "no_ebook") return { ebook_access: access, has_fulltext: false, public_scan_b: false };
    const ocaid = `standin${String(number).padStart(8, "0")}`;
    const open = access === "public";
    const collections = open ? ["americana", "toronto"] : ["inlibrary", "internetarchivebooks", "printdisabled"];
    return {
        ebook_access: access,
        has_fulltext: true,
        public_scan_b: open,
        ia: [ocaid],
        ia_collection: collections,
        ...(access === "borrowable"
            ? { lending_edition_s: `OL${firstNumber + number}M`, lending_identifier_s: ocaid }
            : {}),
        availability: availability(ocaid, access, random),
    };
}

function availability(identifier: string, access: string, random: Random): Work["availability"] {
    if (random.chance(0.01)) return null;
    const source = { __src__: "core.models.lending.get_availability" };
    if (random.chance(rates.availabilityError)) {
        return {
            status: "error",
            error_message: "not found",
            identifier,
            is_restricted: true,
            is_browseable: false,
            ...source,
        };
    }
    const lendable = access === "borrowable";
    const free = lendable && random.chance(0.8);
    return {
        status: access === "public" ? "open" : !lendable ? "private" : free ? "borrow_available" : "borrow_unavailable",
        available_to_browse: free,
        available_to_borrow: free,
        available_to_waitlist: lendable && !free,
        is_printdisabled: access !== "public",
        is_readable: access === "public",
        is_lendable: lendable,
        is_previewable: true,
        identifier,
        isbn: null,
        oclc: null,
        last_loan_date: null,
        num_waitlist: lendable && !free ? String(random.integer(0, 9)) : "0",
        is_restricted: access !== "public",
        is_browseable: free,
        ...source,
    };
}

/** Ratings and reading logs, which most works have none of. */
function readers(random: Random): Record<string, unknown> {
    if (!random.chance(0.3)) return {};
    const [want, reading, read] = [random.tail(0.9, 5000), random.integer(0, 3), random.integer(0, 9)];
    const log = {
        readinglog_count: want + reading + read,
        want_to_read_count: want,
        currently_reading_count: reading,
        already_read_count: read,
    };
    if (!random.chance(0.4)) return log;
    const stars = Array.from({ length: 5 }, (_, i) => (random.chance(0.5) ? 0 : random.tail(1.1, 50 * (i + 1))));
    const count = stars.reduce((a, b) => a + b, 0);
    if (count === 0) return log;
    const average = stars.reduce((sum, n, i) => sum + n * (i + 1), 0) / count;
    return {
        ...log,
        ratings_average: average,
        ratings_sortable: (average * count + 3 * 5) / (count + 5),
        ratings_count: count,
        ...Object.fromEntries(stars.map((n, i) => [`ratings_count_${i + 1}`, n])),
    };
}
