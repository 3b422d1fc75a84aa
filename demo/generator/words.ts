import type { Random } from "./random.ts";

type Words = readonly [string, ...string[]];

/** A list of words written in one line. */
function words(text: string): Words {
    const [first = "", ...rest] = text.split(" ");
    return [first, ...rest];
}

const firstNames = words(
    "Ada Alan Alice Amara Amos Anna Arjun Astrid Bela Boris Carla Carlos Chidi Clara Daniel Diego Dora Edith Elena Emil " +
        "Esther Farid Fatima Felix Flora Georg Grace Hana Hector Helga Ines Ivan Jamal Jean Joan Jonas Jun Karin Karl Kofi " +
        "Laila Leon Lucia Maeve Maria Marta Milan Nadia Nils Nora Olga Omar Otto Paul Petra Ravi Rosa Samuel Selma Tomas " +
        "Vera Viktor Wanda Yara",
);
const onsets = words(
    "Al Bar Bel Ber Bran Cal Car Con Dal Del Dor El Fal Fen Gar Gol Had Hal Har Jan Kal Kel Lan Lor Mal Mar Mel Mor Nor " +
        "Or Pal Per Ran Ros Sal Sand Tal Tor Val Win",
);
const middles = words("a am an ar e ed el en er i im in ing is o ol on or u um un us y yn");
const endings = words(
    "berg by dal den dez don field ford gren ham hart hoff ila ina ini inov ley lin low man mann mer mont moto nik off ova " +
        "quist row sen son stein stone ström thal ton vic ville wick wood worth",
);

/** Odd, and coprime to the length of every list here, so that stepping by it visits all combinations before one repeats. */
const stride = 36_237_967;

/** One word of each list, chosen by `n`: another combination for every n below the number of combinations. */
function combine(n: number, ...lists: readonly Words[]): string[] {
    const combinations = lists.reduce((product, list) => product * list.length, 1);
    let rest = (n * stride) % combinations;
    return lists.map((list) => {
        const word = list[rest % list.length] ?? "";
        rest = Math.floor(rest / list.length);
        return word;
    });
}

