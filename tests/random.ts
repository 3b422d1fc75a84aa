// What tests draw at random. Each run draws anew, unless SEED is set, as .ci/run does: there a change is judged by the same
// cases each time. A test that fails tells its seed.
import fc from "fast-check";

/** The seed of this run's draws. */
export const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

fc.configureGlobal({ seed });

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
export function numbersFromSeed(): () => number {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let t = Math.imul(state ^ (state >>> 15), 1 | state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
}

export { fc };
