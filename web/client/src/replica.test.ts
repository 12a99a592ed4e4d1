// @vitest-environment node
import { expect, it } from "vitest";
import { keyOf, MARK, OUTBOX, write } from "./core/keys.ts";
import { put, withdraw } from "./core/outbox.ts";
import { EPOCH, makeReplica, type Replica } from "./replica.ts";
import { chanceOf } from "./simulation/chance.ts";
import { type Tab, World } from "./simulation/world.ts";
import type { Kept } from "./state.ts";
import { memoryStore } from "./stores/memory.ts";
import type { Entry } from "./wire.ts";

const conversation = `conv_${"0".repeat(32)}`;

function entryOf(number: number): Entry {
  const id = `01a30000-0000-7000-8000-${String(number).padStart(12, "0")}`;
  return { type: "message", id, conversation, content: `words ${number}` };
}

const keyFor = (number: number) => keyOf(OUTBOX, entryOf(number).id);

interface Process {
  readonly tab: Tab;
  readonly replica: Replica;
  readonly log: string[];
  /** What is in its outbox, as words. */
  words(): unknown[];
}

function processOf(tab: Tab, id: string): Process {
  const log: string[] = [];
  const replica = makeReplica({
    effects: tab.effects,
    store: tab.store,
    id,
    changed: () => {},
    heard: (_word, from, isOurs) => log.push(isOurs ? `heard ${from}` : `a stranger, ${from}`),
    demoted: () => log.push("demoted"),
    ended: () => log.push("ended"),
    makeRoom: async () => [],
    fallback: async () => memoryStore(),
  });
  const words = () =>
    replica.held.outbox.map(({ entry }) => (entry.type === "message" ? entry.content : entry.type));
  return { tab, replica, log, words };
}

async function twoProcesses(loss = 0) {
  const world = new World(chanceOf(1));
  const device = world.addDevice();
  device.loss = loss;
  const [one, other] = [processOf(device.open(), "one"), processOf(device.open(), "other")];
  void one.replica.start();
  await world.scheduler.runFor(100);
  void other.replica.start();
  await world.scheduler.runFor(100);
  const say = async (process: Process, number: number) => {
    const fate = process.replica.change(() => put(process.replica.held.outbox, entryOf(number), 1));
    await world.scheduler.runFor(100);
    return fate;
  };
  return { world, device, one, other, say };
}

it("has what one process stored in memory of the other", async () => {
  const { one, other, say } = await twoProcesses();

  const fate = await say(one, 1);

  expect(fate).toBe("kept");
  expect([one.words(), other.words()]).toEqual([["words 1"], ["words 1"]]);
});

it("reads all anew where a telling was lost", async () => {
  const { device, other, one, say } = await twoProcesses();
  device.loss = 1;
  await say(one, 1);
  device.loss = 0;

  await say(one, 2);

  expect(other.words()).toEqual(["words 1", "words 2"]);
});

it("decides again where another process was quicker", async () => {
  const { world, device, one, other, say } = await twoProcesses();
  await say(one, 1);
  device.loss = 1;
  const [kept] = one.replica.held.outbox;
  const first = one.replica.change(() => kept && withdraw(kept));
  await world.scheduler.runFor(100);

  const second = other.replica.change(() => {
    const [now] = other.replica.held.outbox;
    return now && withdraw(now);
  });
  await world.scheduler.runFor(100);

  expect(await Promise.all([first, second])).toEqual(["kept", "moot"]);
  expect(other.words()).toEqual([]);
});

it("takes nobody for a stranger before it knows which store it has itself", async () => {
  const { world, device, one } = await twoProcesses();
  device.disk.slowness_ms = 50;
  const third = processOf(device.open(), "third");
  void third.replica.start();

  for (let passed_ms = 0; passed_ms < 200; passed_ms += 1) {
    one.replica.tell({ asks: true });
    await world.scheduler.runFor(1);
  }

  expect([...new Set(third.log)]).toEqual(["heard one"]);
});

it("lets only the one write as leader that began to lead last", async () => {
  const { world, device, one, other } = await twoProcesses();
  const mark = { cursor: "c", isWhole: true, generation: 1, at_ms: 1 };
  const lead = (process: Process) => process.replica.lead();
  const commit = (process: Process, cursor: string) =>
    process.replica.change(() => ({ writes: [write(MARK, { ...mark, cursor })], guards: [] }), {
      isLeading: true,
    });
  void lead(one);
  await world.scheduler.runFor(100);
  void lead(other);
  await world.scheduler.runFor(100);

  const fates = Promise.all([commit(one, "old"), commit(other, "new")]);
  await world.scheduler.runFor(100);

  expect(await fates).toEqual(["moot", "kept"]);
  expect(one.log).toEqual(["demoted"]);
  expect(device.disk.value(MARK)).toEqual({ ...mark, cursor: "new" });
});

it("writes nothing into a store that somebody signed out of, though they did not hear of it", async () => {
  const { world, device, one, other, say } = await twoProcesses();
  await say(one, 1);
  device.loss = 1;
  void one.replica.wipe(async () => {});
  await world.scheduler.runFor(100);

  const fate = await say(other, 2);

  expect(fate).toBe("moot");
  expect(other.log).toEqual(["ended"]);
  expect(device.disk.list("").map(([key]) => key)).toEqual([EPOCH]);
});

it("writes what is unsent again when the browser threw the store away", async () => {
  const { device, one, other, say } = await twoProcesses();
  await say(one, 1);
  device.disk.clear();

  await say(other, 2);

  expect(device.disk.list(OUTBOX).map(([key]) => key)).toEqual([keyFor(1), keyFor(2)]);
  expect([one.log, other.log]).toEqual([[], []]);
});

