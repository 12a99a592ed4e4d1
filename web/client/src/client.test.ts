// @vitest-environment node
import { expect, it } from "vitest";
import { type MakeActing, makeActing } from "./acting.ts";
import { type Client, type ClientOptions, makeClient } from "./client.ts";
import type { Conversation } from "./conversation.ts";
import { chanceOf } from "./simulation/chance.ts";
import { type Device, type Tab, World } from "./simulation/world.ts";
import type { TurnState } from "./state.ts";
import { deviceTools } from "./tools.ts";
import { pollTransport } from "./transports/poll.ts";
import { streamTransport } from "./transports/stream.ts";
import { type Vitals, vitals } from "./vitals.ts";

interface Process {
  readonly tab: Tab;
  readonly client: Client;
  readonly chat: Conversation;
  /** What the chat says: who, how much, how far. */
  said(): string[];
}

interface Stage {
  readonly world: World;
  readonly device: Device;
  open(device?: Device, more?: Partial<ClientOptions>, acting?: () => Promise<MakeActing>): Process;
  run(duration_ms: number): Promise<void>;
  /** Let a promise come to its end. */
  done<T>(promise: Promise<T>): Promise<T>;
}

const id = `conv_${"1".repeat(32)}`;

function stage(): Stage {
  const world = new World(chanceOf(1));
  const { server, scheduler } = world;
  const first = world.addDevice();
  return {
    world,
    device: first,
    open(device = first, more = {}, acting = async () => makeActing) {
      const tab = device.open();
      const client = makeClient(
        {
          url: "https://desk.example",
          app: "web/1.0.0",
          token: () => {
            const { token, expires_at } = server.sessions.of("ada");
            return { token: token ?? "", expires_at };
          },
          store: tab.store,
          effects: tab.effects,
          transports: [streamTransport(), pollTransport()],
          ...more,
        },
        acting,
      );
      void client.start();
      const chat = client.conversation(id);
      chat.view.subscribe(() => {});
      const said = () =>
        chat.view.get().messages.map(({ role, text, turn }) => `${role}: ${text} (${turn?.state})`);
      return { tab, client, chat, said };
    },
    run: (duration_ms) => scheduler.runFor(duration_ms),
    async done(promise) {
      let isDone = false;
      const settle = () => {
        isDone = true;
      };
      promise.then(settle, settle);
      await scheduler.runUntil(() => isDone, 60_000);
      return promise;
    },
  };
}

const answered = (words: string) => [
  `user: ${words} (done)`,
  expect.stringMatching(/^assistant: So you .*\(done\)$/s),
];

it("shows a message at once, each step of its turn in order, and its answer", async () => {
  const { open, run, done } = stage();
  const { client, chat, said } = open();
  await run(1000);
  const states: (TurnState | undefined)[] = [];
  chat.view.subscribe(() => {
    const state = chat.view.get().turn?.state;
    if (state !== states.at(-1)) states.push(state);
  });

  const message = await done(chat.send("Hello"));
  const shown = chat.view.get().messages.map(({ id: item }) => item);
  await run(10_000);

  expect(shown).toEqual([message]);
  expect(states).toEqual(["saved", "sending", "accepted", "waiting", "writing", "done"]);
  expect(said()).toEqual(answered("Hello"));
  expect(client.view.get()).toMatchObject({ connection: "live", unsent: 0, storage: "kept" });
});

it("gives the same objects as long as nothing changed", async () => {
  const { open, run, done } = stage();
  const { client, chat } = open();
  await done(chat.send("Hello"));
  await run(10_000);
  const look = () => [
    client.view.get(),
    client.conversations.get(),
    client.facts.get(),
    chat.view.get(),
  ];
  const before = look();

  await run(60_000);
  const after = look();

  expect(after.map((each, at) => each === before[at])).toEqual([true, true, true, true]);
});

