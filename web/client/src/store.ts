// What outlives the process. One ordered map of texts to JSON values: every kind of device can keep that.

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** A key and its new value; `undefined` removes it. */
export type Write = readonly [key: string, value: Json | undefined];

/** Holds where the value of `key` is, as JSON, still `is`; `undefined` where there is none. */
export interface Guard {
  readonly key: string;
  readonly is: Json | undefined;
}

export interface Listing {
  /** Only keys behind this one (before it, where `reverse`). */
  readonly after?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
}

/**
 * Keys are up to 300 printable ASCII characters and are ordered as such. Values come back equal, and their own: nobody else changes
 * them. Every method rejects with StoreError and nothing else; a store that lost its connection gets another
 * one by itself before it rejects.
 */
export interface Store {
  /** The values of some keys, in their order. */
  get(keys: readonly string[]): Promise<(Json | undefined)[]>;
  /** All entries whose keys begin with `prefix`, in the order of their keys. */
  list(prefix: string, listing?: Listing): Promise<[key: string, value: Json][]>;
  /**
   * Do all writes or none. Once it resolves with true they outlive the process; with false a guard did not hold
   * and nothing was written. No other commit comes between the guards and the writes, from whichever process.
   */
  commit(writes: readonly Write[], guards?: readonly Guard[]): Promise<boolean>;
  /** Remove everything. */
  wipe(): Promise<void>;
  close(): void;
  /** Whether it ends with the process and no other process has it: one client's alone. */
  readonly isForgetful?: boolean;
}

/**
 * `full`: the device has no room left for this; `denied`: nothing may be kept here, now or ever; `broken`: it does not
 * work, and may do so later.
 */
export type StoreTrouble = "full" | "denied" | "broken";

export class StoreError extends Error {
  override readonly name = "StoreError";

  constructor(
    readonly trouble: StoreTrouble,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
