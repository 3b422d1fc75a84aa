// Whatever the catalogue does while it is read: what has landed is what the service held, or the run says what differs.
import * as assert from "uvu/assert";
import { catalogueOf, type Work } from "../../demo/catalogue-file.ts";
import { fc } from "../random.ts";
import { suite } from "../suite.ts";
import { asksForWorks, cleanUp, json, query, type Scene, setScene } from "./scene.ts";

const test = suite("drift");
test.after(cleanUp);

const subjects = ["tides", "moons"];

/** What happens to one work of the catalogue, just before a request is answered. */
interface Event {
    readonly atRequest: number;
    readonly work: number;
    readonly what: "insert" | "delete" | "relabel" | "rename";
}

interface Case {
    readonly works: ReadonlyMap<number, readonly string[]>;
    readonly events: readonly Event[];
    readonly pageSize: number;
    readonly ranges: "taken" | "refused" | "ignored";
}

/** The number of a work of both subjects that nothing happens to: a subject without works is another scene. */
const staying = 7;

const labels = fc.constantFrom<readonly string[]>(["Tides"], ["Moons"], ["Tides", "Moons"], ["Moons", "tides?"]);
const number = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 90_000 }));
const drift: fc.Arbitrary<Case> = fc.record({
    works: fc
        .array(fc.tuple(number, labels), { minLength: 1, maxLength: 80 })
        .map((pairs) => new Map<number, readonly string[]>([...pairs, [staying, ["Tides", "Moons"]]])),
    events: fc.array(
        fc.record({
            atRequest: fc.integer({ min: 2, max: 30 }),
            work: number,
            what: fc.constantFrom("insert", "delete", "relabel", "rename"),
        }),
        { maxLength: 6 },
    ),
    pageSize: fc.integer({ min: 1, max: 9 }),
    ranges: fc.constantFrom("taken", "taken", "refused", "ignored"),
});

/** Plays a case: what landed of each subject, what the service held of it all the time, and at any time. */
async function play({ works, events, pageSize, ranges }: Case) {
    const held = new Map(works);
    const catalogue = () =>
        catalogueOf(
            [...held].map(([n, subject]): Work => ({ key: `/works/OL${n}W`, title: `${n}`, subject: [...subject] })),
        );
    const keysOf = (subject: string): Set<string> =>
        new Set(
            catalogue()
                .bySubject.subject.get(subject)
                ?.map(({ key }) => key),
        );
    const always = new Map(subjects.map((subject) => [subject, keysOf(subject)]));
    const ever = new Map(subjects.map((subject) => [subject, keysOf(subject)]));
    let requests = 0;
    const scene: Scene = await setScene(catalogue(), (request) => {
        requests++;
        for (const { work, what } of events.filter(({ atRequest }) => atRequest === requests)) {
            if (work === staying) continue;
            if (what === "insert") held.set(work, ["Tides", "Moons"]);
            if (what === "delete") held.delete(work);
            if (what === "relabel" && held.has(work)) held.set(work, ["Moons"]);
            if (what === "rename" && held.has(work)) held.set(work, [...(held.get(work) ?? [])]);
            scene.standIn.replace(catalogue());
            for (const subject of subjects) {
                const now = keysOf(subject);
                for (const key of now) ever.get(subject)?.add(key);
                for (const key of always.get(subject) ?? []) if (!now.has(key)) always.get(subject)?.delete(key);
            }
        }
        if (ranges === "refused" && query(request, "q").includes(" TO ")) return json({ error: "no" }, 400);
        if (ranges === "ignored" && asksForWorks(request)) {
            request.query.set("q", query(request, "q").replace(/ AND key:.*/, ""));
        }
        return undefined;
    });
    const { runId } = await scene.extract({ subjects, pageSize });
    const standings = await scene.rows(`from openlibrary.extract_subjects where run_id = '${runId}'`);
    const pages = await scene.rows("select body from openlibrary.search_pages");
    const docs = pages.flatMap(({ body }): Work[] => JSON.parse(String(body)).docs);
    return { standings, docs, always, ever, hasDrifted: events.length > 0 };
}

test("lands what the service held, or is partial with the exact difference", async () => {
    const property = fc.asyncProperty(drift, async (given) => {
        const { standings, docs, always, ever, hasDrifted } = await play(given);
        for (const subject of subjects) {
            const standing = standings.find((row) => row.subject === subject);
            const landed = new Set(
                docs.filter((doc) => catalogueOf([doc]).bySubject.subject.has(subject)).map(({ key }) => key),
            );
            const missing = Number(standing?.num_found) - Number(standing?.works_landed);
            assert.ok(
                [...landed].every((key) => ever.get(subject)?.has(key)),
                "nothing is invented",
            );
            assert.is(standing?.status, missing === 0 ? "complete" : "partial");
            if (missing !== 0) {
                const words =
                    missing > 0 ? "of the counted works were not found" : "of the landed works are not counted";
                assert.match(String(standing?.message), `${Math.abs(missing)} ${words}`);
            }
            if (given.ranges === "taken") {
                assert.ok(
                    [...(always.get(subject) ?? [])].every((key) => landed.has(key)),
                    "nothing is lost",
                );
            }
            if (!hasDrifted) {
                assert.equal(missing, 0);
                assert.equal([...landed].sort(), [...(ever.get(subject) ?? [])].sort());
            }
        }
        await cleanUp();
    });
    const numRuns = Number(process.env.DRIFTS ?? 40);
    const outcome = await fc.check(property, { numRuns, endOnFailure: true });
    if (!outcome.failed) return;
    throw new Error(`seed ${outcome.seed}, ${fc.stringify(outcome.counterexample)}\n${String(outcome.errorInstance)}`);
});

test.run();
