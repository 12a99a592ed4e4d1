// Plain values, whatever they mean: left out where undefined, put together by a name, and kept where the next says the same.

interface Fields {
  readonly [field: string]: unknown;
}

/** Something of which any field may be undefined, which means that it is not there. */
export type Loose<T> = { readonly [K in keyof T]: T[K] | undefined };

/** Leave out the fields that are undefined, so that what is kept is as it comes back from the store. */
export function defined<T extends object>(fields: Loose<T>): T {
  const all: { [field: string]: unknown } = {};
  for (const [field, value] of Object.entries(fields)) if (value !== undefined) all[field] = value;
  return all as T;
}

/** Put values together that have the same name, in their order. */
export function grouped<K, V>(values: Iterable<V>, nameOf: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>();
  for (const value of values) {
    const name = nameOf(value);
    const group = groups.get(name);
    if (group) group.push(value);
    else groups.set(name, [value]);
  }
  return groups;
}

/** Put texts together that say something. What is long is not copied for it: engines keep a sum of strings by its parts. */
export function joined(texts: readonly (string | undefined)[], separator: string): string {
  return texts.reduce<string>(
    (all, text) => (all && text ? `${all}${separator}${text}` : all || text || ""),
    "",
  );
}

/** Gives what was made last where it is made of the same objects now, else what `make` makes. */
export type Memo<T> = (of: readonly unknown[], make: () => T) => T;

/** Begin to remember what is made. */
export function memo<T>(): Memo<T> {
  let last: readonly unknown[] | undefined;
  let made: T;
  return (of, make) => {
    let isSame = last?.length === of.length;
    for (let at = 0; isSame && at < of.length; at++) isSame = of[at] === last?.[at];
    if (!isSame) made = make();
    last = of;
    return made;
  };
}

/**
 * Say the next value by the objects of the one before, as far as both say the same: what has not changed is the same object,
 * the whole included. Elements of lists are compared with those of the same `id`, or without ids with those in their places.
 */
export function shared<T>(before: unknown, next: T): T {
  if (before === next || !isObject(before) || !isObject(next)) return next;
  if (Array.isArray(before) || Array.isArray(next)) {
    return Array.isArray(before) && Array.isArray(next) ? (sharedList(before, next) as T) : next;
  }
  const fields = Object.keys(next);
  const mixed: { [field: string]: unknown } = { ...next };
  let isSame = fields.length === Object.keys(before).length;
  for (const field of fields) {
    mixed[field] = shared(before[field], next[field]);
    isSame &&= field in before && mixed[field] === before[field];
  }
  return (isSame ? before : mixed) as T;
}

function sharedList(before: readonly unknown[], next: readonly unknown[]): readonly unknown[] {
  let named: Map<unknown, unknown> | undefined;
  const mixed = next.map((each, at) => {
    const other = before[at];
    if (each === other) return each;
    const id = idOf(each);
    if (id === idOf(other)) return shared(other, each);
    named ??= new Map(before.map((one) => [idOf(one), one]));
    return shared(named.get(id), each);
  });
  const isSame = mixed.length === before.length && mixed.every((each, at) => each === before[at]);
  return isSame ? before : mixed;
}

function idOf(value: unknown): unknown {
  return isObject(value) ? value.id : undefined;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}
