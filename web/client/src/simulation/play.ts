// Plays a script with real clients in a simulated world, then lets all calm down, and says what did not hold.
//
//     acts, each behind its pause ──► calm: all is mended ──► quiet? ──► what must hold at the end ──► silence where
//        watched all the while by `watching.ts`                                                        nothing is to do

import { makeActing } from "../acting.ts";
import { type Client, makeClient } from "../client.ts";
import type { Conversation } from "../conversation.ts";
import type { ConversationView, Kept, MessageView } from "../state.ts";
import { deviceTools } from "../tools.ts";
import { pollTransport } from "../transports/poll.ts";
import { streamTransport } from "../transports/stream.ts";
import type { Bootstrap } from "../wire.ts";
import { chanceOf } from "./chance.ts";
import { fair } from "./network.ts";
import { Sayings, whyNotSaid } from "./sayings.ts";
import type { Act, How, Pause, Script } from "./scripts.ts";
import { whyNotEqual } from "./views.ts";
import { Watching } from "./watching.ts";
import { type Device, type Sent, type Tab, World } from "./world.ts";

/** The person whose devices they are. */
export const person = "ada";

const conversations = [1, 2, 3].map((number) => `conv_${String(number).padStart(32, "0")}`);
const facts = [1, 2, 3].map((number) => `fact_${String(number).padStart(32, "0")}`);
const calm_ms = 30 * 60_000;

/** A process with its client, and what is done to it. */
export interface Running {
  readonly tab: Tab;
  readonly client: Client;
  readonly watching: Watching;
  readonly opened: Map<string, () => void>;
}

/** What came of a script. */
export interface Outcome {
  /** What did not hold; the first one happened first. */
  readonly wrongs: readonly string[];
  readonly steps: number;
  /** How much virtual time went by. */
  readonly time_ms: number;
  readonly log: readonly string[];
}

/** Play a script. It ends by itself, whatever the clients do. With `isWordy` the log tells all that is asked and shown. */
export async function play(script: Script, isWordy = false): Promise<Outcome> {
  const stage = new Stage(script, isWordy);
  await stage.begin();
  for (const [pause, act] of script.acts) {
    await stage.wait(pause);
    stage.do(act);
    if (stage.wrongs.length > 0) break;
  }
  if (stage.wrongs.length === 0) await stage.end();
  const { wrongs, log } = stage;
  const { scheduler } = stage.world;
  stage.close();
  return { wrongs, steps: scheduler.steps, time_ms: scheduler.now_ms, log };
}

class Stage {
  readonly world: World;
  readonly wrongs: string[] = [];
  readonly log: string[] = [];
  private readonly running: Running[] = [];
  private readonly sayings = new Sayings();
  /** How often each call was run, by device and call; and how often somebody allowed it. */
  private readonly runs = new Map<string, number>();
  private readonly allowed = new Map<string, number>();
  private isBarred = false;
  private hasSignedOut = false;

  constructor(
    private readonly script: Script,
    private readonly isWordy: boolean,
  ) {
    this.world = new World(chanceOf(script.seed));
    this.world.server.terms.page = script.page;
    for (let number = 0; number < 2; number += 1) {
      const device = this.world.addDevice();
      device.hasLeases = script.leases;
      device.loss = script.loss;
    }
  }

  async begin(): Promise<void> {
    for (const device of this.world.devices) this.openTab(device);
    await this.world.scheduler.runFor(200);
  }

  async wait(pause: Pause): Promise<void> {
    const { scheduler } = this.world;
    if ("steps" in pause) await scheduler.runSteps(pause.steps);
    else await scheduler.runFor(pause.ms);
  }

  // --- acts ---------------------------------------------------------------------------------------

