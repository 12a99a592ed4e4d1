// Hands a client to the hooks below it. Whoever made the client ends it: unmounting does not.

import type { Client } from "@frontdesk/client";
import { createContext, type ReactElement, type ReactNode, useContext, useEffect } from "react";

const Given = createContext<Client | undefined>(undefined);

/** Give everything within a client, and start it once this is on a screen. On a server it is never started. */
export function FrontdeskProvider(props: {
  readonly client: Client;
  readonly children?: ReactNode;
}): ReactElement {
  const { client, children } = props;
  useEffect(() => {
    void client.start();
  }, [client]);
  return <Given.Provider value={client}>{children}</Given.Provider>;
}

/** The client of the nearest provider. Throws where there is none. */
export function useClient(): Client {
  const client = useContext(Given);
  if (client === undefined) throw new Error("There is no FrontdeskProvider around this component.");
  return client;
}
