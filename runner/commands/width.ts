const graphemes = new Intl.Segmenter("und", { granularity: "grapheme" });

/** Latin, Greek, Cyrillic and Armenian letters without marks: what most cells hold, a column each. */
const narrow = /^[\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u058f]*$/;

/** The blocks whose characters Unicode's EastAsianWidth.txt calls wide or full-width, emoji aside. */
const wide =
    /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18dff}\u{1aff0}-\u{1b2ff}\u{20000}-\u{3fffd}]/u;

const emoji = /^(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f|[#*0-9]\ufe0f?\u20e3)/u;
const nothing = /^[\p{Mn}\p{Me}\p{Cc}\p{Cf}]+$/u;

/** How many columns of a terminal a text takes: two for a Chinese character or an emoji, none for a mark on a letter. */
export function widthOf(text: string): number {
    if (narrow.test(text)) return text.length;
    let width = 0;
    for (const { segment } of graphemes.segment(text)) {
        if (nothing.test(segment)) continue;
        width += wide.test(segment) || emoji.test(segment) ? 2 : 1;
    }
    return width;
}
