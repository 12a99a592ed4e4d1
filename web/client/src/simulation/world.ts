// Devices with their processes, as the client sees them: everything that it has effects on, under the scheduler. A
// process is called a tab here, for those are what one device has several of.

import type { Effects, Leadership, Stop } from "../effects.ts";
import type { Store } from "../store.ts";
import type { Chance } from "./chance.ts";
import { Disk } from "./disk.ts";
import { fair, type Line, Network } from "./network.ts";
import { type Owner, Scheduler } from "./scheduler.ts";
import { type Request, Server } from "./server/server.ts";

const began_ms = 1_800_000_000_000;
/** How long a leader may be frozen where leadership is a lease. */
const lease_ms = 10_000;

/** A request that a tab began, and what it knew of the world then. */
export interface Sent {
  readonly at_ms: number;
  readonly method: string;
  readonly path: string;
  readonly isOnline: boolean;
  readonly isVisible: boolean;
}

export class World {
  readonly scheduler = new Scheduler();
  readonly server: Server;
  readonly network: Network;
  readonly devices: Device[] = [];

  constructor(readonly chance: Chance) {
    this.server = new Server(this.scheduler, chance.of("server"), began_ms);
    this.network = new Network(this.scheduler, this.server);
  }

  addDevice(): Device {
    const device = new Device(this, this.chance.of(`device ${this.devices.length}`));
    this.devices.push(device);
    return device;
  }
}

/** Somebody who waits for leadership, or has it. */
interface Seeker {
  readonly tab: Tab;
  readonly lead: () => Stop;
  stop: Stop | undefined;
  isOff: boolean;
}

export class Device {
  readonly disk: Disk;
  readonly line: Line = { isUp: true, weather: fair };
  readonly tabs: Tab[] = [];
  /** How far the device's clock is off. */
  offset_ms = 0;
  /** How often a message between tabs gets lost. */
  loss = 0;
  /** Whether a leader that is frozen for long is followed by another, and learns of it when it wakes up. */
  hasLeases = false;
  isOnline = true;
  private readonly seekers: Seeker[] = [];
  private leader: Seeker | undefined;

  constructor(
    readonly world: World,
    readonly chance: Chance,
  ) {
    this.disk = new Disk(world.scheduler, chance.of("disk"));
  }

  get living(): readonly Tab[] {
    return this.tabs.filter((tab) => tab.isAlive);
  }

  open(): Tab {
    const tab = new Tab(this, this.chance.of(`tab ${this.tabs.length}`), this.tabs.length);
    this.tabs.push(tab);
    return tab;
  }

  /** End a process, between two steps: nothing that it began is told to it, or done by it, any more. */
  kill(tab: Tab): void {
    tab.isAlive = false;
    this.world.network.drop(tab);
    for (const seeker of this.seekers) if (seeker.tab === tab) seeker.isOff = true;
    if (this.leader?.tab === tab) this.next();
  }

  freeze(tab: Tab): void {
    tab.isFrozen = true;
    if (!this.hasLeases) return;
    this.world.scheduler.after(lease_ms, nobody, () => {
      if (!tab.isFrozen || this.leader?.tab !== tab) return;
      const { leader } = this;
      const { stop } = leader;
      leader.stop = undefined;
      this.world.scheduler.after(0, tab, () => stop?.());
      // Who has lost it waits for it again.
      this.seekers.push(leader);
      this.next();
    });
  }

  thaw(tab: Tab): void {
    this.world.scheduler.thaw(tab);
    if (this.leader === undefined) this.next();
  }

  setOnline(isOnline: boolean): void {
    this.isOnline = isOnline;
    this.world.network.setUp(this.line, isOnline, this.chance);
    for (const tab of this.living) tab.notice({ isOnline });
  }

  setVisible(tab: Tab, isVisible: boolean): void {
    tab.notice({ isVisible });
  }

  /** Tell all other tabs, in the order in which each of them says something. */
  tell(from: Tab, message: unknown): void {
    const copied = structuredClone(message);
    for (const tab of this.living) {
      if (tab === from || this.chance.happens(this.loss)) continue;
      tab.receive(from, copied, this.chance.fraction() * 10);
    }
  }

  seek(tab: Tab, lead: () => Stop): Stop {
    const seeker: Seeker = { tab, lead, stop: undefined, isOff: false };
    this.seekers.push(seeker);
    if (this.leader === undefined) this.next();
    return () => {
      if (seeker.isOff) return;
      seeker.isOff = true;
      seeker.stop?.();
      if (this.leader === seeker) this.next();
    };
  }