it("holds what a full store does not take, and stores it when it does", async () => {
  const { world, device, one, say } = await twoProcesses();
  device.disk.trouble = "full";
  const fate = await say(one, 1);
  const during = [one.replica.trouble, one.words(), device.disk.list(OUTBOX).length];
  device.disk.trouble = undefined;

  await world.scheduler.runFor(60_000);

  expect(fate).toBe("held");
  expect(during).toEqual(["full", ["words 1"], 0]);
  expect([one.replica.trouble, device.disk.list(OUTBOX).length]).toEqual([undefined, 1]);
});

it("takes nothing back in memory alone that is in the store", async () => {
  const { world, device, one, say } = await twoProcesses();
  await say(one, 1);
  device.disk.trouble = "broken";

  const fate = one.replica.change(
    () => {
      const [now] = one.replica.held.outbox;
      return now && withdraw(now);
    },
    { isStrict: true },
  );
  await world.scheduler.runFor(100);

  expect(await fate).toBe("moot");
  expect(one.words()).toEqual(["words 1"]);
});

it("keeps what only another process has, though the store knows nothing of it", async () => {
  const { world, device, one, other, say } = await twoProcesses();
  device.disk.trouble = "full";
  await say(one, 1);

  const fate = other.replica.change(() => withdraw(other.replica.held.outbox[0] as Kept), {
    isStrict: true,
  });
  await world.scheduler.runFor(100);

  expect([await fate, other.words(), one.words()]).toEqual(["moot", ["words 1"], ["words 1"]]);
});

it("stores, once it leads, what one told that could not store it and has died", async () => {
  const { world, device, one, other, say } = await twoProcesses();
  device.disk.trouble = "full";
  await say(one, 1);
  device.kill(one.tab);
  device.disk.trouble = undefined;

  void other.replica.lead();
  await world.scheduler.runFor(100);
  await say(other, 2);

  expect(device.disk.list(OUTBOX).map(([key]) => key)).toEqual([keyFor(1), keyFor(2)]);
});

it("tells who comes later what the store does not take", async () => {
  const { world, device, one, say } = await twoProcesses();
  device.disk.trouble = "full";
  await say(one, 1);
  const third = processOf(device.open(), "third");
  void third.replica.start();
  await world.scheduler.runFor(100);

  third.replica.tell({ asks: true });
  await world.scheduler.runFor(100);

  expect(third.words()).toEqual(["words 1"]);
});

it("begins no further on than the store is, where the one that led could store nothing", async () => {
  const { world, device, one, other } = await twoProcesses();
  const mark = { cursor: "1", isWhole: true, generation: 1, at_ms: 1 };
  const commit = (cursor: string) =>
    one.replica.change(() => ({ writes: [write(MARK, { ...mark, cursor })], guards: [] }));
  const first = commit("1");
  await world.scheduler.runFor(100);
  device.disk.trouble = "broken";
  const second = commit("2");
  await world.scheduler.runFor(100);

  expect(await Promise.all([first, second])).toEqual(["kept", "held"]);
  expect([one.replica.held.mark?.cursor, other.replica.held.mark?.cursor]).toEqual(["2", "1"]);
});

it("tells what the store does not take in the order in which it was said, though a telling was lost", async () => {
  const { device, one, other, say } = await twoProcesses();
  device.disk.trouble = "full";
  device.loss = 1;
  await say(one, 1);
  device.loss = 0;

  await say(one, 2);

  expect(other.words()).toEqual(["words 1", "words 2"]);
});

it("misses nothing that the store does not take, though what is heard next is of something else", async () => {
  const { world, device, one, other, say } = await twoProcesses();
  device.disk.trouble = "full";
  await say(other, 3);
  device.loss = 1;
  await say(one, 1);
  device.loss = 0;

  one.replica.tell({ opens: [] });
  await world.scheduler.runFor(100);

  expect(other.words()).toEqual(["words 1", "words 3"]);
});

it("knows better, while it leads, than one that led before and slept", async () => {
  const { world, device, one, other } = await twoProcesses();
  const told = (cursor: string) => ({ cursor, isWhole: true, generation: 1, at_ms: 1 });
  const lead = async ({ replica }: Process) => {
    void replica.lead();
    await world.scheduler.runFor(100);
  };
  const take = async ({ replica }: Process, cursor: string) => {
    void replica.change(() => ({ writes: [write(MARK, told(cursor))], guards: [] }), {
      isLeading: true,
    });
    await world.scheduler.runFor(100);
  };
  await lead(one);
  device.disk.trouble = "full";
  await take(one, "1");
  device.freeze(one.tab);
  await lead(other);
  await take(other, "2");
  await world.scheduler.runFor(10_000);
  device.disk.trouble = undefined;
  device.thaw(one.tab);

  await world.scheduler.runFor(60_000);

  expect([other.replica.held.mark, device.disk.value(MARK)]).toEqual([told("2"), told("2")]);
});

it("brings nothing back that was taken back since the browser threw the store away", async () => {
  const { world, device, one, other, say } = await twoProcesses();
  await say(one, 1);
  device.loss = 1;
  device.disk.clear();
  const [kept] = one.replica.held.outbox;
  const fate = one.replica.change(() => kept && withdraw(kept));
  await world.scheduler.runFor(100);

  await say(other, 2);

  expect(await fate).toBe("kept");
  expect(device.disk.list(OUTBOX).map(([key]) => key)).toEqual([keyFor(2)]);
});

it("loses nothing that gets into the store while that is read", async () => {
  const { world, device, one, say } = await twoProcesses();
  device.disk.trouble = "full";
  await say(one, 1);
  device.disk.trouble = undefined;

  void one.replica.refresh();
  await say(one, 2);
  await world.scheduler.runFor(1000);

  expect(one.words()).toEqual(["words 1", "words 2"]);
});