  do(act: Act): void {
    const { server } = this.world;
    this.note(JSON.stringify(act));
    if ("tab" in act) {
      const living = this.running.filter(({ tab }) => tab.isAlive);
      const running = living[act.tab % living.length];
      if (running !== undefined) this.doInTab(act, running);
      return;
    }
    if ("device" in act) {
      const device = this.world.devices[act.device % this.world.devices.length];
      if (device !== undefined) this.doToDevice(act, device);
      return;
    }
    switch (act.do) {
      case "waits":
        server.terms.waits = act.count;
        return;
      case "overload":
        server.terms.overloads = act.count;
        return;
      case "expire tokens":
        server.sessions.expireTokens();
        server.lookAtCredentials();
        return;
      case "revoke sessions":
        this.isBarred = true;
        server.sessions.revokeAll();
        server.lookAtCredentials();
        return;
      case "kill server":
        server.kill();
        return;
      case "stop server":
        server.stop();
        return;
      case "start server":
        server.start();
        return;
      case "sweep":
        server.sweep();
        return;
      case "outdate":
        server.terms.minimum = "2.0.0";
        return;
      case "reconfigure":
        server.terms.revision += 1;
        return;
    }
  }

  private doInTab(act: Extract<Act, { readonly tab: number }>, running: Running): void {
    const { tab, client } = running;
    const { device } = tab;
    switch (act.do) {
      case "kill":
        device.kill(tab);
        this.sayings.killed(tab);
        return;
      case "stop tab":
        client.stop();
        device.kill(tab);
        this.sayings.killed(tab);
        return;
      case "hide":
      case "show":
        device.setVisible(tab, act.do === "show");
        return;
      case "freeze":
        device.freeze(tab);
        return;
      case "thaw":
        device.thaw(tab);
        return;
      case "remember": {
        const words = `fact ${this.world.scheduler.steps}`;
        ignore(client.remember(words, facts[act.fact % facts.length]));
        return;
      }
    }
    if (tab.isFrozen) return;
    const id = conversations[act.conversation % conversations.length] ?? "";
    const conversation = client.conversation(id);
    this.doInConversation(act, running, conversation);
  }

  private doInConversation(
    act: Extract<Act, { readonly conversation: number }>,
    running: Running,
    conversation: Conversation,
  ): void {
    const { sayings } = this;
    const { id } = conversation;
    const view = conversation.view.get();
    // Counted from the end: what was said last is what people change their minds about.
    const told = act.do === "withdraw" ? view.messages.filter(isOwn) : view.messages;
    const message = "message" in act ? told.at(-1 - (act.message % told.length)) : undefined;
    const last = view.messages.at(-1);
    switch (act.do) {
      case "send":
        this.send(running, conversation, act.how);
        return;
      case "open":
        this.openIn(running, id);
        return;
      case "close":
        running.opened.get(id)?.();
        running.opened.delete(id);
        running.watching.forget(id);
        return;
      case "edit":
        if (message?.role === "user") this.edit(running, conversation, message.id);
        return;
      case "withdraw":
        if (message === undefined) return;
        ignore(this.withdraw(running, conversation, message.id));
        return;
      case "again":
        sayings.branches(id);
        ignore(conversation.again(message?.role === "user" ? message.id : undefined));
        return;
      case "retry":
        if (message === undefined) return;
        sayings.isLate(message.id);
        // What failed at the server is asked for again, in a branch of its own.
        sayings.branches(id);
        ignore(conversation.retry(message.id));
        return;
      case "delete message":
        if (message === undefined) return;
        sayings.deleted(message.id);
        sayings.branches(id);
        ignore(conversation.remove(message.id));
        return;
      case "pin message":
        if (message === undefined) return;
        sayings.changed(message.id);
        ignore(conversation.pinItem(message.id, true));
        return;
      case "stop":
        sayings.stopped(id);
        ignore(conversation.stop());
        return;
      case "delete":
        sayings.removed(id);
        ignore(conversation.remove());
        return;
      case "read":
        ignore(conversation.read());
        return;
      case "choose":
        sayings.branches(id);
        ignore(conversation.choose(0));
        return;
      case "rename":
        ignore(conversation.rename(`title ${this.world.scheduler.steps}`));
        return;
      case "pin":
        ignore(conversation.pin(act.isPinned));
        return;
      case "rate":
        if (last?.response !== undefined) ignore(conversation.rate(last.response, act.rating));
        return;
      case "approve":
      case "decline":
        for (const call of view.calls) {
          if (call.status !== "asked" && call.status !== "interrupted") continue;
          if (act.do === "decline") ignore(conversation.decline(call));
          else {
            const key = `${this.world.devices.indexOf(running.tab.device)} ${call.call}`;
            this.allowed.set(key, (this.allowed.get(key) ?? 0) + 1);
            ignore(conversation.approve(call));
          }
        }
        return;
    }
  }

