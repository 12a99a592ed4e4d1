// @vitest-environment node
import { describe, expect, it } from "vitest";
import { chanceOf } from "./chance.ts";
import { fair } from "./network.ts";
import { type Tab, World } from "./world.ts";

function world(): World {
  return new World(chanceOf(5));
}

/** What a promise came to, once it has. */
function outcome<T>(promise: Promise<T>): { value?: T; error?: unknown } {
  const found: { value?: T; error?: unknown } = {};
  promise.then(
    (value) => {
      found.value = value;
    },
    (error: unknown) => {
      found.error = error;
    },
  );
  return found;
}

describe("a disk", () => {
  it("keeps what was done before a process died, and loses what was not", async () => {
    const device = world().addDevice();
    const { scheduler: clock } = device.world;
    const [one, other] = [device.open(), device.open()];

    const kept = outcome(one.store.commit([["a", 1]]));
    await clock.step();
    device.kill(one);
    const lost = outcome(other.store.commit([["b", 1]]));
    device.kill(other);
    await clock.runFor(100);

    expect(device.disk.list("")).toEqual([["a", 1]]);
    expect([kept, lost]).toEqual([{}, {}]);
  });

  it("commits all or nothing, by its guards", async () => {
    const device = world().addDevice();
    const { store } = device.open();
    const results = [
      outcome(store.commit([["a", { x: 1, y: 2 }]], [{ key: "a", is: undefined }])),
      outcome(
        store.commit(
          [
            ["a", 2],
            ["b", 2],
          ],
          [{ key: "a", is: { y: 2, x: 1 } }],
        ),
      ),
      outcome(
        store.commit(
          [
            ["a", 3],
            ["c", 3],
          ],
          [{ key: "a", is: 3 }],
        ),
      ),
      outcome(store.commit([["b", undefined]])),
    ];

    await device.world.scheduler.runFor(100);

    expect(results).toEqual([{ value: true }, { value: true }, { value: false }, { value: true }]);
    expect(device.disk.list("")).toEqual([["a", 2]]);
  });

  it("lists keys in their order, from both ends", async () => {
    const device = world().addDevice();
    const { store } = device.open();
    const writes = ["x/1", "x/3", "x/2", "y/1"].map((key) => [key, key] as const);
    const commit = outcome(store.commit(writes));
    const forward = outcome(store.list("x/", { after: "x/1", limit: 1 }));
    const backward = outcome(store.list("x/", { after: "x/3", reverse: true }));

    await device.world.scheduler.runFor(100);

    expect(commit.value).toBe(true);
    expect(forward.value).toEqual([["x/2", "x/2"]]);
    expect(backward.value).toEqual([
      ["x/2", "x/2"],
      ["x/1", "x/1"],
    ]);
  });

  it("refuses what does not fit, and removes all the same", async () => {
    const device = world().addDevice();
    const { store } = device.open();
    outcome(store.commit([["a", 1]]));
    await device.world.scheduler.runFor(100);
    device.disk.trouble = "full";

    const results = [outcome(store.commit([["b", 1]])), outcome(store.commit([["a", undefined]]))];
    await device.world.scheduler.runFor(100);

    expect(results).toEqual([
      { error: expect.objectContaining({ trouble: "full" }) },
      { value: true },
    ]);
  });
});

describe("leadership", () => {
  function seeking(tab: Tab, leaders: string[]) {
    return tab.effects.leadership.seek(() => {
      leaders.push(tab.name);
      return () => leaders.push(`no more ${tab.name}`);
    });
  }

  it("goes from one that died to the next, and from one that resigns", async () => {
    const device = world().addDevice();
    const { scheduler } = device.world;
    const tabs = [device.open(), device.open(), device.open()];
    const leaders: string[] = [];
    const [, resign] = tabs.map((tab) => seeking(tab, leaders));
    await scheduler.runFor(100);

    const [first] = tabs;
    if (first !== undefined) device.kill(first);
    await scheduler.runFor(100);
    resign?.();
    await scheduler.runFor(100);

    const [one, two, three] = tabs.map(({ name }) => name);
    expect(leaders).toEqual([one, two, `no more ${two}`, three]);
  });

  it("leaves who sleeps for long, where it is a lease", async () => {
    const device = world().addDevice();
    device.hasLeases = true;
    const { scheduler } = device.world;
    const tabs = [device.open(), device.open()] as const;
    const leaders: string[] = [];
    for (const tab of tabs) seeking(tab, leaders);
    await scheduler.runFor(100);

    device.freeze(tabs[0]);
    await scheduler.runFor(15_000);
    device.thaw(tabs[0]);
    await scheduler.runFor(100);

    const [one, two] = tabs.map(({ name }) => name);
    expect(leaders).toEqual([one, two, `no more ${one}`]);
  });
});

