import type { AuthorDocument } from "../catalogue-file.ts";
import type { Random } from "./random.ts";
import { rates } from "./rates.ts";
import { corporateName, foreignName, personName } from "./words.ts";

/** Far above the keys that Open Library has given out, so that nobody takes a generated record for a real one. */
export const firstNumber = 990_000_001;

/** How fast the number of books an author writes thins out: three quarters write one, one in a thousand dozens. */
const booksTail = 2.1;

/** Somebody who writes, with what is left for them to write. */
export interface Author {
    /** The keys that works refer to in turn, with the name that each has. */
    readonly names: readonly { readonly olid: string; readonly name: string }[];
    readonly firstYear: number;
    readonly activeYears: number;
    /** "Various" and the like: no person, and nobody writes beside them. */
    readonly isCollective: boolean;
    /** How many works have named this author so far, and how many are still to come. */
    credited: number;
    left: number;
}

/** The people who write: the next work is by somebody who has books left to write, or by somebody new. */
export class Cast {
    /** Documents of authors that came up since they were last taken away. */
    readonly documents: AuthorDocument[] = [];
    readonly #random: Random;
    readonly #busy: Author[] = [];
    readonly #collective: readonly [Author, ...Author[]];
    #keys = 0;
    #people = 0;

    constructor(random: Random) {
        this.#random = random;
        const named = (name: string): Author => ({
            names: [{ olid: this.#add(name), name }],
            firstYear: 1800,
            activeYears: 200,
            isCollective: true,
            credited: 0,
            left: 0,
        });
        this.#collective = [named("Anonymous"), named("Various"), named("Anon"), named("Anonymus")];
    }

    /** Who wrote the next work. */
    next(): Author {
        const random = this.#random;
        if (random.chance(rates.collectiveName)) return random.pick(this.#collective);
        // A little over a third of works are by somebody who wrote before, which keeps the number of the busy level.
        if (this.#busy.length > 400 || random.chance(0.36)) {
            const known = this.#take(random.integer(0, this.#busy.length - 1));
            if (known !== undefined) return known;
        }
        // Most of what is catalogued appeared after 1950.
        return this.#make(random.chance(0.85) ? random.integer(1945, 2020) : 1945 - Math.floor(random() ** 2 * 245));
    }

    /** Who wrote a work together with `author`: somebody of the same time. */
    beside(author: Author): Author {
        const isPeer = (other: Author): boolean =>
            other !== author && Math.abs(other.firstYear - author.firstYear) < 10;
        const known = this.#random.chance(0.36) ? this.#take(this.#busy.findIndex(isPeer)) : undefined;
        return known ?? this.#make(author.firstYear);
    }

    /** Lets the busy author at `place` write one more book. */
    #take(place: number): Author | undefined {
        const author = this.#busy[place];
        if (author !== undefined && --author.left === 0) this.#busy.splice(place, 1);
        return author;
    }

    #make(firstYear: number): Author {
        const random = this.#random;
        const n = ++this.#people;
        const name = random.chance(rates.blankName)
            ? ""
            : random.chance(rates.corporate)
              ? corporateName(n)
              : random.chance(rates.foreignName)
                ? foreignName(n)
                : personName(n);
        const left = random.tail(booksTail, 80) - 1;
        const names = this.#keysOf(name, firstYear - random.integer(22, 50), left > 0);
        const activeYears = random.integer(1, 40);
        const author = { names, firstYear, activeYears, isCollective: false, credited: 0, left };
        if (left > 0) this.#busy.push(author);
        return author;
    }

    #keysOf(name: string, birthYear: number, writesMore: boolean): Author["names"] {
        const random = this.#random;
        const born = random.chance(0.4) ? { birth_date: birthDate(birthYear, random) } : {};
        if (random.chance(rates.deleted)) return [{ olid: this.#add(name, "delete"), name }];
        if (random.chance(rates.documentMissing)) return [{ olid: this.#olid(), name }];
        const olid = this.#add(name, "author", born);
        if (random.chance(rates.redirected)) {
            let location = olid;
            if (random.chance(rates.redirectChain)) location = this.#add(name, "redirect", at(location));
            const old = this.#add(name, "redirect", at(location));
            return [
                { olid: old, name },
                { olid, name },
            ];
        }
        // Somebody with one book has one key: only those with more show how often a name has several.
        if (!writesMore || !random.chance(rates.severalKeys / 2 ** -booksTail)) return [{ olid, name }];
        const names = [
            { olid, name },
            { olid: this.#add(name), name },
        ];
        if (random.chance(0.3)) {
            const spelling = name.replace(/^(\S)\S+ /, "$1 ");
            names.push({ olid: this.#add(spelling), name: spelling });
        }
        return names;
    }

    #olid(): string {
        return `OL${firstNumber + this.#keys++}A`;
    }

    #add(name: string, type: "author" | "redirect" | "delete" = "author", more: object = {}): string {
        const olid = this.#olid();
        const content = type === "author" ? { name, ...(name === "" ? {} : { personal_name: name }) } : {};
        this.documents.push({
            key: `/authors/${olid}`,
            type: { key: `/type/${type}` },
            ...content,
            ...more,
            latest_revision: 1,
            revision: 1,
            created: { type: "/type/datetime", value: "2008-04-01T03:28:50.625462" },
            last_modified: { type: "/type/datetime", value: "2024-12-10T17:56:42.046613" },
        });
        return olid;
    }
}

const at = (olid: string): object => ({ location: `/authors/${olid}` });

/** Free text, as people typed it. */
function birthDate(year: number, random: Random): string {
    const day = random.integer(1, 28);
    return random.pick([
        `${year}`,
        `${year}`,
        `${day} March ${year}`,
        `March ${day}, ${year}`,
        `c${year}`,
        `${year}-03`,
    ]);
}

/** The key and name under which the next work names its author: those of an author with several take turns. */
export function credit(author: Author): Author["names"][number] {
    return author.names[author.credited++ % author.names.length] ?? { olid: "", name: "" };
}
