// The app's client: kept in AsyncStorage, told by XMLHttpRequest, for React Native's fetch tells an answer once it is whole.

import { type Client, createClient, type NativeOptions } from "@frontdesk/client/native";
import { deviceTools, type Tool } from "@frontdesk/client/tools";

/** Make the client of the person who has this phone. */
export function makeClient({
  tools = [],
  ...options
}: Omit<NativeOptions, "tools"> & { readonly tools?: readonly Tool[] }): Client {
  return createClient({ ...options, app: "example/0.1.0", tools: deviceTools(tools) });
}