  private send(running: Running, conversation: Conversation, how: How): void {
    const { tab, client } = running;
    const said = this.sayings.say(tab, conversation.id, how, this.world.scheduler.now_ms);
    const sending = how === "expires" ? { expiresIn_s: 20 } : {};
    ignore(
      conversation.send(said.text, sending).then((id) => {
        this.sayings.saved(said, id, client.view.get().storage, this.world.scheduler.now_ms);
        this.note(`saved: ${said.text} as ${id}`);
      }),
    );
  }

  private async withdraw(
    { tab, client }: Running,
    conversation: Conversation,
    message: string,
  ): Promise<void> {
    const { sayings } = this;
    const stays = sayings.mayGo(message);
    const losses = sayings.lossesOf(tab.device);
    if (await conversation.withdraw(message)) {
      // Where the store is lost in this moment, the other tabs fill it again with what they have.
      const isSure = sayings.lossesOf(tab.device) === losses;
      const isDurable = client.view.get().storage === "kept";
      sayings.withdrawn(message, tab, isDurable, isSure, this.world.scheduler.now_ms);
    } else stays();
  }

  private edit(running: Running, conversation: Conversation, message: string): void {
    const { tab, client } = running;
    const { sayings } = this;
    const before = sayings.of(message);
    const said = sayings.say(tab, conversation.id, "plain", this.world.scheduler.now_ms);
    sayings.branches(conversation.id);
    const stays = sayings.mayGo(message);
    sayings.isLate(message);
    said.mayBeLate = true;
    said.mayBeRefused = true;
    ignore(
      conversation.edit(message, said.text).then((id) => {
        sayings.saved(said, id, client.view.get().storage, this.world.scheduler.now_ms);
        if (id === message) before?.texts.push(said.text);
        if (id === message && before !== undefined) {
          before.fate = "withdrawn";
          if (client.view.get().storage !== "kept") before.withdrawnBy = tab;
        } else stays();
      }),
    );
  }

  private doToDevice(act: Extract<Act, { readonly device: number }>, device: Device): void {
    switch (act.do) {
      case "open tab":
        if (device.living.length < 3) this.openTab(device);
        return;
      case "offline":
      case "online":
        device.setOnline(act.do === "online");
        return;
      case "evict":
        device.disk.clear();
        this.sayings.evicted(device, this.world.scheduler.now_ms);
        return;
      case "break disk":
        device.disk.trouble = act.trouble;
        this.sayings.broken(device);
        return;
      case "heal disk":
        device.disk.trouble = undefined;
        return;
      case "slow disk":
        device.disk.slowness_ms = act.slowness_ms;
        return;
      case "jump":
        device.offset_ms += act.by_ms;
        return;
      case "weather":
        device.line.weather = act.weather;
        return;
    }
  }

  private openTab(device: Device): Running {
    const { server, scheduler } = this.world;
    const tab = device.open();
    const client = makeClient(
      {
        url: "https://desk.example",
        user: person,
        app: "web/1.0.0",
        store: tab.store,
        effects: tab.effects,
        transports: [streamTransport(), pollTransport()],
        ...(this.script.isNarrow && { bounds: { openConversations: 1, storeBytes: 1000 } }),
        token: () =>
          scheduler.later(20, tab, () => {
            if (!device.line.isUp) throw new Error("offline");
            if (this.isBarred) return undefined;
            const { token, expires_at } = server.sessions.of(person);
            return { token: token ?? "", expires_at };
          }),
        tools: deviceTools([
          {
            name: "look",
            description: "Look at something.",
            parameters: { type: "object" },
            needs: "approval",
            run: (_given, { call }) => {
              const key = `${this.world.devices.indexOf(device)} ${call}`;
              this.runs.set(key, (this.runs.get(key) ?? 0) + 1);
              return scheduler.later(2000, tab, () => "seen");
            },
          },
        ]),
      },
      async () => makeActing,
    );
    if (this.isWordy)
      tab.asked = ({ method, path, query, body }) =>
        this.note(`${tab.name} asks ${method} ${path}?${query} ${body}`);
    const watching = new Watching(
      tab,
      server,
      this.sayings,
      (wrong) => this.wrong(wrong),
      this.script.isNarrow && this.script.loss > 0,
    );
    const running: Running = { tab, client, watching, opened: new Map() };
    this.running.push(running);
    ignore(client.start());
    this.openIn(running, conversations[0] ?? "");
    return running;
  }

