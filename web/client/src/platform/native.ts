// The Effects of a React Native app. What the platform knows is handed in by the app, so this needs no package of it.

import type { Effects, Stop, Surroundings } from "../effects.ts";
import { alone } from "./alone.ts";
import { localChannel } from "./channel.ts";
import { platformClock } from "./clock.ts";
import { platformRandom } from "./randomness.ts";

/** What is used of React Native's AppState. */
export interface AppStateLike {
  readonly currentState: string | null;
  addEventListener(type: "change", changed: (state: string) => void): { remove(): void };
}

/** What is used of `@react-native-community/netinfo`. It calls with the present state as soon as somebody listens. */
export interface NetInfoLike {
  addEventListener(changed: (state: NetInfoState) => void): () => void;
}

export interface NetInfoState {
  /** null where it is not known. */
  readonly isConnected: boolean | null;
  readonly isInternetReachable?: boolean | null | undefined;
}

export interface NativeOptions {
  readonly appState: AppStateLike;
  /** Without it the device counts as online: what is asked then fails, and is asked again. */
  readonly netInfo?: NetInfoLike;
  /** The same for all clients in this process that share a store. */
  readonly name?: string;
  /** Whether the person asked the app for few bytes. */
  readonly savesData?: () => boolean;
  /** Random bytes, where the platform has no `crypto.getRandomValues`: expo-crypto's `getRandomBytes` does. */
  readonly random?: (count: number) => Uint8Array;
  readonly fetch?: Effects["fetch"];
}

/** Make the effects of an app, which leads alone. */
export function nativeEffects(options: NativeOptions): Effects {
  return {
    fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
    clock: platformClock,
    surroundings: appSurroundings(options),
    leadership: alone,
    channel: localChannel(options.name ?? "frontdesk"),
    random: options.random ?? platformRandom,
  };
}

function appSurroundings({ appState, netInfo, savesData }: NativeOptions): Surroundings {
  const watching = new Set<{ readonly changed: () => void }>();
  let isOnline = true;
  let stop: Stop = () => {};
  // `inactive` is a call that comes in, or the app switcher: the app is still seen.
  let isVisible = isSeen(appState.currentState);

  const tell = () => {
    for (const { changed } of [...watching]) changed();
  };
  const watchPlatform = (): Stop => {
    isVisible = isSeen(appState.currentState);
    const app = appState.addEventListener("change", (state) => {
      if (isVisible === isSeen(state)) return;
      isVisible = isSeen(state);
      tell();
    });
    const net = netInfo?.addEventListener((state) => {
      const now = state.isConnected !== false && state.isInternetReachable !== false;
      if (isOnline === now) return;
      isOnline = now;
      tell();
    });
    return () => {
      app.remove();
      net?.();
    };
  };

  return {
    get isOnline() {
      return isOnline;
    },
    get isVisible() {
      return watching.size > 0 ? isVisible : isSeen(appState.currentState);
    },
    get savesData() {
      return savesData?.() ?? false;
    },
    watch(changed) {
      const mine = { changed };
      watching.add(mine);
      if (watching.size === 1) stop = watchPlatform();
      return () => {
        if (watching.delete(mine) && watching.size === 0) stop();
      };
    },
  };
}

function isSeen(state: string | null): boolean {
  return state !== "background";
}