it("keeps what was said offline over the end of the process, and sends it once", async () => {
  const { device, world, open, run, done } = stage();
  device.setOnline(false);
  const first = open();
  await run(100);
  await done(first.chat.send("Hello"));
  device.kill(first.tab);
  const second = open();
  await run(100);
  const before = second.said();

  device.setOnline(true);
  await run(30_000);

  expect(before).toEqual(["user: Hello (saved)"]);
  expect(second.said()).toEqual(answered("Hello"));
  expect(world.server.answers.size).toBe(1);
});

it("keeps what is said while what sends it cannot be loaded, and sends it once it can", async () => {
  const { device, world, open, run, done } = stage();
  let isThere = false;
  const load = async () => {
    if (!isThere) throw new TypeError("Failed to fetch dynamically imported module");
    return makeActing;
  };
  const { client, chat, said } = open(device, {}, load);
  await run(20_000);
  await done(chat.send("Hello"));
  await run(20_000);
  const before = [said(), client.view.get().connection, await done(client.flush())];

  isThere = true;
  await run(30_000);

  expect(before).toEqual([["user: Hello (saved)"], "connecting", false]);
  expect(said()).toEqual(answered("Hello"));
  expect(client.view.get().connection).toBe("live");
  expect(world.server.answers.size).toBe(1);
});

it("shows what it has, whenever the browser throws the store away", async () => {
  for (let between_ms = 2300; between_ms < 2800; between_ms += 20) {
    const { device, open, run, done } = stage();
    const { client, chat, said } = open();
    await done(chat.send("Hello"));
    await run(10_000);
    device.disk.slowness_ms = 50;
    const shown = new Set(said().slice(0, 1));
    chat.view.subscribe(() => shown.add(said()[0] ?? "nothing"));

    device.disk.clear();
    void client.conversation().rename("One");
    await run(between_ms);
    void client.conversation().rename("Other");
    device.disk.clear();
    await run(60_000);

    expect([between_ms, ...shown]).toEqual([between_ms, "user: Hello (done)"]);
  }
});

it("signs out and wipes though what tells the server never comes", async () => {
  const { device, open, done } = stage();
  const { client, chat, tab } = open(device, {}, () => new Promise(() => {}));
  await done(chat.send("Hello"));

  await done(client.signOut());

  expect(await done(tab.store.list("outbox/"))).toEqual([]);
  expect(client.view.get().connection).toBe("signed_out");
});

it("goes on with another credential that was brought before what needs it was loaded", async () => {
  const { device, world, open, run, done } = stage();
  const other = world.server.sessions.of("ada").token ?? "";
  let give = (_: MakeActing) => {};
  const { client, chat, said } = open(
    device,
    { token: () => undefined },
    () =>
      new Promise((resolve) => {
        give = resolve;
      }),
  );
  await run(100);
  client.resume(() => other);
  await done(chat.send("Hello"));

  give(makeActing);
  await run(30_000);

  expect(said()).toEqual(answered("Hello"));
});

it.each(["", " ", []])("says nothing that says nothing: %j", async (content) => {
  const { open, run, done } = stage();
  const { client, chat } = open();
  await run(1000);

  const both = await done(Promise.allSettled([chat.send(content), chat.edit("msg_1", content)]));

  const reason = new TypeError(`A message needs a text or parts, not ${JSON.stringify(content)}.`);
  expect(both).toEqual([
    { status: "rejected", reason },
    { status: "rejected", reason },
  ]);
  expect(client.view.get().unsent).toBe(0);
});

it("refuses what no server could be told, and goes on", async () => {
  const { open, run, done } = stage();
  const { client, chat, said } = open();
  await run(1000);

  const [refused] = await done(
    Promise.allSettled([chat.send([{ type: "input_text", text: 1n as unknown as string }])]),
  );
  await done(chat.send("Hello"));
  await run(10_000);

  expect(refused).toMatchObject({ status: "rejected", reason: expect.any(TypeError) });
  expect(said()).toEqual(answered("Hello"));
  expect(client.view.get()).toMatchObject({ storage: "kept", unsent: 0 });
});