  private openIn({ tab, client, watching, opened }: Running, id: string): void {
    if (opened.has(id)) return;
    const { view } = client.conversation(id);
    opened.set(
      id,
      view.subscribe(() => {
        if (this.isWordy) this.note(`${tab.name} shows ${id}: ${inWords(view.get())}`);
        watching.look(id, view.get());
      }),
    );
  }

  // --- the end ------------------------------------------------------------------------------------

  /** Mend all that is broken, and see whether all is well in the end. */
  async end(): Promise<void> {
    const { world, script } = this;
    this.note("calm");
    this.mend();
    await world.scheduler.runFor(1000);
    this.replaceOutdated();
    const isQuiet = await this.quietWithin(calm_ms);
    if (this.wrongs.length > 0) return;
    if (!isQuiet) {
      this.wrong(`not quiet: ${this.unrest().join("; ")}`);
      return;
    }
    for (const complaint of world.server.complaints)
      this.wrong(`the server complains: ${complaint}`);
    for (const wrong of whyNotSaid(this.sayings, world.server.person(person), this.living()))
      this.wrong(wrong);
    for (const [key, count] of this.runs)
      if (count > (this.allowed.get(key) ?? 0)) this.wrong(`call ${key} was run ${count} times`);
    for (const { tab } of this.running) {
      const most = mostWithin(tab.sent, 10_000);
      if (most > 120) this.wrong(`${tab.name} asked ${most} times in 10 s`);
    }
    for (const failure of world.scheduler.failures) this.wrong(`threw: ${String(failure)}`);
    if (this.wrongs.length > 0) return;
    await this.silence();
    if (script.signsOut) await this.signOut();
  }

  private mend(): void {
    const { server, devices } = this.world;
    server.start();
    Object.assign(server.terms, { waits: 0, overloads: 0, minimum: undefined });
    this.isBarred = false;
    for (const device of devices) {
      device.line.weather = fair;
      device.disk.trouble = undefined;
      device.disk.slowness_ms = 3;
      device.loss = 0;
      device.setOnline(true);
      for (const tab of device.living) {
        device.thaw(tab);
        device.setVisible(tab, true);
      }
      if (device.living.length === 0) this.openTab(device);
    }
  }

  /** Who is too old gets an update; who was signed out signs in. */
  private replaceOutdated(): void {
    for (const running of this.living()) {
      const { connection } = running.client.view.get();
      if (connection === "signed_out") running.client.resume();
      if (connection !== "too_old") continue;
      running.tab.device.kill(running.tab);
      this.sayings.killed(running.tab);
      this.openTab(running.tab.device);
    }
    for (const running of this.living()) for (const id of conversations) this.openIn(running, id);
  }

  private async quietWithin(most_ms: number): Promise<boolean> {
    const { scheduler } = this.world;
    const until_ms = scheduler.now_ms + most_ms;
    while (scheduler.now_ms < until_ms && this.wrongs.length === 0) {
      await scheduler.runFor(2000);
      this.replaceOutdated();
      if (this.unrest().length === 0) return true;
    }
    return false;
  }

  /** What keeps it from being quiet: answers that are made, unsent entries, views that are not what the server has. */
  private unrest(): string[] {
    const { server, devices } = this.world;
    const found: string[] = [];
    for (const answer of server.answers.values())
      if (answer.ended === undefined) found.push(`${answer.facts.id} is being made`);
    for (const device of devices) {
      const { revision } = (device.disk.value("bootstrap") ?? {}) as Partial<Bootstrap>;
      if (revision !== `r${server.terms.revision}`) found.push("a bootstrap is old");
      for (const [key, kept] of device.disk.list("outbox/")) {
        const { status, hasFailed } = kept as unknown as Kept;
        // What asked for an answer that failed is kept with it, until something else is asked for.
        const isOver = status === "done" && hasFailed;
        if (!isOver && status !== "refused" && status !== "expired")
          found.push(`${key} is ${status}`);
      }
    }
    for (const { tab, client } of this.living()) {
      const { connection, storage } = client.view.get();
      if (connection !== "live") found.push(`${tab.name} is ${connection}`);
      // A store that works again is taken back a while later, with what it takes to be up to date there.
      if (storage !== "kept") found.push(`${tab.name} has its storage ${storage}`);
    }
    if (found.length > 0) return found;
    return this.living().flatMap(({ tab, client }) =>
      whyNotEqual(client, server, person, conversations).map((wrong) => `${tab.name}: ${wrong}`),
    );
  }

