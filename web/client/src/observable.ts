// Values that are looked at: read now, told when they are others. No more than that, so that every framework can bind them.

/**
 * Something that can be looked at. `get` gives the same object for as long as nothing changed; `subscribe` has
 * `changed` called behind changes, once for all that happen at the same moment, and returns what ends that.
 */
export interface Observable<T> {
  get(): T;
  subscribe(changed: () => void): () => void;
}

/** An observable, and what makes it tell. */
export interface Source<T> extends Observable<T> {
  /** Say that it may be another: the next `get` computes it again, and who listens is told if it is. */
  touch(): void;
}

/**
 * Make an observable of what `compute` returns. It is computed when somebody asks, at most once between two touches; it
 * gets the value before, and may return that same one to say that nothing changed. `watched` is called when the
 * first one begins to listen; what it returns when the last has gone.
 */
export function source<T>(
  compute: (before: T | undefined) => T,
  watched: () => () => void = () => () => {},
): Source<T> {
  const listeners = new Set<{ readonly changed: () => void }>();
  let held: { readonly value: T } | undefined;
  let told: { readonly value: T } | undefined;
  let isCurrent = false;
  let isTelling = false;
  let unwatch = () => {};

  const get = (): T => {
    if (!isCurrent || held === undefined) {
      const value = compute(held?.value);
      if (held === undefined || held.value !== value) held = { value };
      isCurrent = true;
    }
    return held.value;
  };

  const tell = (): void => {
    isTelling = false;
    if (listeners.size === 0) return;
    get();
    if (held === told) return;
    told = held;
    const failures: unknown[] = [];
    for (const { changed } of [...listeners]) {
      try {
        changed();
      } catch (error) {
        failures.push(error);
      }
    }
    // It is the app's own, and must neither be swallowed nor keep others from being told.
    if (failures.length > 0) throw failures[0];
  };

  return {
    get,
    subscribe(changed) {
      const listener = { changed };
      listeners.add(listener);
      if (listeners.size === 1) {
        get();
        told = held;
        unwatch = watched();
      }
      return () => {
        if (listeners.delete(listener) && listeners.size === 0) unwatch();
      };
    },
    touch() {
      isCurrent = false;
      if (listeners.size === 0 || isTelling) return;
      isTelling = true;
      void Promise.resolve().then(tell);
    },
  };
}
