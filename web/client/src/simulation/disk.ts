// The disk of a device: what its processes have stored, and how it fails them.

import {
  type Guard,
  type Json,
  type Listing,
  type Store,
  StoreError,
  type StoreTrouble,
  type Write,
} from "../store.ts";
import type { Chance } from "./chance.ts";
import type { Owner, Scheduler } from "./scheduler.ts";

/**
 * A disk. A commit is two steps: it is done, and its process is told. Who dies before the first has lost it, who dies
 * between them has it.
 */
export class Disk {
  /** Why it does not work, while it does not. A full one still tells what it has, and lets go of it. */
  trouble: StoreTrouble | undefined;
  /** How long an operation takes at most. */
  slowness_ms = 3;
  /** Told behind every commit. */
  written: (keys: readonly string[]) => void = () => {};
  private readonly values = new Map<string, string>();
  private keys: string[] = [];
  private isSorted = true;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly chance: Chance,
  ) {}

  /** The store as one process sees it. */
  openFor(owner: Owner): Store {
    let isClosed = false;
    // As in a database, who asked first is served first.
    let free_ms = 0;
    const done = <T>(act: () => T): Promise<T> => {
      if (isClosed) return Promise.reject(new StoreError("broken", "closed"));
      const { scheduler } = this;
      const act_ms = Math.max(scheduler.now_ms + this.delay_ms(), free_ms);
      free_ms = act_ms;
      return new Promise((resolve, reject) => {
        scheduler.after(act_ms - scheduler.now_ms, owner, () => {
          let tell: () => void;
          try {
            const result = act();
            tell = () => resolve(result);
          } catch (error) {
            tell = () => reject(error);
          }
          const told_ms = Math.max(scheduler.now_ms + this.delay_ms() / 4, free_ms);
          free_ms = told_ms;
          scheduler.after(told_ms - scheduler.now_ms, owner, tell);
        });
      });
    };
    const read = <T>(act: () => T): Promise<T> =>
      done(() => {
        this.checkWorks();
        return act();
      });
    return {
      get: (keys) => read(() => keys.map((key) => this.value(key))),
      list: (prefix, listing) => read(() => this.list(prefix, listing)),
      commit: (writes, guards) => {
        const copied = structuredClone({ writes, guards: guards ?? [] });
        return done(() => this.commit(copied.writes, copied.guards));
      },
      wipe: () => done(() => this.clear()),
      close: () => {
        isClosed = true;
      },
    };
  }

  /** Lose everything, as when the browser needs the room. */
  clear(): void {
    this.values.clear();
    this.keys = [];
  }

  /** All that there is now whose keys begin so. */
  list(prefix: string, { after, limit, reverse }: Listing = {}): [string, Json][] {
    const found = this.sorted().filter((key) => {
      if (!key.startsWith(prefix)) return false;
      return after === undefined || (reverse ? key < after : key > after);
    });
    if (reverse) found.reverse();
    return found.slice(0, limit).map((key) => [key, this.value(key) ?? null]);
  }

  value(key: string): Json | undefined {
    const text = this.values.get(key);
    return text === undefined ? undefined : JSON.parse(text);
  }

  private commit(writes: readonly Write[], guards: readonly Guard[]): boolean {
    this.checkWorks();
    for (const { key, is } of guards)
      if (canonical(this.value(key)) !== canonical(is)) return false;
    if (this.trouble === "full" && writes.some(([, value]) => value !== undefined))
      throw new StoreError("full", "no room");
    for (const [key, value] of writes) {
      checkKey(key);
      if (value === undefined) {
        if (this.values.delete(key)) this.keys = this.keys.filter((each) => each !== key);
      } else {
        if (!this.values.has(key)) {
          this.keys.push(key);
          this.isSorted = false;
        }
        this.values.set(key, JSON.stringify(value));
      }
    }
    this.written(writes.map(([key]) => key));
    return true;
  }

  private checkWorks(): void {
    if (this.trouble === "broken" || this.trouble === "denied")
      throw new StoreError(this.trouble, "not now");
  }

  private sorted(): readonly string[] {
    if (!this.isSorted) this.keys.sort();
    this.isSorted = true;
    return this.keys;
  }

  private delay_ms(): number {
    return this.chance.fraction() * this.slowness_ms;
  }
}

function checkKey(key: string): void {
  if (!/^[\x20-\x7e]{1,300}$/.test(key)) throw new Error(`no key: ${key}`);
}

/** A value as a text that is the same for equal values, in whatever order their fields stand. */
function canonical(value: Json | undefined): string | undefined {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([one], [other]) => (one < other ? -1 : 1)))
      : each,
  );
}