  /** Where nothing is to do nothing is asked: not while it is live and idle, not hidden, not offline. */
  private async silence(): Promise<void> {
    const { scheduler, devices } = this.world;
    const living = this.living();
    const sentIn = async (duration_ms: number, isLive: (path: string) => boolean) => {
      await scheduler.runFor(30_000);
      const from_ms = scheduler.now_ms;
      await scheduler.runFor(duration_ms);
      return living.flatMap(({ tab }) =>
        tab.sent
          .filter(({ at_ms, path }) => at_ms > from_ms && !isLive(path))
          .map(({ method, path }) => `${tab.name}: ${method} ${path}`),
      );
    };
    const idle = await sentIn(90_000, (path) => path === "/api/events");
    if (idle.length > 0) this.wrong(`asked while idle: ${idle.join(", ")}`);
    for (const { tab } of living) tab.device.setVisible(tab, false);
    const hidden = await sentIn(90_000, () => false);
    if (hidden.length > 0) this.wrong(`asked while hidden: ${hidden.join(", ")}`);
    const { listening } = this.world.server;
    if (listening > 0) this.wrong(`${listening} listen while hidden`);
    for (const { tab } of living) tab.device.setVisible(tab, true);
    for (const device of devices) device.setOnline(false);
    const offline = await sentIn(90_000, () => false);
    if (offline.length > 0) this.wrong(`asked while offline: ${offline.join(", ")}`);
    for (const device of devices) device.setOnline(true);
  }

  private async signOut(): Promise<void> {
    const { scheduler } = this.world;
    const [running] = this.living();
    if (running === undefined) return;
    this.hasSignedOut = true;
    let isOut = false;
    ignore(
      running.client.signOut().then(() => {
        isOut = true;
      }),
    );
    await scheduler.runFor(60_000);
    if (!isOut) this.wrong("signing out did not end");
    const left = running.tab.device.disk.list("").filter(([key]) => key !== "epoch");
    if (left.length > 0) this.wrong(`left behind sign-out: ${left.map(([key]) => key).join(", ")}`);
  }

  /** End all clients, so that nothing of this script is left. */
  close(): void {
    for (const { tab } of this.living()) tab.isAlive = false;
  }

  private living(): Running[] {
    return this.running.filter(({ tab }) => tab.isAlive);
  }

  private wrong(words: string): void {
    if (this.hasSignedOut && !words.includes("sign")) return;
    this.note(`WRONG: ${words}`);
    this.wrongs.push(words);
  }

  private note(words: string): void {
    const { now_ms, steps } = this.world.scheduler;
    this.log.push(`${(now_ms / 1000).toFixed(3)} s, step ${steps}: ${words}`);
  }
}

/** How many of them there were at most in any stretch of time. */
function mostWithin(sent: readonly Sent[], stretch_ms: number): number {
  let first = 0;
  let most = 0;
  sent.forEach(({ at_ms }, place) => {
    while ((sent[first]?.at_ms ?? 0) < at_ms - stretch_ms) first += 1;
    most = Math.max(most, place - first + 1);
  });
  return most;
}

function isOwn({ role }: MessageView): boolean {
  return role === "user";
}

/** What somebody asks for may be refused: that is no fault of itself. */
function ignore(promise: Promise<unknown>): void {
  promise.catch(() => {});
}

function inWords({ status, turn, messages }: ConversationView): string {
  const said = messages.map(({ id, text, turn: its }) => `${id.slice(-6)} ${its?.state} “${text}”`);
  return `${status} ${turn?.state}: ${said.join(", ")}`;
}
