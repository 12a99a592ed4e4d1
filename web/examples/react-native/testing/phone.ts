// A phone without a phone: its storage, its network, its XMLHttpRequest and its screen, in the virtual time of the client's simulation,
// with the model of a server at the other end.

import type { Client, Tool } from "@frontdesk/client";
import { type AsyncStorageLike, type NativeOptions, nativeEffects } from "@frontdesk/client/native";
import type { XhrLike } from "@frontdesk/client/xhr";
import { chanceOf } from "../../../client/src/simulation/chance.ts";
import { type Device, type Tab, World } from "../../../client/src/simulation/world.ts";
import { makeClient } from "../src/client.ts";

const person = "ada";
const frame_ms = 16;
const appState = { currentState: "active", addEventListener: () => ({ remove() {} }) };

export interface Phone {
  readonly device: Device;
  /** Start the app: another process each time, with what the phone has kept. The platform's XMLHttpRequest and frames are its own. */
  launch(tools?: readonly Tool[]): Client;
  /** End the app's process, as the system does: at once, and without a word to it. */
  kill(): void;
  /** Let time pass. */
  pass(duration_ms: number): Promise<void>;
}

export function makePhone(seed: number): Phone {
  const world = new World(chanceOf(seed));
  world.server.terms.forgets = 0;
  const device = world.addDevice();
  const kept = new Map<string, string>();
  let tab: Tab | undefined;
  return {
    device,
    launch(tools = []) {
      const process = device.open();
      tab = process;
      Object.assign(globalThis, { XMLHttpRequest: xhrOf(process), ...screenOf(process) });
      performance.now = process.effects.clock.elapsed_ms;
      return makeClient({
        url: "https://desk.example",
        token: async () => {
          if (!device.isOnline) throw new Error("There is no network.");
          return world.server.sessions.of(person).token ?? "";
        },
        tools,
        storage: storageOf(kept, process),
        appState,
        effects: {
          ...nativeEffects({
            appState,
            netInfo: netInfoOf(process),
            fetch: process.effects.fetch,
            random: process.effects.random,
          }),
          clock: process.effects.clock,
        },
      });
    },
    kill() {
      if (tab) device.kill(tab);
    },
    pass: (duration_ms) => world.scheduler.runFor(duration_ms),
  };
}

function netInfoOf({ effects }: Tab): NonNullable<NativeOptions["netInfo"]> {
  const { surroundings } = effects;
  return {
    addEventListener(changed) {
      const tell = () => changed({ isConnected: surroundings.isOnline });
      tell();
      return surroundings.watch(tell);
    },
  };
}

/** Its frames come with the world's time: a text that is paced by them would else be as far as the machine is fast. */
function screenOf({
  effects,
}: Tab): Pick<Window, "requestAnimationFrame" | "cancelAnimationFrame"> {
  const { clock } = effects;
  const asked = new Map<number, () => void>();
  let last = 0;
  return {
    requestAnimationFrame(draw) {
      last += 1;
      const frame = last;
      const stop = clock.later(frame_ms, () => {
        asked.delete(frame);
        draw(clock.elapsed_ms());
      });
      asked.set(frame, stop);
      return frame;
    },
    cancelAnimationFrame(frame) {
      asked.get(frame)?.();
      asked.delete(frame);
    },
  };
}

/** One write at a time, as AsyncStorage does it; a process that is dead writes nothing. */
function storageOf(kept: Map<string, string>, process: Tab): AsyncStorageLike {
  const after = <T>(act: () => T) => process.device.world.scheduler.later(1, process, act);
  return {
    getItem: (key) => after(() => kept.get(key) ?? null),
    setItem: (key, value) => after(() => kept.set(key, value)),
    removeItem: (key) => after(() => kept.delete(key)),
    getAllKeys: () => after(() => [...kept.keys()]),
  };
}

/** An XMLHttpRequest over the process's network. */
function xhrOf({ effects }: Tab): new () => XhrLike {
  return class implements XhrLike {
    readyState = 0;
    status = 0;
    responseText = "";
    withCredentials = false;
    private readonly listeners = new EventTarget();
    private readonly headers: Record<string, string> = {};
    private readonly ending = new AbortController();
    private answered = new Headers();
    private method = "GET";
    private url = "";

    open(method: string, url: string): void {
      this.method = method;
      this.url = url;
    }

    setRequestHeader(name: string, value: string): void {
      this.headers[name] = value;
    }

    getResponseHeader(name: string): string | null {
      return this.answered.get(name);
    }

    addEventListener(type: string, act: () => void): void {
      this.listeners.addEventListener(type, act);
    }

    abort(): void {
      this.ending.abort();
    }

    send(): void {
      this.run().catch(() => {
        this.status = 0;
        this.move(4, "error");
      });
    }

    private async run(): Promise<void> {
      const { method, headers } = this;
      const response = await effects.fetch(this.url, {
        method,
        headers,
        signal: this.ending.signal,
      });
      this.status = response.status;
      this.answered = response.headers;
      this.move(2, "readystatechange");
      const decoder = new TextDecoder();
      const reader = response.body?.getReader();
      for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
        this.responseText += decoder.decode(read.value, { stream: true });
        this.move(3, "progress");
      }
      this.move(4, "load");
    }

    private move(readyState: number, event: string): void {
      if (this.ending.signal.aborted) return;
      this.readyState = readyState;
      this.listeners.dispatchEvent(new Event(event));
    }
  };
}
