/**
 * How often the catalogue is how it is, as shares of works unless a line says otherwise. "Seen" means that it is known
 * to occur but nobody counted it: the share is then this project's own choice.
 */
export const rates = {
    /** README of the open-library crate: 95.23 % of 10 million works have an author. */
    withoutAuthor: 0.05,
    /** Of author names. The recorded subject baking: 70 of 2,655 names have more than one key. */
    severalKeys: 0.026,
    /** Of works by such an author. Seen: OL1802168W lists one person three times. */
    severalKeysOnOneWork: 0.1,
    /** Of authors. The recorded subject baking: 126 of 2,727 look like a body. */
    corporate: 0.046,
    /** Seen: "Anonymous", "Anon", "Anonymus", "Various" as authors of many unrelated works. */
    collectiveName: 0.005,
    /** Of authors. Seen: 152 keys with an empty name in the whole library. */
    blankName: 0.002,
    /** Of authors. Seen: Cyrillic, Chinese and decomposed names. */
    foreignName: 0.05,
    /** Of authors: merged, and works still refer to the old key. Seen: issue 6532, 30 authors. */
    redirected: 0.01,
    /** Of the redirected: over a second redirect. Seen: the server itself follows up to five. */
    redirectChain: 0.25,
    /** Of authors. Seen: deleted, and works still refer to the key. */
    deleted: 0.003,
    /** Of authors. Seen: /api/get_many leaves out keys that it does not find. */
    documentMissing: 0.003,
    /** Another author after each one. The recorded subject physics has 150 on 100 works; less, for 0.8 keys a work as baking. */
    coAuthor: 0.25,
    /** The recorded subject baking: 41 of 3,603 works have no year. */
    withoutYear: 0.011,
    /** Seen: first years 0, 1000, 1200 and 8858. */
    absurdYear: 0.002,
    /** Of works with five edition years or more. Seen: Brave New World 1800, Fundamentals of physics 1390. */
    badEarlyEdition: 0.05,
    /** Seen: millions of editions without a work are indexed as works OL..M. */
    orphanEdition: 0.03,
    /** Seen: what Solr is given when neither work nor edition has a title. */
    noTitle: 0.001,
    /** The recorded subject baking: 4.4 % of works are a further record of the same title and author. */
    duplicate: 0.044,
    /** Seen. */
    noEdition: 0.002,
    /** Seen: Japanese, Cyrillic, Greek, accented and decomposed titles. */
    foreignTitle: 0.06,
    /** Seen. */
    quotedTitle: 0.01,
    /** Seen. */
    titleWithNewline: 0.002,
    /** The recorded subject bestsellers: 5 of 7 works have one edition. */
    oneEdition: 0.72,
    /** README of the open-library crate. */
    subtitle: 0.024,
    /** README of the open-library crate. */
    cover: 0.32,
    /** README of the open-library crate. */
    places: 0.247,
    /** Seen: "Science-fiction" beside "Science fiction", a subject of its own. */
    subjectVariant: 0.05,
    /** Of works with a scan. Of 320 recorded works, 5 had an error there. */
    availabilityError: 5 / 320,
} as const;
