/**
 * Works through `items`, so many at once; `slot` (from 0) is no other's while an item has it. After a failure nothing new is begun, and it is thrown when what was under way
 * has ended: nothing may land after a failure was reported.
 */
export async function inParallel<T>(
    items: Iterable<T>,
    atOnce: number,
    work: (item: T, slot: number) => Promise<void>,
): Promise<void> {
    const waiting = [...items];
    let failed = false;
    const worker = async (slot: number): Promise<void> => {
        for (let item = waiting.shift(); item !== undefined && !failed; item = waiting.shift()) {
            try {
                await work(item, slot);
            } catch (error) {
                failed = true;
                throw error;
            }
        }
    };
    const ends = await Promise.allSettled(
        Array.from({ length: Math.min(atOnce, waiting.length) }, (_, slot) => worker(slot)),
    );
    const failure = ends.find((end) => end.status === "rejected");
    if (failure !== undefined) throw failure.reason;
}
