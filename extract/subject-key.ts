import { PipelineError } from "../common/errors.ts";

/**
 * The key under which Open Library files a subject that a person has typed: "Fiction, general" is "fiction_general".
 * Source: openlibrary/utils/__init__.py, normalize_subject_name.
 * @throws PipelineError for what is not a plain subject.
 */
export function subjectKey(typed: string): string {
    if (/^(person|place|time):/i.test(typed.trim())) {
        throw new PipelineError(`"${typed}" is not a plain subject: people, places and times can't be extracted`);
    }
    const key = keyOfLabel(typed);
    if (key === "") throw new PipelineError(`"${typed}" holds nothing that a subject's key is made of`);
    return key;
}

/** The same for a label of a work's record, whatever it holds; "" when nothing is left of it. */
export function keyOfLabel(label: string): string {
    return label
        .trim()
        .toLowerCase()
        .replace(/[;/?:@&=+$,<>#%"{}|\\^[\]`\n\r]/g, "")
        .replaceAll(" ", "_");
}
