// @vitest-environment node

import { afterEach, describe, expect, test, vi } from "vitest";
import type { Clock, Leadership, Stop } from "../effects.ts";
import { type Store, StoreError } from "../store.ts";
import { memoryStore } from "../stores/memory.ts";
import { alone } from "./alone.ts";
import { browserEffects, pageSurroundings } from "./browser.ts";
import { broadcastChannel, localChannel } from "./channel.ts";
import { byLease } from "./lease.ts";
import { byLocks, type Locks } from "./locks.ts";
import { type AppStateLike, type NetInfoState, nativeEffects } from "./native.ts";
import { yielding } from "./yielding.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

// --- fakes ----------------------------------------------------------------------------------------------

function fakeClock() {
  let now_ms = 1_800_000_000_000;
  let elapsed_ms = 0;
  let timers: { at_ms: number; act: () => void }[] = [];
  return {
    now_ms: () => now_ms,
    elapsed_ms: () => elapsed_ms,
    later(delay_ms: number, act: () => void) {
      const timer = { at_ms: elapsed_ms + delay_ms, act };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    set(span_ms: number) {
      now_ms += span_ms;
    },
    waiting: () => timers.length,
    /** Second by second, with time for what is asynchronous. */
    async pass(span_ms: number) {
      for (let passed_ms = 0; passed_ms < span_ms; passed_ms += 1_000) {
        now_ms += 1_000;
        elapsed_ms += 1_000;
        const due = timers.filter(({ at_ms }) => at_ms <= elapsed_ms);
        timers = timers.filter(({ at_ms }) => at_ms > elapsed_ms);
        for (const { act } of due) act();
        await settle();
      }
    },
    /** The process does not run, and the world goes on. */
    sleep(span_ms: number) {
      now_ms += span_ms;
      elapsed_ms += span_ms;
    },
  };
}

/** Exclusive locks as the specification has them, as far as they are used. */
function fakeLocks() {
  const queue: { begin(): void; end(reason: unknown): void }[] = [];
  const next = () => queue[0]?.begin();
  const request = (_name: string, { signal }: { signal: AbortSignal }, act: () => Promise<void>) =>
    new Promise<void>((resolve, reject) => {
      let isHeld = false;
      const leave = () => {
        const place = queue.indexOf(entry);
        if (place >= 0) queue.splice(place, 1);
        if (place === 0) queueMicrotask(next);
      };
      const entry = {
        begin() {
          if (isHeld) return;
          isHeld = true;
          queueMicrotask(() => {
            act().then(resolve, reject).finally(leave);
          });
        },
        end(reason: unknown) {
          leave();
          reject(reason);
        },
      };
      signal.addEventListener("abort", () => {
        if (isHeld) return;
        entry.end(signal.reason);
      });
      queue.push(entry);
      if (queue.length === 1) queueMicrotask(next);
    });
  return {
    locks: { request } as unknown as Locks,
    waiting: () => queue.length,
    steal: () => queue[0]?.end(new DOMException("stolen", "AbortError")),
  };
}

/** Notes who leads. More than one at a time fails the test at once. */
function stage() {
  const leading = new Set<string>();
  const log: string[] = [];
  return {
    log,
    leading,
    seek(leadership: Leadership, name: string): Stop {
      return leadership.seek(() => {
        leading.add(name);
        log.push(`${name} leads`);
        expect([...leading]).toEqual([name]);
        return () => {
          leading.delete(name);
          log.push(`${name} ends`);
        };
      });
    },
  };
}

function fakePage() {
  const watching = new Set<() => void>();
  const state = { isVisible: true, isAsleep: false };
  return {
    get isVisible() {
      return state.isVisible && !state.isAsleep;
    },
    get isAsleep() {
      return state.isAsleep;
    },
    watch(changed: () => void) {
      watching.add(changed);
      return () => {
        watching.delete(changed);
      };
    },
    set(next: Partial<typeof state>) {
      Object.assign(state, next);
      for (const changed of watching) changed();
    },
    watchers: () => watching.size,
  };
}

// --- leadership -------------------------------------------------------------------------------------------

describe("leadership alone", () => {
  test("is had at once, and ends once", async () => {
    const { log, seek } = stage();
    const stop = seek(alone, "a");
    expect(log).toEqual([]);
    await settle();
    stop();
    stop();
    const never = seek(alone, "b");
    never();
    await settle();

    expect(log).toEqual(["a leads", "a ends"]);
  });
});

describe("leadership by Web Locks", () => {
  test("goes to who waits longest when its holder resigns", async () => {
    const { locks, waiting } = fakeLocks();
    const { log, seek } = stage();
    const leadership = byLocks(locks, "frontdesk", fakeClock());
    const stops = ["a", "b", "c"].map((name) => seek(leadership, name));
    await settle();
    stops[1]?.();
    await settle();
    expect(waiting()).toBe(2);
    stops[0]?.();
    await settle();
    stops[2]?.();
    await settle();

    expect([log, waiting()]).toEqual([["a leads", "a ends", "c leads", "c ends"], 0]);
  });

  test("that is stolen ends, and is sought again", async () => {
    const { locks, steal } = fakeLocks();
    const clock = fakeClock();
    const { log, seek } = stage();
    const stop = seek(byLocks(locks, "frontdesk", clock), "a");
    await settle();
    steal();
    await settle();
    expect(log).toEqual(["a leads", "a ends"]);
    await clock.pass(1_000);
    stop();
    await settle();

    expect([log, clock.waiting()]).toEqual([["a leads", "a ends", "a leads", "a ends"], 0]);
  });
});

describe("leadership by a lease", () => {
  const setUp = (store: Store = memoryStore()) => {
    const clock = fakeClock();
    const by = (holder: string, itsClock: Clock = clock) =>
      byLease({ store, clock: itsClock, holder });
    return { store, clock, by, ...stage() };
  };

  test("is one's at a time, renewed for as long as wanted, and given on", async () => {
    const { store, clock, by, log, seek } = setUp();
    const stops = ["a", "b", "c"].map((name) => seek(by(name), name));
    await clock.pass(120_000);
    expect(log).toEqual(["a leads"]);

    stops[0]?.();
    await clock.pass(10_000);
    stops[1]?.();
    stops[2]?.();
    await settle();

    expect(log.length).toBe(4);
    expect([await store.list(""), clock.waiting()]).toEqual([[], 0]);
  });

  test("of one who died goes on when it is over", async () => {
    const { clock, by, log, seek } = setUp();
    const dead = fakeClock();
    seek(by("a", { ...dead, now_ms: clock.now_ms }), "a");
    await settle();
    const { log: others, seek: seekOther } = stage();
    seekOther(by("b"), "b");
    await clock.pass(14_000);
    expect(others).toEqual([]);
    await clock.pass(7_000);

    expect([log, others]).toEqual([["a leads"], ["b leads"]]);
  });

  test("of one who slept ends as it wakes up, before anything of it is done", async () => {
    const { clock, by, log, seek } = setUp();
    seek(by("a"), "a");
    await settle();
    clock.sleep(60_000);
    await clock.pass(1_000);

    expect(log).toEqual(["a leads", "a ends", "a leads"]);
  });

  test("written by a clock that was set back since is over", async () => {
    const { clock, by, log, seek, store } = setUp();
    await store.commit([["lease", { holder: "dead", until_ms: clock.now_ms() + 3_600_000 }]]);
    seek(by("a"), "a");
    await settle();

    expect(log).toEqual(["a leads"]);
  });

  test("that the store forgot is another's", async () => {
    const { clock, by, log, seek, store } = setUp();
    seek(by("a"), "a");
    await settle();
    await store.commit([["lease", { holder: "b", until_ms: clock.now_ms() + 15_000 }]]);
    await clock.pass(5_000);

    expect(log).toEqual(["a leads", "a ends"]);
  });

  test("is everybody's where nothing can be kept, and nobody's where the store is broken", async () => {
    const failing = (trouble: "denied" | "broken"): Store => ({
      ...memoryStore(),
      get: () => Promise.reject(new StoreError(trouble, "It is.")),
    });
    const denied = setUp(failing("denied"));
    denied.seek(denied.by("a"), "a");
    const broken = setUp(failing("broken"));
    broken.seek(broken.by("a"), "a");
    await denied.clock.pass(20_000);
    await broken.clock.pass(20_000);

    expect([denied.log, broken.log]).toEqual([["a leads"], []]);
  });
});

describe("leadership that goes where somebody looks", () => {
  const setUp = () => {
    const { locks, waiting } = fakeLocks();
    const name = `lead-${Math.random()}`;
    const inner = byLocks(locks, name, fakeClock());
    const staged = stage();
    const open = (who: string) => {
      const page = fakePage();
      const stop = staged.seek(yielding(inner, page, localChannel(name)), who);
      return { page, stop };
    };
    return { ...staged, open, waiting };
  };

  test("leaves the page that is hidden for the one that is seen, whoever of them is told first", async () => {
    for (const isHiddenFirst of [true, false]) {
      const { leading, open } = setUp();
      const [a, b] = [open("a"), open("b")];
      b.page.set({ isVisible: false });
      await settle();
      expect([...leading]).toEqual(["a"]);

      const changes = [
        () => a.page.set({ isVisible: false }),
        () => b.page.set({ isVisible: true }),
      ];
      if (!isHiddenFirst) changes.reverse();
      for (const change of changes) {
        change();
        await settle();
      }

      expect([...leading]).toEqual(["b"]);
    }
  });

  test("leaves a page that is hidden for one that is opened", async () => {
    const { leading, open } = setUp();
    const a = open("a");
    await settle();
    a.page.set({ isVisible: false });
    await settle();
    open("b");
    await settle();

    expect([...leading]).toEqual(["b"]);
  });

  test("finds the one that is seen among many that are not", async () => {
    const { leading, open } = setUp();
    const pages = ["a", "b", "c", "d", "e"].map((who) => open(who).page);
    await settle();
    for (const page of pages.slice(0, 4)) page.set({ isVisible: false });
    for (let round = 0; round < 10; round++) await settle();

    expect([...leading]).toEqual(["e"]);
  });

  test("stays where it is when nobody else is seen", async () => {
    const { log, open } = setUp();
    const [a, b] = [open("a"), open("b")];
    await settle();
    b.page.set({ isVisible: false });
    a.page.set({ isVisible: false });
    await settle();

    expect(log).toEqual(["a leads"]);
  });

  test("is not had, nor waited for, by a page that sleeps", async () => {
    const { log, open, waiting } = setUp();
    const [a, b] = [open("a"), open("b")];
    await settle();
    a.page.set({ isAsleep: true });
    b.page.set({ isAsleep: true });
    await settle();
    expect([log, waiting()]).toEqual([["a leads", "a ends"], 0]);

    b.page.set({ isAsleep: false });
    await settle();
    b.stop();
    a.stop();
    await settle();
    expect(log).toEqual(["a leads", "a ends", "b leads", "b ends"]);
    expect([a.page.watchers(), b.page.watchers(), waiting()]).toEqual([0, 0, 0]);
  });
});

// --- channels ----------------------------------------------------------------------------------------------

describe("a channel", () => {
  test("within the process tells all others of its name, later, and none that stopped", async () => {
    const [a, b, other] = [localChannel("one"), localChannel("one"), localChannel("two")];
    const heard: unknown[] = [];
    const stops = [a, b, other].map((channel, index) =>
      channel.hear((message) => heard.push([index, message])),
    );
    const message = { writes: [["a", 1]] };
    a.tell(message);
    message.writes.push(["b", 2]);
    expect(heard).toEqual([]);
    await settle();
    stops[1]?.();
    a.tell("nobody");
    await settle();

    expect(heard).toEqual([[1, { writes: [["a", 1]] }]]);
    for (const stop of stops) stop();
  });

  test("between pages is open while somebody listens and the page is awake", async () => {
    const page = fakePage();
    const open = new Set<object>();
    class Fake {
      static readonly told: unknown[] = [];
      onmessage: ((event: { data: unknown }) => void) | null = null;
      constructor(readonly name: string) {
        open.add(this);
      }
      postMessage(message: unknown) {
        Fake.told.push(message);
        for (const other of open)
          if (other !== this) (other as Fake).onmessage?.({ data: message });
      }
      close() {
        open.delete(this);
      }
    }
    const Broadcast = Fake as unknown as typeof BroadcastChannel;
    const [a, b] = [
      broadcastChannel("n", page, Broadcast),
      broadcastChannel("n", fakePage(), Broadcast),
    ];
    b.tell(1);
    expect(open.size).toBe(0);
    const heard: unknown[] = [];
    const stop = a.hear((message) => heard.push(message));
    b.tell(2);
    page.set({ isAsleep: true });
    expect(open.size).toBe(0);
    b.tell(3);
    a.tell(4);
    page.set({ isAsleep: false });
    b.tell(5);
    stop();

    expect([heard, Fake.told, open.size, page.watchers()]).toEqual([[2, 5], [1, 2, 3, 5], 0, 0]);
  });
});

// --- platforms ----------------------------------------------------------------------------------------------

describe("a page", () => {
  const stubPage = () => {
    const window = new EventTarget();
    const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
    const connection = Object.assign(new EventTarget(), { saveData: false });
    const navigator = { onLine: true, connection };
    vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
    vi.stubGlobal("removeEventListener", window.removeEventListener.bind(window));
    vi.stubGlobal("document", document);
    vi.stubGlobal("navigator", navigator);
    return { window, document, connection, navigator };
  };

  test("tells what changes, once for each change", () => {
    const { window, document, connection, navigator } = stubPage();
    const page = pageSurroundings();
    const told: string[] = [];
    const stop = page.watch(() =>
      told.push(
        `${page.isOnline ? "online" : "offline"} ${page.isVisible ? "visible" : "hidden"} ${page.savesData ? "saving" : "spending"}${page.isAsleep ? " asleep" : ""}`,
      ),
    );
    navigator.onLine = false;
    window.dispatchEvent(new Event("offline"));
    navigator.onLine = true;
    window.dispatchEvent(new Event("online"));
    window.dispatchEvent(new Event("online"));
    connection.saveData = true;
    connection.dispatchEvent(new Event("change"));
    document.visibilityState = "hidden";
    document.dispatchEvent(new Event("visibilitychange"));
    document.dispatchEvent(new Event("freeze"));
    document.dispatchEvent(new Event("resume"));
    window.dispatchEvent(new Event("pagehide"));
    document.visibilityState = "visible";
    window.dispatchEvent(new Event("pageshow"));
    stop();
    stop();
    window.dispatchEvent(new Event("pagehide"));

    expect(told).toEqual([
      "offline visible spending",
      "online visible spending",
      "online visible saving",
      "online hidden saving",
      "online hidden saving asleep",
      "online hidden saving",
      "online hidden saving asleep",
      "online visible saving",
    ]);
  });

  test("has all effects", async () => {
    stubPage();
    const answer = new Response("");
    vi.stubGlobal("fetch", async () => answer);
    const { fetch, random, clock } = browserEffects({ name: "frontdesk" });

    expect(await fetch("https://chat.example", {})).toBe(answer);
    const drawn = [random(16), random(16)].map((bytes) => bytes.toString());
    expect([random(16).length, new Set(drawn).size]).toEqual([16, 2]);
    expect(Math.abs(clock.now_ms() - Date.now()) < 1_000).toBe(true);
    await new Promise<void>((resolve) => clock.later(1, resolve));
  });

  test("without locks shares leadership by the store", async () => {
    stubPage();
    const store = memoryStore();
    const { log, seek } = stage();
    const stops = ["a", "b"].map((who) =>
      seek(browserEffects({ name: "frontdesk", store }).leadership, who),
    );
    await settle();
    await settle();
    for (const stop of stops) stop();
    await settle();

    expect([log, await store.list("")]).toEqual([["a leads", "a ends"], []]);
  });
});

describe("a process without a page", () => {
  test("is online, seen, and leads", async () => {
    const { surroundings, leadership } = browserEffects({ name: "frontdesk" });
    const { isOnline, isVisible, savesData } = surroundings;
    const { log, seek } = stage();
    const stop = seek(leadership, "node");
    await settle();
    stop();

    expect([isOnline, isVisible, savesData, log]).toEqual([
      true,
      true,
      false,
      ["node leads", "node ends"],
    ]);
    surroundings.watch(() => {})();
  });
});

describe("an app of React Native", () => {
  const setUp = () => {
    let state = "active";
    let changed = (_: string) => {};
    let net = (_: NetInfoState) => {};
    let listening = 0;
    const appState: AppStateLike = {
      get currentState() {
        return state;
      },
      addEventListener(_, act) {
        changed = act;
        listening++;
        return { remove: () => void listening-- };
      },
    };
    const effects = nativeEffects({
      appState,
      netInfo: {
        addEventListener(act) {
          net = act;
          listening++;
          act({ isConnected: true, isInternetReachable: null });
          return () => void listening--;
        },
      },
    });
    return {
      effects,
      setState(next: string) {
        state = next;
        changed(next);
      },
      setNet: (next: NetInfoState) => net(next),
      listening: () => listening,
    };
  };

  test("is hidden in the background, and offline where nothing is reached", () => {
    const { effects, setState, setNet, listening } = setUp();
    const { surroundings } = effects;
    const told: unknown[] = [];
    const stop = surroundings.watch(() =>
      told.push([surroundings.isOnline, surroundings.isVisible]),
    );
    setState("inactive");
    setState("background");
    setState("background");
    setState("active");
    setNet({ isConnected: false });
    setNet({ isConnected: true, isInternetReachable: false });
    setNet({ isConnected: null });
    stop();
    stop();

    expect([told, listening()]).toEqual([
      [
        [true, false],
        [true, true],
        [false, true],
        [true, true],
      ],
      0,
    ]);
  });

  test("leads alone, and says where randomness is missing", async () => {
    const { effects } = setUp();
    const { log, seek } = stage();
    seek(effects.leadership, "app");
    await settle();
    expect([log, effects.random(8).length]).toEqual([["app leads"], 8]);

    vi.stubGlobal("crypto", undefined);
    expect(() => effects.random(8)).toThrow("There is no crypto.getRandomValues here.");
  });
});
