// Which keys a listing is about.

import type { Listing } from "../store.ts";

/** Keys from `from` (itself included unless `isFromOpen`) to just before `to`. */
export interface Range {
  readonly from: string;
  readonly isFromOpen: boolean;
  readonly to: string;
}

/** Give the keys that a listing is about; undefined where there can be none. */
export function rangeOf(prefix: string, { after, limit, reverse }: Listing): Range | undefined {
  // Keys are ASCII, so this stands behind all that begin with the prefix.
  const end = `${prefix}\uffff`;
  const isFromOpen = !reverse && after !== undefined && after >= prefix;
  const from = isFromOpen ? after : prefix;
  const to = reverse && after !== undefined && after < end ? after : end;
  return from < to && limit !== 0 ? { from, isFromOpen, to } : undefined;
}