  private next(): void {
    this.leader = undefined;
    const next = this.seekers.find((each) => !each.isOff && each.tab.isAlive && !each.tab.isFrozen);
    if (next === undefined) return;
    this.leader = next;
    this.seekers.splice(this.seekers.indexOf(next), 1);
    this.world.scheduler.after(this.chance.fraction() * 20, next.tab, () => {
      // One that was frozen all the while may have lost it and have got it again.
      if (this.leader === next && !next.isOff && next.stop === undefined) next.stop = next.lead();
    });
  }
}

const nobody: Owner = { name: "nobody", isAlive: true, isFrozen: false };

export class Tab implements Owner {
  readonly name: string;
  isAlive = true;
  isFrozen = false;
  /** What it began to ask, in order. */
  readonly sent: Sent[] = [];
  /** Called with each request that it begins. */
  asked: (request: Request) => void = () => {};
  readonly store: Store;
  readonly effects: Effects;
  private isOnline: boolean;
  private isVisible = true;
  private noticed_ms = 0;
  private readonly watchers = new Set<{ readonly changed: () => void }>();
  private readonly hearers = new Set<{ readonly heard: (message: unknown) => void }>();
  private readonly heard_ms = new Map<Tab, number>();

  constructor(
    readonly device: Device,
    chance: Chance,
    number: number,
  ) {
    const { world, line } = device;
    const { scheduler } = world;
    this.name = `tab ${number} of device ${world.devices.indexOf(device)}`;
    this.isOnline = device.isOnline;
    this.store = device.disk.openFor(this);
    const leadership: Leadership = { seek: (lead) => device.seek(this, lead) };
    const random = chance.of("random");
    this.effects = {
      fetch: world.network.fetchFor(this, line, chance.of("network"), (request) =>
        this.note(request),
      ),
      clock: {
        now_ms: () => Math.floor(began_ms + scheduler.now_ms + device.offset_ms),
        elapsed_ms: () => scheduler.now_ms,
        later: (delay_ms, act) => scheduler.after(delay_ms, this, act),
      },
      surroundings: this.surroundings(),
      leadership,
      channel: {
        tell: (message) => {
          if (this.isAlive) device.tell(this, message);
        },
        hear: (heard) => {
          const hearer = { heard };
          this.hearers.add(hearer);
          return () => this.hearers.delete(hearer);
        },
      },
      random: (count) => random.bytes(count),
    };
  }

  /** Learn of what is around, in a moment. */
  notice(now: { readonly isOnline?: boolean; readonly isVisible?: boolean }): void {
    const { scheduler } = this.device.world;
    // What is told later is learnt later.
    const at_ms = Math.max(this.noticed_ms, scheduler.now_ms + this.device.chance.fraction() * 20);
    this.noticed_ms = at_ms;
    scheduler.after(at_ms - scheduler.now_ms, this, () => {
      const { isOnline = this.isOnline, isVisible = this.isVisible } = now;
      if (isOnline === this.isOnline && isVisible === this.isVisible) return;
      this.isOnline = isOnline;
      this.isVisible = isVisible;
      for (const { changed } of [...this.watchers]) changed();
    });
  }

  receive(from: Tab, message: unknown, delay_ms: number): void {
    const { scheduler } = this.device.world;
    const at_ms = Math.max(this.heard_ms.get(from) ?? 0, scheduler.now_ms + delay_ms);
    this.heard_ms.set(from, at_ms);
    scheduler.after(at_ms - scheduler.now_ms, this, () => {
      for (const { heard } of [...this.hearers]) heard(structuredClone(message));
    });
  }

  private surroundings(): Effects["surroundings"] {
    const tab = this;
    return {
      get isOnline() {
        return tab.isOnline;
      },
      get isVisible() {
        return tab.isVisible;
      },
      savesData: false,
      watch(changed) {
        const watcher = { changed };
        tab.watchers.add(watcher);
        return () => tab.watchers.delete(watcher);
      },
    };
  }

  private note(request: Request): void {
    const { method, path } = request;
    this.asked(request);
    const { now_ms } = this.device.world.scheduler;
    this.sent.push({
      at_ms: now_ms,
      method,
      path,
      isOnline: this.isOnline,
      isVisible: this.isVisible,
    });
  }
}
