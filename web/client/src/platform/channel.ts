// Messages between the processes of one store: by BroadcastChannel, or within the process where there is none.

import type { Channel, Stop } from "../effects.ts";

type Heard = (message: unknown) => void;

// Two clients in one page have nothing but the name in common.
const rooms = new Map<string, Set<object>>();

/** Speak to all other channels of this name in this process. */
export function localChannel(name: string): Channel {
  const me = { hears: new Set<Heard>() };
  return {
    tell(message) {
      // A text: it may be changed by nobody, and is the same as between processes.
      const text = JSON.stringify(message);
      for (const other of rooms.get(name) ?? []) {
        if (other === me) continue;
        for (const heard of (other as typeof me).hears) {
          queueMicrotask(() => {
            if ((other as typeof me).hears.has(heard)) heard(JSON.parse(text));
          });
        }
      }
    },
    hear(heard) {
      const mine: Heard = (message) => heard(message);
      me.hears.add(mine);
      const room = rooms.get(name) ?? new Set();
      rooms.set(name, room.add(me));
      return () => {
        me.hears.delete(mine);
        if (me.hears.size > 0) return;
        room.delete(me);
        if (room.size === 0 && rooms.get(name) === room) rooms.delete(name);
      };
    },
  };
}

/** What of a page's life a channel has to know. */
export interface Life {
  readonly isAsleep: boolean;
  watch(changed: () => void): Stop;
}

/** Speak to all pages of this origin. It is open while somebody listens, and closed while the page sleeps. */
export function broadcastChannel(
  name: string,
  life: Life,
  Broadcast: typeof BroadcastChannel | undefined = globalThis.BroadcastChannel,
): Channel {
  if (!Broadcast) return localChannel(name);
  const hears = new Set<Heard>();
  let open: BroadcastChannel | undefined;
  let unwatch: Stop = () => {};

  const settle = () => {
    if (hears.size > 0 && !life.isAsleep) {
      open ??= connect();
    } else {
      open?.close();
      open = undefined;
    }
  };
  const connect = () => {
    const made = new Broadcast(name);
    made.onmessage = ({ data }) => {
      for (const heard of [...hears]) heard(data);
    };
    return made;
  };

  return {
    tell(message) {
      if (life.isAsleep) return;
      if (open) return open.postMessage(message);
      const once = new Broadcast(name);
      once.postMessage(message);
      once.close();
    },
    hear(heard) {
      const mine: Heard = (message) => heard(message);
      if (hears.size === 0) unwatch = life.watch(settle);
      hears.add(mine);
      settle();
      return () => {
        if (!hears.delete(mine) || hears.size > 0) return;
        unwatch();
        settle();
      };
    },
  };
}