const initials = words([..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"].join(" "));

/** The personal name of number `n`: no two are equal below 50 million. */
export function personName(n: number): string {
    const [first, start, initial, end, middle] = combine(n, firstNames, onsets, initials, endings, middles);
    return `${first} ${initial}. ${start}${middle}${end}`;
}

const cyrillicNames = words(
    "Аркадий Борис Вера Галина Дмитрий Елена Иван Людмила Михаил Наталья Ольга Павел Сергей Татьяна Чингиз Юрий",
);
const cyrillicInitials = words([..."АБВГДЕИКЛМНОПРСТ"].join(" "));
const cyrillicStems = words("Айтмат Бел Вол Гор Дан Жук Кур Лаз Мор Нов Орл Петр Рад Сем Тих Уш");
const cyrillicEndings = words("ов енко ин ский");
const han = words([..."王李张刘陈杨黄吴周山川田中村木松井原上野口子明和正雄美春秋冬海天星月花雪"].join(" "));

/** A name in another script, or with marks that a decomposed Unicode form sets apart. `n` makes it its own. */
export function foreignName(n: number): string {
    if (n % 3 === 0) return combine(n, han, han, han).join("");
    if (n % 3 === 1) {
        const [first, initial, stem, end] = combine(n, cyrillicNames, cyrillicInitials, cyrillicStems, cyrillicEndings);
        return `${first} ${initial}. ${stem}${end}`;
    }
    return personName(n).replace("a", "a\u0306").replace("o", "o\u0301").replace("i", "i\u0308");
}

const bodies = words("Institute Society Department Museum Academy");
const bodyFields = words("Letters Fantasy Reading Research Folklore Economics");

/** The name of a body rather than a person. */
export function corporateName(n: number): string {
    const [start, end, body, field] = combine(n, onsets, endings, bodies, bodyFields);
    return `${start}${end} ${body} of ${field}`;
}

const adjectives = words(
    "Amber Ancient Bitter Blue Bright Broken Burning Cold Crimson Dark Distant Empty False Fallen First Forgotten Frozen " +
        "Gentle Glass Golden Green Hidden Hollow Iron Last Little Long Lost Lunar Narrow New Old Other Pale Quiet Red Second " +
        "Secret Silent Silver Sleeping Small Stolen Strange Sudden Third Unknown Wild Winter Wooden",
);
const nouns = words(
    "Archive Atlas Bird Bridge Captain City Clock Comet Country Daughter Door Dream Engine Fire Forest Garden Ghost Harbour " +
        "Heart House Island Journey Kingdom Lake Letter Library Light Machine Map Mirror Mountain Night Ocean Orchard Planet " +
        "Queen River Road Sea Shadow Ship Signal Sister Sky Song Star Stone Storm Street Summer Tide Tower Traveller Tree " +
        "Valley Village Voice Wall Well Wind Window Winter World Year",
);
const places = words(
    "Avalon Berlin Cairo Ceres Dublin Europa Havana Kyoto Lagos Lima Luna Mars Minsk Oslo Titan Venus",
);

/** An English title of a handful of forms, about 200,000 different ones. */
export function plainTitle(random: Random): string {
    const [adjective, noun, other] = [random.pick(adjectives), random.pick(nouns), random.pick(nouns)];
    switch (random.integer(0, 4)) {
        case 0:
            return `The ${adjective.toLowerCase()} ${noun.toLowerCase()}`;
        case 1:
            return `${noun} of the ${adjective} ${other}`;
        case 2:
            return `${/^[AEIOU]/.test(noun) ? "An" : "A"} ${noun.toLowerCase()} in ${random.pick(places)}`;
        case 3:
            return `The ${noun} and the ${other}`;
        default:
            return `${adjective} ${noun}, ${adjective.toLowerCase()} ${other.toLowerCase()}`;
    }
}

/** A title in another script or alphabet, as the catalogue holds them untranslated. */
export function foreignTitle(random: Random): string {
    const n = random.integer(1, 99);
    return random.pick([
        `${random.pick(["星", "海", "月", "山"])}の${random.pick(["記憶", "王国", "手紙", "図書館"])} ${n}`,
        `${random.pick(["Тень", "Сад", "Город", "Голос"])} ${random.pick(["зимы", "звёзд", "океана", "тишины"])} ${n}`,
        `Η ${random.pick(["πόλη", "θάλασσα", "σκιά"])} του ${random.pick(["χειμώνα", "φωτός", "ανέμου"])} ${n}`,
        `La cité des ${random.pick(["étoiles", "âmes", "fées", "marées"])} ${n}`,
        `\u02bbUgot ${random.pick(["ha-kokhav", "ha-yam", "shel or"])} ${n}`,
        `Signorsi\u0300 ${random.pick(["della luna", "dell'isola", "del mare"])} ${n}`,
    ]);
}

export const publishers: Words = [
    "Ace Books",
    "Harbour Press",
    "Editorial Pacífico",
    "Independently Published",
    "Northern University Press",
    "Orchard & Sons, Limited",
    "Verlag am Wall",
    "[s.n.]",
];
export const otherSubjects: Words = [
    "Fiction",
    "Fiction, general",
    "FICTION / General",
    "History",
    "History and criticism",
    "Juvenile fiction",
    "Large type books",
    "Long Now Manual for Civilization",
    "Romans, nouvelles, etc.",
    "Ficción",
    "Translations into English",
    "serie:Amber_Atlas",
    "nyt:trade-fiction-paperback=2010-02-21",
];
export const languages: Words = ["eng", "eng", "eng", "eng", "eng", "fre", "ger", "spa", "rus", "jpn", "chi", "und"];
export const placeLabels: Words = ["London", "London (England)", "Mars (Planet)", "New York", "Outer space", "Paris"];
export const personLabels: Words = ["Sherlock Holmes", "Leonardo, da Vinci, 1452-1519", "Ada Lovelace (1815-1852)"];
export const timeLabels: Words = ["20th century", "19th century", "To 1500", "1939-1945"];
