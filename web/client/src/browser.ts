// `@frontdesk/client/browser`: the client with all that a page needs of a browser, and each part of it another where the app says so.

import { type Client, type ClientOptions, makeClient } from "./client.ts";
import { browserEffects } from "./platform/browser.ts";
import { indexedDbStore } from "./stores/indexeddb.ts";

export * from "./index.ts";
export { browserEffects } from "./platform/browser.ts";
export { anonymousSession, cookieSession, refreshingSession } from "./sessions/index.ts";
export { indexedDbStore } from "./stores/indexeddb.ts";

/** The options of the client; whatever is left out is the browser's. */
export type BrowserOptions = Partial<ClientOptions>;

/**
 * Make the client of the person who looks at this page. Without options it asks the page's own origin, keeps what is said in IndexedDB,
 * by person and server (where the browser allows it: else `view.storage` is `denied`), and begins a session of somebody new.
 */
export function createClient(options: BrowserOptions = {}): Client {
  const { url = "", user = "" } = options;
  const name = `frontdesk:${user}@${url}`;
  const store = options.store ?? indexedDbStore(name);
  const { token, transports } = options;
  return makeClient(
    {
      ...options,
      url,
      store,
      token: token ?? (() => undefined),
      effects: options.effects ?? browserEffects({ name, store }),
      transports: transports ?? [],
    },
    async () => {
      const { makeActingIn } = await import("./browser-acting.ts");
      return makeActingIn(token !== undefined, transports !== undefined);
    },
  );
}
