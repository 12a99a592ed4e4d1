import type { Client, ConversationView, MessageView, Observable } from "@frontdesk/client";
import { computed, effect } from "@preact/signals-core";
import { describe, expect, test } from "vitest";
import { signalOf, signalsOf } from "./index.ts";

function observed<T>(first: T) {
  let value = first;
  const listeners = new Set<() => void>();
  const observable: Observable<T> = {
    get: () => value,
    subscribe(changed) {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
  };
  return {
    observable,
    listeners,
    set(next: T) {
      value = next;
      for (const changed of listeners) changed();
    },
  };
}

describe("a signal of an observable", () => {
  test("tells an effect what is and each change of it, and nothing after its end", () => {
    const source = observed(1);
    const seen: number[] = [];

    const end = effect(() => {
      seen.push(signalOf(source.observable).value);
    });
    source.set(2);
    end();
    source.set(3);

    expect(seen).toEqual([1, 2]);
  });

  test("is subscribed while somebody watches, once for all of them", () => {
    const source = observed(1);
    const counts = [source.listeners.size];

    signalOf(source.observable).peek();
    counts.push(source.listeners.size);
    const ends = [1, 2].map(() => effect(() => void signalOf(source.observable).value));
    counts.push(source.listeners.size);
    for (const end of ends) end();
    counts.push(source.listeners.size);

    expect(counts).toEqual([0, 0, 1, 0]);
  });

  test("is current also while nobody watches", () => {
    const source = observed(1);
    const latest = signalOf(source.observable);

    source.set(2);
    const read = latest.value;
    source.set(3);

    expect([read, latest.peek()]).toEqual([2, 3]);
  });

  test("tells a computed signal that is watched again what it missed", () => {
    const source = observed(1);
    const doubled = computed(() => signalOf(source.observable).value * 2);
    const seen: number[] = [];
    effect(() => void seen.push(doubled.value))();

    source.set(2);
    effect(() => void seen.push(doubled.value))();

    expect(seen).toEqual([2, 4]);
  });

  test("tells what the subscribing itself changed", () => {
    const source = observed("closed");
    const opening: Observable<string> = {
      get: source.observable.get,
      subscribe(changed) {
        source.set("open");
        return source.observable.subscribe(changed);
      },
    };
    const seen: string[] = [];

    effect(() => void seen.push(signalOf(opening).value))();

    expect(seen).toEqual(["open"]);
  });

  test("is nothing that can be assigned to", () => {
    const latest = signalOf(observed(1).observable);

    expect(() => Object.assign(latest, { value: 2 })).toThrow(TypeError);
  });
});

describe("the signals of a client", () => {
  test("one message tells nothing while another one is written", () => {
    const message = (id: string, text: string) => ({ id, text }) as MessageView;
    const asked = message("asked", "Hello");
    const view = observed({
      messages: [asked, message("answer", "Hi")],
    } as unknown as ConversationView);
    const { observable } = observed({});
    const client = {
      view: observable,
      conversations: observable,
      facts: observable,
      conversation: () => ({ view: view.observable }),
    } as unknown as Client;
    const signals = signalsOf(client);
    const seen: (string | undefined)[] = [];
    const texts: (string | undefined)[] = [];

    effect(() => void seen.push(signals.message("c", "asked").value?.text));
    effect(() => void texts.push(signals.message("c", "answer").value?.text));
    view.set({ messages: [asked, message("answer", "Hi there")] } as unknown as ConversationView);

    expect([seen, texts]).toEqual([["Hello"], ["Hi", "Hi there"]]);
  });
});
