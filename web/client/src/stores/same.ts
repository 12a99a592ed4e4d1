// Whether two JSON values say the same.

import type { Json } from "../store.ts";

/** Tell whether two values are the same as JSON: the order of names does not count, nor do undefined members. */
export function isSame(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [left, right] = [one, other] as [Members, Members];
  return [left, right].every((side) =>
    Object.keys(side).every((name) => isSame(own(left, name), own(right, name))),
  );
}

type Members = Readonly<Record<string, Json | undefined>>;

function own(members: Members, name: string): Json | undefined {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}
