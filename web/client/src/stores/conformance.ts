// What every store has to do, as tests: what is true of one of them is true of all. Not part of what is shipped.

import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { Json, Listing, Store, Write } from "../store.ts";
import { isSame } from "./same.ts";

/** A place where things are kept, empty at first. `open` gives another handle on it, as another process would have. */
export interface Place {
  open(): Store;
  /** Called when the test is over. */
  discard?(): void | Promise<void>;
}

export interface Subject {
  readonly name: string;
  place(): Place | Promise<Place>;
  /** How many runs of generated cases; slow drivers need fewer. */
  readonly runs?: number;
  /** Whether what was kept is there for a handle that is opened when all others were closed. */
  readonly outlives: boolean;
}

export function describeStore({ name, place, runs = 100, outlives }: Subject): void {
  const used: Place[] = [];

  const anew = async (): Promise<Place> => {
    const made = await place();
    used.push(made);
    return made;
  };
  const store = async (): Promise<Store> => (await anew()).open();

  afterEach(async () => {
    for (const made of used.splice(0)) await made.discard?.();
  });

  describe(name, () => {
    test("values come back in the order of the keys asked for", async () => {
      const kept = await store();
      await kept.commit([
        ["a", 1],
        ["b", { deep: [null, true, "ü\ud800"] }],
      ]);

      expect(await kept.get(["b", "none", "a", "b"])).toEqual([
        { deep: [null, true, "ü\ud800"] },
        undefined,
        1,
        { deep: [null, true, "ü\ud800"] },
      ]);
      expect(await kept.get([])).toEqual([]);
    });

    test("the last write of a key in a commit counts", async () => {
      const kept = await store();

      await kept.commit([
        ["a", 1],
        ["a", undefined],
        ["b", undefined],
        ["b", 2],
      ]);

      expect(await kept.list("")).toEqual([["b", 2]]);
    });

    test("a listing has what begins with its prefix, in the order of ASCII", async () => {
      const kept = await store();
      const keys = [
        "item/a",
        "item/B",
        "item/a/",
        "item/a~",
        "item/",
        "item0",
        "iten/a",
        "ITEM/a",
        "item/a-",
        "item/_",
      ];
      await kept.commit(keys.map((key, index) => [key, index]));

      const within = keys.filter((key) => key.startsWith("item/")).sort();
      expect((await kept.list("item/")).map(([key]) => key)).toEqual(within);
      expect((await kept.list("")).map(([key]) => key)).toEqual([...keys].sort());
      expect(await kept.list("none/")).toEqual([]);
    });

    test("a listing begins behind a key, ends at its limit and goes backwards", async () => {
      const kept = await store();
      await kept.commit(["a", "b/1", "b/2", "b/3", "b/4", "c"].map((key) => [key, key]));
      const listed = async (listing: Listing) =>
        (await kept.list("b/", listing)).map(([key]) => key);

      expect(await listed({ after: "b/2" })).toEqual(["b/3", "b/4"]);
      expect(await listed({ after: "b/25" })).toEqual(["b/3", "b/4"]);
      expect(await listed({ after: "a", limit: 2 })).toEqual(["b/1", "b/2"]);
      expect(await listed({ after: "c" })).toEqual([]);
      expect(await listed({ limit: 0 })).toEqual([]);
      expect(await listed({ reverse: true, limit: 1 })).toEqual(["b/4"]);
      expect(await listed({ reverse: true, after: "b/3" })).toEqual(["b/2", "b/1"]);
      expect(await listed({ reverse: true, after: "b/1" })).toEqual([]);
      expect(await listed({ reverse: true, after: "c", limit: 1 })).toEqual(["b/4"]);
      expect(await listed({ reverse: true, after: "a" })).toEqual([]);
    });

    test("values are nobody else's", async () => {
      const kept = await store();
      const given = { list: [1] };
      await kept.commit([["a", given]]);
      given.list.push(2);
      const [got] = (await kept.get(["a"])) as [{ list: number[] }];
      got.list.push(3);

      expect(await kept.get(["a"])).toEqual([{ list: [1] }]);
    });

    test("a commit with a guard that does not hold writes nothing", async () => {
      const kept = await store();
      await kept.commit([["a", { one: 1, two: 2 }]]);

      const isDone = await kept.commit(
        [
          ["a", "other"],
          ["b", "new"],
        ],
        [
          { key: "b", is: undefined },
          { key: "a", is: { one: 1 } },
        ],
      );

      expect([isDone, await kept.list("")]).toEqual([false, [["a", { one: 1, two: 2 }]]]);
      expect(await kept.commit([["b", 1]], [{ key: "c", is: null }])).toBe(false);
    });

    test("a guard holds by what a value says, not by how it is written", async () => {
      const kept = await store();
      await kept.commit([["a", { one: 1, two: { three: [1, 2] } }]]);

      const isDone = await kept.commit(
        [["a", undefined]],
        [
          { key: "a", is: { two: { three: [1, 2] }, none: undefined, one: 1 } },
          { key: "b", is: undefined },
        ],
      );

      expect([isDone, await kept.list("")]).toEqual([true, []]);
    });

    test("one of two handles wins", async () => {
      const { open } = await anew();
      const [left, right] = [open(), open()];

      const won = await Promise.all([
        left.commit([["leader", "left"]], [{ key: "leader", is: undefined }]),
        right.commit([["leader", "right"]], [{ key: "leader", is: undefined }]),
      ]);

      expect(won.filter(Boolean)).toEqual([true]);
      expect(await right.get(["leader"])).toEqual([won[0] ? "left" : "right"]);
    });

    test("nothing is lost where two handles count", async () => {
      const { open } = await anew();
      const handles = [open(), open()];
      const each = 8;
      const count = async (handle: Store, by: string) => {
        for (let done = 0; done < each; ) {
          const [before] = (await handle.get(["count"])) as [number | undefined];
          const isDone = await handle.commit(
            [
              ["count", (before ?? 0) + 1],
              [`by/${by}/${done}`, true],
            ],
            [{ key: "count", is: before }],
          );
          if (isDone) done++;
        }
      };

      await Promise.all(handles.map((handle, index) => count(handle, String(index))));

      const [last] = handles;
      expect(await last?.get(["count"])).toEqual([handles.length * each]);
      expect((await last?.list("by/"))?.length).toBe(handles.length * each);
    });

    test("what is wiped is gone for all, and the store goes on", async () => {
      const { open } = await anew();
      const [left, right] = [open(), open()];
      await left.commit([
        ["a", 1],
        ["b", 2],
      ]);
      await right.get(["a"]);

      await left.wipe();

      expect(await right.list("")).toEqual([]);
      expect(await right.commit([["c", 3]], [{ key: "a", is: undefined }])).toBe(true);
      expect(await left.list("")).toEqual([["c", 3]]);
    });

    test("a thousand things are written at once", async () => {
      const kept = await store();
      const writes = Array.from(
        { length: 1_000 },
        (_, index): Write => [`k/${String(index).padStart(4, "0")}`, { index }],
      );

      await kept.commit(writes);

      expect(await kept.list("k/")).toEqual(writes);
      expect((await kept.get(writes.map(([key]) => key))).length).toBe(1_000);
      await kept.commit(writes.map(([key]) => [key, undefined]));
      expect(await kept.list("")).toEqual([]);
    });

    test("a value of a megabyte is kept beside another", async () => {
      const kept = await store();
      const long = "é".repeat(500_000);
      await kept.commit([
        ["a", long],
        ["b", 1],
      ]);

      expect(await kept.get(["a", "b"])).toEqual([long, 1]);
    });

    test("a closed store says so", async () => {
      const kept = await store();
      await kept.commit([["a", 1]]);
      kept.close();
      kept.close();

      for (const asked of [
        () => kept.get(["a"]),
        () => kept.get([]),
        () => kept.list(""),
        () => kept.commit([["a", 2]]),
        () => kept.wipe(),
      ]) {
        await expect(asked()).rejects.toMatchObject({ name: "StoreError", trouble: "broken" });
      }
    });

    test.runIf(outlives)("what was kept is there for who comes later", async () => {
      const { open } = await anew();
      const first = open();
      await first.commit([
        ["a", 1],
        ["b", 2],
      ]);
      first.close();

      expect(await open().list("")).toEqual([
        ["a", 1],
        ["b", 2],
      ]);
    });

    test("it does what a sorted map does", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          const made = await place();
          try {
            const handles = [made.open(), made.open()];
            const model = new Map<string, Json>();
            for (const [index, taken] of steps.entries()) {
              const handle = handles[index % 2] as Store;
              expect(await take(taken, handle)).toEqual(expected(taken, model));
            }
            expect(await handles[0]?.list("")).toEqual(sorted(model));
          } finally {
            await made.discard?.();
          }
        }),
        { numRuns: runs },
      );
    }, 60_000);
  });
}

