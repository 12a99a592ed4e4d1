// Tools that run on the device, as an app registers them: `@frontdesk/client/tools`.

import { type Calling, type CallingOptions, makeCalling } from "./calling.ts";
import type { Stop } from "./effects.ts";
import type { Json } from "./store.ts";

/** What the running of a call is given, beside its arguments. */
export interface Running {
  /** Aborted when the client stops, or nobody wants the answer any more. */
  readonly signal: AbortSignal;
  /** The call's id: the same one when it is run again. */
  readonly call: string;
}

/** Something that a model can have done on the device. */
export interface Tool {
  readonly name: string;
  /** What it does, for the model. */
  readonly description: string;
  /** A JSON schema of its arguments. */
  readonly parameters: { readonly [key: string]: Json };
  /** Whether the person is asked before each run. */
  readonly needs: "approval" | "nothing";
  /** Whether running it twice does no harm: then nobody is asked when a run was cut off by the end of the process. */
  readonly isRepeatable?: boolean;
  /** What it is about to do, in the person's words; its name where this is left out. */
  title?(given: Json): string;
  /** Do it. What it returns is told to the model, as JSON where it is no text; what it throws is told as an error's message. */
  run(given: Json, running: Running): Promise<Json> | Json;
}

/** The tools of one client. */
export interface DeviceTools {
  /** Have a tool from now on, in place of one of the same name. The returned Stop takes it away. */
  provide(tool: Tool): Stop;
  /** Offer and run them for a client: that calls it, once. */
  attach(around: CallingOptions): Calling;
}

/** Have models do these things on the device: the `tools` of `createClient`. */
export function deviceTools(tools: readonly Tool[] = []): DeviceTools {
  const offered = new Map(tools.map((tool) => [tool.name, tool]));
  let look = () => {};
  return {
    provide(tool) {
      offered.set(tool.name, tool);
      look();
      return () => {
        if (offered.get(tool.name) === tool) offered.delete(tool.name);
      };
    },
    attach(around) {
      look = around.look;
      return makeCalling(offered, around);
    },
  };
}
