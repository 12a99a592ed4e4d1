// What the client does to the world, and what the world does to it: all of it comes in through here. The rest is
// computation, so a test that owns these owns time, the network, the disk and the life of the process.

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Stops what was going to happen. May be called any number of times, also afterwards. */
export type Stop = () => void;

export interface Clock {
  /** Unix time in milliseconds, as the device believes it. It may jump, either way. */
  now_ms(): number;
  /** Milliseconds from any beginning, which never go backwards. */
  elapsed_ms(): number;
  /** Call `act` once, after so long. */
  later(delay_ms: number, act: () => void): Stop;
}

/** What the device knows of the world around it. `undefined` from a platform that cannot say means the better case. */
export interface Surroundings {
  readonly isOnline: boolean;
  readonly isVisible: boolean;
  /** The person asked for few bytes (Save-Data). */
  readonly savesData: boolean;
  /** Call `changed` whenever one of them is another. */
  watch(changed: () => void): Stop;
}

/** Who of all processes on one store acts for all of them. */
export interface Leadership {
  /**
   * Wait until it is this one's turn, then call `lead`; what that returns is called when it is no more, which may
   * be at once. The returned Stop resigns.
   */
  seek(lead: () => Stop): Stop;
}

/** Tells the other processes on the same store. What is told may be lost, never altered. */
export interface Channel {
  tell(message: unknown): void;
  hear(heard: (message: unknown) => void): Stop;
}

export interface Effects {
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly surroundings: Surroundings;
  readonly leadership: Leadership;
  readonly channel: Channel;
  /** So many random bytes, fit for ids. */
  random(count: number): Uint8Array;
}
