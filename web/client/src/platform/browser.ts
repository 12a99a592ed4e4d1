// The Effects of a browser's page or worker, by what it has. Nothing is looked for before somebody calls, so this can be imported
// anywhere.

import type { Effects, Stop, Surroundings } from "../effects.ts";
import type { Store } from "../store.ts";
import { alone } from "./alone.ts";
import { broadcastChannel } from "./channel.ts";
import { platformClock } from "./clock.ts";
import { byLease } from "./lease.ts";
import { byLocks } from "./locks.ts";
import { platformRandom } from "./randomness.ts";
import { type Looks, yielding } from "./yielding.ts";

export interface BrowserOptions {
  /** The same for all pages that share a store, and no others: the store's name does. */
  readonly name: string;
  /** Where leadership is settled in browsers without Web Locks; without it each page then leads. */
  readonly store?: Store;
}

/** Make the effects of the page that this runs in. */
export function browserEffects({ name, store }: BrowserOptions): Effects {
  const page = pageSurroundings();
  const locks = globalThis.navigator?.locks;
  const leadership = () => {
    if (locks) return byLocks(locks, name, platformClock);
    if (!store) return alone;
    const holder = platformRandom(16).join(".");
    return byLease({ store, clock: platformClock, holder });
  };
  return {
    fetch: (url, init) => globalThis.fetch(url, init),
    clock: platformClock,
    surroundings: page,
    leadership: yielding(leadership(), page, broadcastChannel(`${name}:lead`, page)),
    channel: broadcastChannel(name, page),
    random: platformRandom,
  };
}

/** The Network Information API, which TypeScript's DOM types leave out. */
interface Connection extends EventTarget {
  readonly saveData?: boolean;
}

/** Watch the page: whether it is online, looked at, asleep, and to save data. */
export function pageSurroundings(): Surroundings & Looks {
  const page: Partial<Pick<EventTarget, "addEventListener" | "removeEventListener">> = globalThis;
  const document = globalThis.document as Document | undefined;
  const navigator = globalThis.navigator as
    | (Navigator & { readonly connection?: Connection })
    | undefined;
  const watching = new Set<{ readonly changed: () => void }>();
  let isAsleep = false;

  const state = () => ({
    isOnline: navigator?.onLine !== false,
    isVisible: !isAsleep && document?.visibilityState !== "hidden",
    savesData: navigator?.connection?.saveData === true,
    isAsleep,
  });
  let told = JSON.stringify(state());

  const look = (event: Event) => {
    if (event.type === "pagehide" || event.type === "freeze") isAsleep = true;
    if (event.type === "pageshow" || event.type === "resume") isAsleep = false;
    const now = JSON.stringify(state());
    if (now === told) return;
    told = now;
    for (const { changed } of [...watching]) changed();
  };

  const listened: readonly (readonly [Partial<EventTarget> | undefined, readonly string[]])[] = [
    [page, ["online", "offline", "pageshow", "pagehide"]],
    [document, ["visibilitychange", "freeze", "resume"]],
    [navigator?.connection, ["change"]],
  ];
  const listen = (how: "addEventListener" | "removeEventListener") => {
    for (const [target, types] of listened) for (const type of types) target?.[how]?.(type, look);
  };

  return {
    get isOnline() {
      return state().isOnline;
    },
    get isVisible() {
      return state().isVisible;
    },
    get savesData() {
      return state().savesData;
    },
    get isAsleep() {
      return isAsleep;
    },
    watch(changed): Stop {
      const mine = { changed };
      if (watching.size === 0) {
        // What changed while nobody watched nobody has to be told.
        told = JSON.stringify(state());
        listen("addEventListener");
      }
      watching.add(mine);
      return () => {
        if (watching.delete(mine) && watching.size === 0) listen("removeEventListener");
      };
    },
  };
}
