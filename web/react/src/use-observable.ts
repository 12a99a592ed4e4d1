// Binds observables to components by useSyncExternalStore: no torn views, no effect that lags behind.

import type { Observable } from "@frontdesk/client";
import { useCallback, useRef, useSyncExternalStore } from "react";

/**
 * The value of an observable, now and whenever it is another. `atServer` is what is rendered on a server, and by the
 * first render of a page that came from one: the device knows more than the server did, and React wants both the same.
 */
export function useObservable<T>(observable: Observable<T>, atServer: () => T = observable.get): T {
  const subscribe = useCallback(
    (changed: () => void) => observable.subscribe(changed),
    [observable],
  );
  return useSyncExternalStore(subscribe, () => observable.get(), atServer);
}

/**
 * A part of an observable's value. Renders again only where that part is another one: an object whose fields are the same
 * counts as the same.
 */
export function useSelected<T, Part>(
  observable: Observable<T>,
  select: (value: T) => Part,
  atServer: () => T = () => observable.get(),
): Part {
  const subscribe = useCallback(
    (changed: () => void) => observable.subscribe(changed),
    [observable],
  );
  const latest = useRef<{ readonly part: Part }>(undefined);
  const settled = (part: Part): Part => {
    if (latest.current === undefined || !hasSameFields(latest.current.part, part))
      latest.current = { part };
    return latest.current.part;
  };
  return useSyncExternalStore(
    subscribe,
    () => settled(select(observable.get())),
    () => settled(select(atServer())),
  );
}

function hasSameFields(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (!isObject(one) || !isObject(other)) return false;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && Object.is(one[name], other[name]))
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
