import { createWriteStream, existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** How many lines each file of a made-up dump has. */
export interface DumpSize {
    readonly works: number;
    readonly authors: number;
    readonly editions: number;
}

export interface DumpPaths {
    readonly works: string;
    readonly authors: string;
    readonly editions: string;
}

/** The share of the works that have the subject "Science fiction", in one of its spellings. */
const share = 0.004;

/** Makes the files of a dump in `folder`, or takes those that lie there: the same size has the same bytes. */
export async function dumpFiles(folder: string, size: DumpSize): Promise<DumpPaths> {
    const into = join(folder, `${size.works}-${size.authors}-${size.editions}`);
    mkdirSync(into, { recursive: true });
    const path = (kind: string): string => join(into, `ol_dump_${kind}_2026-10-31.txt.gz`);
    await write(path("works"), size.works, (n, dice) => workLine(n, size, dice));
    await write(path("authors"), size.authors, authorLine);
    await write(path("editions"), size.editions, (n, dice) => editionLine(n, size, dice));
    return { works: path("works"), authors: path("authors"), editions: path("editions") };
}

async function write(path: string, lines: number, line: (n: number, dice: Dice) => string): Promise<void> {
    if (existsSync(path)) return;
    const dice = new Dice(lines);
    function* chunks(): Generator<string> {
        let chunk = "";
        for (let n = 0; n < lines; n++) {
            chunk += line(n, dice);
            if (chunk.length < 1 << 18) continue;
            yield chunk;
            chunk = "";
        }
        yield chunk;
    }
    await pipeline(Readable.from(chunks()), createGzip(), createWriteStream(`${path}.part`));
    renameSync(`${path}.part`, path);
}

/** Pseudo-random numbers, the same ones for the same seed (mulberry32). */
class Dice {
    #state: number;

    constructor(seed: number) {
        this.#state = seed | 0;
    }

    /** From 0 to below 1. */
    next(): number {
        this.#state = (this.#state + 0x6d2b79f5) | 0;
        let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    }

    below(n: number): number {
        return Math.floor(this.next() * n);
    }

    has(chance: number): boolean {
        return this.next() < chance;
    }

    /** Small ones are much more frequent than great ones, as words of a language are. */
    skewed(n: number): number {
        return Math.floor(n * this.next() ** 3);
    }
}

const syllables = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo zy bra cle dri gno spe tru sti".split(" ");
const wordList = Array.from({ length: 20_000 }, (_, n) => {
    const word = [n % 27, Math.floor(n / 27) % 27, Math.floor(n / 729) % 27].map((i) => syllables[i]).join("");
    return n % 97 === 0 ? `${word}\\u00e9` : word;
});
const places = ["England", "France", "New York (State)", "Germany", "London (England)", "Russia", "India"];
const spellings = ["Science fiction", "Science Fiction", "science fiction", "Science fiction."];

function words(dice: Dice, count: number): string {
    let text = "";
    for (let i = 0; i < count; i++) text += `${i === 0 ? "" : " "}${wordList[dice.skewed(wordList.length)]}`;
    return text.charAt(0).toUpperCase() + text.slice(1);
}

function moment(dice: Dice): string {
    const two = (n: number): string => String(n).padStart(2, "0");
    const date = `${2008 + dice.below(18)}-${two(1 + dice.below(12))}-${two(1 + dice.below(28))}`;
    return `${date}T${two(dice.below(24))}:${two(dice.below(60))}:${two(dice.below(60))}.${100_000 + dice.below(900_000)}`;
}

function envelope(type: string, key: string, dice: Dice): { readonly head: string; readonly tail: string } {
    // The newest line of a real dump is of the night in which it was made.
    const at = dice.has(0.001) ? "2026-10-30T22:11:09.123456" : moment(dice);
    const revision = 1 + dice.skewed(20);
    return {
        head: `${type}\t${key}\t${revision}\t${at}\t{`,
        tail:
            `"created": {"type": "/type/datetime", "value": "${moment(dice)}"}, "last_modified": ` +
            `{"type": "/type/datetime", "value": "${at}"}, "latest_revision": ${revision}, "key": "${key}", ` +
            `"type": {"key": "${type}"}, "revision": ${revision}}\n`,
    };
}

/** Keys that jump about as they do in a dump, each once. */
function scatter(n: number, size: number): number {
    let stride = 7_368_787 % size;
    while (gcd(stride, size) !== 1) stride++;
    return 1 + ((n * stride) % size);
}

function gcd(a: number, b: number): number {
    return b === 0 ? a : gcd(b, a % b);
}

function workLine(n: number, size: DumpSize, dice: Dice): string {
    const { head, tail } = envelope("/type/work", `/works/OL${scatter(n, size.works)}W`, dice);
    let body = `"title": "${words(dice, 2 + dice.below(7))}", `;
    if (dice.has(0.024)) body += `"subtitle": "${words(dice, 6)}", `;
    if (dice.has(0.95)) {
        const roles = Array.from({ length: dice.has(0.12) ? 2 + dice.skewed(4) : 1 }, () => {
            const type = dice.has(0.04) ? '"/type/author_role"' : '{"key": "/type/author_role"}';
            const author = `, "author": {"key": "/authors/OL${1 + dice.skewed(size.authors)}A"}`;
            return `{"type": ${type}${dice.has(0.002) ? "" : author}}`;
        });
        body += `"authors": [${roles.join(", ")}], `;
    }
    if (dice.has(0.59)) {
        const labels = Array.from({ length: 1 + dice.skewed(12) }, () => words(dice, 1 + dice.below(3)));
        if (dice.has(share / 0.59)) labels.push(spellings[dice.below(40) === 0 ? 3 : dice.below(3)] ?? "");
        body += `"subjects": ["${labels.join('", "')}"], `;
    }
    if (dice.has(0.25)) body += `"subject_places": ["${places[dice.below(places.length)]}"], `;
    if (dice.has(0.32)) body += `"covers": [${dice.below(14_000_000)}], `;
    if (dice.has(0.044)) body += `"description": {"type": "/type/text", "value": "${words(dice, 80)}"}, `;
    return head + body + tail;
}

function authorLine(n: number, dice: Dice): string {
    const { head, tail } = envelope("/type/author", `/authors/OL${n + 1}A`, dice);
    const name = words(dice, 2 + dice.below(2));
    let body = `"name": "${name}", "personal_name": "${name}", `;
    if (dice.has(0.3)) body += `"birth_date": "${1700 + dice.below(300)}", `;
    if (dice.has(0.1)) body += `"alternate_names": ["${words(dice, 2)}", "${words(dice, 3)}"], `;
    if (dice.has(0.1)) body += `"remote_ids": {"viaf": "${dice.below(1e9)}", "wikidata": "Q${dice.below(1e7)}"}, `;
    return head + body + tail;
}

const months = "January February March April May June July August September October November December".split(" ");

function publishDate(dice: Dice): string {
    const year = 1850 + Math.floor(175 * dice.next() ** 0.4);
    const month = months[dice.below(12)];
    const roll = dice.next();
    if (roll < 0.5) return `${month} ${1 + dice.below(28)}, ${year}`;
    if (roll < 0.75) return `${month} ${year}`;
    if (roll < 0.96) return String(year);
    return roll < 0.98 ? `c${year}` : "n.d.";
}

function editionLine(n: number, size: DumpSize, dice: Dice): string {
    const { head, tail } = envelope("/type/edition", `/books/OL${n + 1}M`, dice);
    let body = `"publishers": ["${words(dice, 2)}"], "title": "${words(dice, 2 + dice.below(7))}", `;
    if (dice.has(0.5)) body += `"physical_format": "${dice.has(0.5) ? "Paperback" : "Hardcover"}", `;
    if (dice.has(0.7)) body += `"number_of_pages": ${40 + dice.below(600)}, `;
    const isbn = String(1_000_000_000 + dice.below(8_999_999_999));
    if (dice.has(0.6)) body += `"isbn_10": ["${isbn}"], "isbn_13": ["978${isbn}"], `;
    if (dice.has(0.8)) body += `"languages": [{"key": "/languages/${dice.has(0.7) ? "eng" : "fre"}"}], `;
    if (dice.has(0.96)) body += `"publish_date": "${publishDate(dice)}", `;
    if (dice.has(0.4)) body += `"subjects": ["${words(dice, 2)}", "${words(dice, 2)}"], `;
    if (dice.has(0.5)) body += `"identifiers": {"goodreads": ["${dice.below(1e7)}"]}, `;
    if (dice.has(0.4)) body += `"covers": [${dice.below(14_000_000)}], `;
    if (dice.has(0.3))
        body += `"source_records": ["marc:${words(dice, 1)}/part${dice.below(50)}.mrc:${dice.below(1e9)}:900"], `;
    body += `"authors": [{"key": "/authors/OL${1 + dice.skewed(size.authors)}A"}], `;
    if (dice.has(0.92)) body += `"works": [{"key": "/works/OL${1 + dice.skewed(size.works)}W"}], `;
    return head + body + tail;
}