it("asks for nothing offline, not even for what sends", async () => {
  const { device, open, run, done } = stage();
  let asked = 0;
  device.setOnline(false);
  const { chat, said } = open(device, {}, async () => {
    asked += 1;
    return makeActing;
  });
  await done(chat.send("Hello"));
  await run(60_000);
  const askedOffline = asked;

  device.setOnline(true);
  await run(60_000);

  expect([askedOffline, asked]).toEqual([0, 1]);
  expect(said()).toEqual(answered("Hello"));
});

it("says why it does not come to be live, until it does", async () => {
  const { open, run, world } = stage();
  const token = world.server.sessions.of("ada").token ?? "";
  let supply = (): string => {
    throw new Error("Nobody is at the door.");
  };
  const { client } = open(undefined, { token: () => supply() });
  const reasons: unknown[] = [];
  const look = async () => {
    await run(20_000);
    const { connection, reason } = client.view.get();
    reasons.push([connection, reason]);
  };

  await look();
  supply = () => "nonsense";
  await look();
  client.resume(() => token);
  await look();

  expect(reasons).toEqual([
    ["connecting", "Nobody is at the door."],
    ["signed_out", expect.stringMatching(/token/)],
    ["live", undefined],
  ]);
});

it("sends once though the process ended between the request and its reply", async () => {
  const { device, world, open, run, done } = stage();
  const first = open();
  await run(1000);
  await done(first.chat.send("Hello"));
  await world.scheduler.runUntil(() => world.server.answers.size === 1, 5000);
  device.kill(first.tab);

  const second = open();
  await run(30_000);

  expect(second.said()).toEqual(answered("Hello"));
  expect(world.server.answers.size).toBe(1);
});

it.each([1, -1])(
  "waits no longer because the device's clock was set while it asked (%i days)",
  async (days) => {
    const { world, device, open, run, done } = stage();
    const { chat, said } = open();
    await run(1000);
    world.server.terms.waits = 1;
    await done(chat.send("Hello"));
    await world.scheduler.runUntil(() => chat.view.get().turn?.state === "sending", 1000);

    device.offset_ms += days * 86_400_000;
    await run(60_000);

    expect(said()).toEqual(answered("Hello"));
  },
);

it("shows in every process what one of them does", async () => {
  const { open, run, done } = stage();
  const [one, other] = [open(), open()];
  await run(1000);

  await done(other.chat.send("Hello"));
  await run(10_000);

  expect([one.said(), other.said()]).toEqual([answered("Hello"), answered("Hello")]);
  expect([one, other].map(({ client }) => client.view.get().connection)).toEqual(["live", "live"]);
});

it("takes back what did not leave, and nothing that may have", async () => {
  const { device, open, run, done } = stage();
  const { chat, said } = open();
  await run(1000);
  const sent = await done(chat.send("sent"));
  await run(10_000);
  device.setOnline(false);
  await run(1000);
  const kept = await done(chat.send("not sent"));

  const [isSentGone, isKeptGone] = [
    await done(chat.withdraw(sent)),
    await done(chat.withdraw(kept)),
  ];

  expect([isSentGone, isKeptGone]).toEqual([false, true]);
  expect(said()).toEqual(answered("sent"));
});

it("leaves nothing behind a sign-out, in no process", async () => {
  const { device, open, run, done } = stage();
  const [one, other] = [open(), open()];
  await run(1000);
  await done(one.chat.send("Hello"));
  await run(10_000);

  await done(one.client.signOut());
  await run(60_000);
  const late = done(other.chat.send("late"));

  await expect(late).rejects.toThrow("signed out");
  expect(device.disk.list("").map(([key]) => key)).toEqual(["epoch"]);
  expect([one, other].map(({ client, said }) => [client.view.get().connection, said()])).toEqual([
    ["signed_out", []],
    ["signed_out", []],
  ]);
});

