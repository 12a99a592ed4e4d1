// `@frontdesk/client/native`: the client with what a React Native app hands in, so that this needs no package of it.

import { makeActing } from "./acting.ts";
import { type Client, type ClientOptions, makeClient } from "./client.ts";
import { nativeEffects, type NativeOptions as Platform } from "./platform/native.ts";
import { anonymousSession } from "./sessions/refreshing.ts";
import { type AsyncStorageLike, asyncStorageStore } from "./stores/async-storage.ts";
import { memoryStore } from "./stores/memory.ts";
import { pollTransport } from "./transports/poll.ts";
import { xhrTransport } from "./transports/xhr.ts";

export * from "./index.ts";
export {
  type AppStateLike,
  type NetInfoLike,
  type NetInfoState,
  nativeEffects,
} from "./platform/native.ts";
export { anonymousSession, refreshingSession } from "./sessions/index.ts";
export type { AsyncStorageLike } from "./stores/async-storage.ts";

/** The options of the client, and what the app knows of the platform. */
export interface NativeOptions extends Partial<ClientOptions>, Omit<Platform, "name"> {
  readonly url: string;
  /** React Native's AsyncStorage, where no `store` is given; without either nothing outlives the app's process. */
  readonly storage?: AsyncStorageLike;
}

/**
 * Make the client of the person who has this device. It is told of answers by XMLHttpRequest, for React Native's fetch tells them once they
 * are whole, and begins a session of somebody new where no `token` is given.
 */
export function createClient(options: NativeOptions): Client {
  const { url, user = "", storage } = options;
  const name = `frontdesk:${user}@${url}`;
  // An app's bundle is on the device: there is nothing to be fetched later.
  return makeClient(
    {
      ...options,
      store: options.store ?? (storage ? asyncStorageStore(storage, name) : memoryStore()),
      token: options.token ?? anonymousSession(),
      effects: options.effects ?? nativeEffects({ ...options, name }),
      transports: options.transports ?? [xhrTransport(), pollTransport()],
    },
    async () => makeActing,
  );
}