// --- generated cases --------------------------------------------------------------------------------

type Step =
  | { readonly do: "get"; readonly keys: readonly string[] }
  | { readonly do: "list"; readonly prefix: string; readonly listing: Listing }
  | {
      readonly do: "commit";
      readonly writes: readonly Write[];
      /** What is there, or what is given. */
      readonly guards: readonly {
        readonly key: string;
        readonly is: Json | undefined | "as it is";
      }[];
    }
  | { readonly do: "wipe" };

const asItIs = "as it is";
const someKey = fc.stringMatching(/^[ab/~]{1,3}$/);
const someValue = fc.oneof(
  fc.constant(1),
  fc.string({ unit: "binary" }),
  fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as Json),
);
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("get" as const), keys: fc.array(someKey, { maxLength: 4 }) }),
  fc.record({
    do: fc.constant("list" as const),
    prefix: fc.oneof(fc.constant(""), someKey),
    listing: fc.record(
      { after: someKey, limit: fc.nat(3), reverse: fc.boolean() },
      { requiredKeys: [] },
    ),
  }),
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      writes: fc.array(fc.tuple(someKey, maybe(someValue)), { maxLength: 5 }),
      guards: fc.array(
        fc.record({ key: someKey, is: fc.oneof(fc.constant(asItIs), maybe(fc.constant(1))) }),
        { maxLength: 2 },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "wipe" as const }) },
);