describe("a channel", () => {
  it("tells all others, in order, and nobody who died", async () => {
    const device = world().addDevice();
    const [one, two, three] = [device.open(), device.open(), device.open()];
    const heard: string[] = [];
    for (const tab of [one, two, three])
      tab.effects.channel.hear((message) => heard.push(`${tab.name}: ${message}`));
    device.kill(three);

    for (const word of ["a", "b", "c"]) one.effects.channel.tell(word);
    await device.world.scheduler.runFor(100);

    expect(heard).toEqual(["a", "b", "c"].map((word) => `${two.name}: ${word}`));
  });
});

describe("a network", () => {
  const ask = (tab: Tab, signal?: AbortSignal) =>
    outcome(
      tab.effects
        .fetch("https://desk.example/api/bootstrap", signal ? { signal } : {})
        .then(async (response) => [response.status, (await response.json()).revision]),
    );

  it("brings replies, whole, however they are cut on their way", async () => {
    const device = world().addDevice();
    const tab = device.open();
    const replies = Array.from({ length: 30 }, () => ask(tab));

    await device.world.scheduler.runFor(1000);

    expect(replies).toEqual(replies.map(() => ({ value: [200, "r1"] })));
    expect(tab.sent).toHaveLength(30);
  });

  it("loses requests and replies with an error, or in silence until the client has enough", async () => {
    for (const fault of [{ drop: 1 }, { dropReply: 1 }]) {
      const device = world().addDevice();
      const tab = device.open();
      const { scheduler } = device.world;
      device.line.weather = { ...fair, ...fault };
      const lost = ask(tab);
      await scheduler.runFor(1000);
      expect(lost.error).toBeInstanceOf(TypeError);

      device.line.weather = { ...fair, ...fault, silent: 1 };
      const [silent, aborted] = [ask(tab), new AbortController()];
      const given = ask(tab, aborted.signal);
      await scheduler.runFor(60_000);
      expect([silent, given]).toEqual([{}, {}]);
      aborted.abort();
      await scheduler.runFor(61_000);
      expect(given.error).toHaveProperty("name", "AbortError");
      expect(silent.error).toBeInstanceOf(TypeError);
    }
  });

  it("does what is doubled twice, and what goes lost on its way back once", async () => {
    for (const [fault, times] of [
      [{ double: 1 }, 2],
      [{ dropReply: 1 }, 1],
      [{ drop: 1 }, 0],
    ] as const) {
      const device = world().addDevice();
      const tab = device.open();
      const { server, scheduler } = device.world;
      const { token } = server.sessions.of("ada");
      device.line.weather = { ...fair, ...fault };
      const id = "0199a0b0-5d1c-7c3e-9d0a-000000000001";
      const entry = { id, type: "conversation", conversation: `conv_${"0".repeat(32)}` };
      outcome(
        tab.effects.fetch("https://desk.example/api/sync", {
          method: "POST",
          headers: { authorization: `Bearer ${token}` },
          body: JSON.stringify({ push: [entry] }),
        }),
      );

      await scheduler.runFor(10_000);

      expect(server.entries("ada").brought.get(id) ?? 0).toBe(times);
      expect(server.person("ada").conversations.size).toBe(Math.min(times, 1));
    }
  });

  it("holds replies back until they are whole, where a proxy does", async () => {
    const device = world().addDevice();
    const tab = device.open();
    const { server, scheduler } = device.world;
    const { token } = server.sessions.of("ada");
    device.line.weather = { ...fair, holdsBack: true };
    const stream = outcome(
      tab.effects.fetch("https://desk.example/api/events", {
        headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
      }),
    );
    const whole = ask(tab);

    await scheduler.runFor(60_000);

    expect(whole).toEqual({ value: [200, "r1"] });
    expect(stream).toEqual({});
  });

  it("breaks all when the line goes, and lets nothing begin", async () => {
    const device = world().addDevice();
    const tab = device.open();
    const { scheduler } = device.world;
    const begun = ask(tab);
    device.setOnline(false);
    const offline = ask(tab);
    await scheduler.runFor(1000);

    expect(tab.effects.surroundings.isOnline).toBe(false);
    for (const each of [begun, offline]) expect(each.error).toBeInstanceOf(TypeError);
  });
});
