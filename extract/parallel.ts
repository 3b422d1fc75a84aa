/**
 * Works through `items`, so many at once. After a failure nothing new is begun, and it is thrown when what was under way
 * has ended: nothing may land after a failure was reported.
 */
export async function inParallel<T>(
    items: Iterable<T>,
    atOnce: number,
    work: (item: T) => Promise<void>,
): Promise<void> {
    const waiting = [...items];
    let failed = false;
    const worker = async (): Promise<void> => {
        for (let item = waiting.shift(); item !== undefined && !failed; item = waiting.shift()) {
            try {
                await work(item);
            } catch (error) {
                failed = true;
                throw error;
            }
        }
    };
    const ends = await Promise.allSettled(Array.from({ length: Math.min(atOnce, waiting.length) }, worker));
    const failure = ends.find((end) => end.status === "rejected");
    if (failure !== undefined) throw failure.reason;
}