it("leaves nothing running when it is stopped, and goes on when it is started again", async () => {
  const { world, open, run, done } = stage();
  const { tab, client, chat, said } = open();
  await run(1000);
  await done(chat.send("Hello"));
  client.stop();
  const asked = tab.sent.length;
  await run(300_000);
  const stopped = [tab.sent.length, client.view.get().connection];

  await done(client.start());
  await run(30_000);

  expect(stopped).toEqual([asked, "stopped"]);
  expect(said()).toEqual(answered("Hello"));
  expect(world.server.answers.size).toBe(1);
});

it("flushes while nobody looks", async () => {
  const { device, open, run, done } = stage();
  const { tab, client, chat } = open();
  await run(1000);
  device.setOnline(false);
  await run(1000);
  await done(chat.send("Hello"));
  device.setVisible(tab, false);
  await run(1000);
  const offline = await done(client.flush());
  device.setOnline(true);
  await run(100);

  const online = await done(client.flush());

  expect([offline, online]).toEqual([false, true]);
});

it("works where nothing may be kept, and says so", async () => {
  const { device, open, run, done } = stage();
  device.disk.trouble = "denied";
  const { client, chat, said } = open();
  await run(1000);

  await done(chat.send("Hello"));
  await run(10_000);

  expect(said()).toEqual(answered("Hello"));
  expect(client.view.get()).toMatchObject({ connection: "live", unsent: 0, storage: "denied" });
});

it("runs a tool once it is allowed, and goes on with what it said", async () => {
  const { open, run, done } = stage();
  const runs: unknown[] = [];
  const tools = deviceTools([
    {
      name: "look",
      description: "Look.",
      parameters: { type: "object" },
      needs: "approval",
      title: () => "Look around",
      run: (given) => {
        runs.push(given);
        return "seen";
      },
    },
  ]);
  const { chat } = open(undefined, { tools });
  await run(1000);
  await done(chat.send("Hello (tool)"));
  await run(10_000);
  const [call] = chat.view.get().calls;
  const before = [chat.view.get().turn?.state, call?.title, call?.status, runs.length];

  if (call !== undefined) await done(chat.approve(call));
  await run(20_000);

  expect(before).toEqual(["asking", "Look around", "asked", 0]);
  expect(runs).toHaveLength(1);
  expect(chat.view.get().turn?.state).toBe("done");
  expect(chat.view.get().messages.at(-1)?.role).toBe("assistant");
});

it("reports what a turn felt like, without a word of it", async () => {
  const { device, open, run, done } = stage();
  const reported: Vitals[] = [];
  const { tab, chat } = open(undefined, { vitals: vitals((batch) => reported.push(...batch)) });
  await run(1000);
  await done(chat.send("Hello"));
  await run(10_000);
  device.setVisible(tab, false);
  await run(1000);

  expect(reported).toHaveLength(1);
  expect(reported[0]).toMatchObject({
    outcome: "done",
    transport: "stream",
    resumes: 0,
    offline_ms: 0,
  });
  const {
    stored_ms = 0,
    sent_ms = 0,
    accepted_ms = 0,
    firstText_ms = 0,
    ended_ms = 0,
  } = reported[0] ?? {};
  const times = [stored_ms, sent_ms, accepted_ms, firstText_ms, ended_ms];
  expect(times).toEqual([...times].sort((one, other) => one - other));
  expect(JSON.stringify(reported)).not.toContain("Hello");
});

it("tells that nobody knows a conversation, once all has been told, and shows it as soon as somebody does", async () => {
  const { device, open, run, done, world } = stage();
  device.setOnline(false);
  const { chat } = open();
  const stati: string[] = [];
  chat.view.subscribe(() => {
    const { status } = chat.view.get();
    if (status !== stati.at(-1)) stati.push(status);
  });
  await run(5_000);
  expect(chat.view.get().status).toBe("loading");
  device.setOnline(true);
  await run(70_000);
  expect(chat.view.get().status).toBe("missing");

  await done(open(world.addDevice()).chat.send("Hello."));
  await run(30_000);

  expect([stati.at(-1), chat.view.get().messages.length]).toEqual(["ready", 2]);
});
