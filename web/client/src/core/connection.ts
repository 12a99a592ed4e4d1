// How the connection is, in a word that an app can show; and for how long silence means nothing.

import type { ClientView } from "../state.ts";

/** What decides the word. */
export interface Known {
  readonly isStarted: boolean;
  readonly isOnline: boolean;
  readonly isVisible: boolean;
  readonly isSignedOut: boolean;
  /** The server serves this app no more: 426. */
  readonly isTooOld: boolean;
  /** Whether who leads hears of changes. */
  readonly isLive: boolean;
}

/** Nothing heard for so long, where a heartbeat comes every 10 s, and the connection is lost, whatever its socket says. */
export const SILENCE_ms = 25_000;
/** A feed of changes that has not said `ready` by then is held back by something between. */
export const READY_ms = 8_000;

/** Say in a word how the connection is. */
export function wordOf(known: Known): ClientView["connection"] {
  if (!known.isStarted) return "stopped";
  if (known.isTooOld) return "too_old";
  if (known.isSignedOut) return "signed_out";
  if (!known.isOnline) return "offline";
  if (!known.isVisible) return "hidden";
  return known.isLive ? "live" : "connecting";
}