/** Guards that are to hold are read first: nobody else acts between. */
async function take(taken: Step, store: Store): Promise<unknown> {
  if (taken.do === "get") return store.get(taken.keys);
  if (taken.do === "list") return store.list(taken.prefix, taken.listing);
  if (taken.do === "wipe") return store.wipe();
  const found = await store.get(taken.guards.map(({ key }) => key));
  return store.commit(
    taken.writes,
    taken.guards.map(({ key, is }, index) => ({ key, is: is === asItIs ? found[index] : is })),
  );
}

function expected(taken: Step, model: Map<string, Json>): unknown {
  if (taken.do === "get") return taken.keys.map((key) => model.get(key));
  if (taken.do === "wipe") return model.clear();
  if (taken.do === "list") {
    const { after, limit, reverse } = taken.listing;
    const found = sorted(model).filter(([key]) => key.startsWith(taken.prefix));
    if (reverse) found.reverse();
    return found
      .filter(([key]) => after === undefined || (reverse ? key < after : key > after))
      .slice(0, limit);
  }
  if (!taken.guards.every(({ key, is }) => is === asItIs || isSame(model.get(key), is)))
    return false;
  for (const [key, value] of taken.writes) {
    if (value === undefined) model.delete(key);
    else model.set(key, value);
  }
  return true;
}

function sorted(model: Map<string, Json>): [string, Json][] {
  return [...model].sort(([one], [other]) => (one < other ? -1 : 1));
}

// --- atomicity --------------------------------------------------------------------------------------

/** A place whose driver can be made to fail. */
export interface FragilePlace extends Place {
  /**
   * From now on, the driver's call number `call` (from 1) fails: `before` it did anything, or `after`; then it works again, or, as after
   * the end of the process, nothing does until `restart`.
   */
  failAt(call: number, when: "before" | "after", isFinal: boolean): void;
  /** Works again, for handles that are opened from now on. Tells whether the call that was to fail came. */
  restart(): boolean;
}

/**
 * Try a commit with a failure at each call of the driver in turn: it is done as a whole or not at all, done where it said so,
 * and not where it said no.
 */
export function describeAtomicity(
  name: string,
  place: () => FragilePlace | Promise<FragilePlace>,
): void {
  const before: readonly [string, Json][] = [
    ["a", 1],
    ["b", "old"],
    ["c", [1]],
  ];
  const after: readonly [string, Json][] = [
    ["a", 2],
    ["c", [2]],
    ["d", "new"],
  ];
  const writes: readonly Write[] = [
    ["a", 2],
    ["b", undefined],
    ["c", [2]],
    ["d", "new"],
  ];

  describe(`${name}, when the driver fails`, () => {
    for (const when of ["before", "after"] as const) {
      for (const isFinal of [false, true]) {
        test(`${isFinal ? "for good" : "once"}, ${when} the call`, async () => {
          let calls = 0;
          for (let isReached = true; isReached; ) {
            const made = await place();
            const first = made.open();
            await first.commit(before);

            made.failAt(++calls, when, isFinal);
            const told = await first.commit(writes, [{ key: "b", is: "old" }]).catch((error) => {
              expect(error).toMatchObject({ name: "StoreError" });
              return "unknown" as const;
            });
            // Whoever shares the process sees the same as who comes after it.
            const seen = isFinal ? undefined : await first.list("").catch(() => undefined);
            isReached = made.restart();
            const found = await made.open().list("");

            const isDone = isSame(found, after);
            expect([calls, isDone ? after : before]).toEqual([calls, found]);
            if (told !== "unknown") expect([calls, told]).toEqual([calls, isDone]);
            if (seen) expect([calls, seen]).toEqual([calls, found]);
            await made.discard?.();
          }
          // At the least a commit is one call.
          expect(calls).toBeGreaterThan(1);
        }, 60_000);
      }
    }
  });
}
