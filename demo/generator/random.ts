/** Draws that follow from a seed alone, the same on every machine. */
export interface Random {
    /** A number from 0 up to, but not, 1. */
    (): number;
    chance(probability: number): boolean;
    /** A whole number from `from` to `to`, both included. */
    integer(from: number, to: number): number;
    pick<T>(list: readonly [T, ...T[]]): T;
    /** 1 most often, with a tail that thins out as 1/n^alpha, never above `most`. */
    tail(alpha: number, most: number): number;
}

/** A mulberry32 generator: 32 bits of state, good enough to make up books. */
export function randomFrom(seed: number): Random {
    let state = seed >>> 0;
    const draw = (): number => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = Math.imul(state ^ (state >>> 15), state | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    return Object.assign(draw, {
        chance: (probability: number) => draw() < probability,
        integer: (from: number, to: number) => from + Math.floor(draw() * (to - from + 1)),
        pick: <T>(list: readonly [T, ...T[]]): T => list[Math.floor(draw() * list.length)] ?? list[0],
        tail: (alpha: number, most: number) => Math.min(most, Math.floor((1 - draw()) ** (-1 / alpha))),
    });
}
