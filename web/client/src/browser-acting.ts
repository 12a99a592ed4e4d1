// What acts in a page that brings no transports or session of its own: fetched later, as all that acts.

import { type MakeActing, makeActing } from "./acting.ts";
import { anonymousSession } from "./sessions/refreshing.ts";
import { pollTransport } from "./transports/poll.ts";
import { socketTransport } from "./transports/socket.ts";
import { streamTransport } from "./transports/stream.ts";

/** Make what acts, with a session of somebody new and a browser's transports in place of those that are not given. */
export function makeActingIn(hasSession: boolean, hasTransports: boolean): MakeActing {
  return (around) =>
    makeActing({
      ...around,
      ...(!hasSession && { session: { ...around.session, supplier: anonymousSession() } }),
      ...(!hasTransports && {
        transports: [streamTransport(), socketTransport(), pollTransport()],
      }),
    });
}
