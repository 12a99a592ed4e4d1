// What may happen to people and their devices, as values that fast-check makes and shrinks.

import fc from "fast-check";
import type { StoreTrouble } from "../store.ts";
import { fair, type Weather } from "./network.ts";

/** How long to wait before an act: a number of steps, to hit the moments between two of them, or a time. */
export type Pause = { readonly steps: number } | { readonly ms: number };

/** Numbers that name something are taken modulo what there is, so that a script keeps its meaning as it shrinks. */
export type Act =
  | { readonly do: "send"; readonly tab: number; readonly conversation: number; readonly how: How }
  | {
      readonly do: "edit" | "withdraw" | "again" | "delete message" | "pin message" | "retry";
      readonly tab: number;
      readonly conversation: number;
      readonly message: number;
    }
  | {
      readonly do: "stop" | "delete" | "open" | "close" | "read" | "choose" | "approve" | "decline";
      readonly tab: number;
      readonly conversation: number;
    }
  | { readonly do: "rename"; readonly tab: number; readonly conversation: number }
  | {
      readonly do: "pin";
      readonly tab: number;
      readonly conversation: number;
      readonly isPinned: boolean;
    }
  | {
      readonly do: "rate";
      readonly tab: number;
      readonly conversation: number;
      readonly rating: "up" | "down" | null;
    }
  | { readonly do: "remember"; readonly tab: number; readonly fact: number }
  | { readonly do: "open tab"; readonly device: number }
  | { readonly do: "kill" | "stop tab" | "hide" | "show" | "freeze" | "thaw"; readonly tab: number }
  | { readonly do: "offline" | "online" | "evict" | "heal disk"; readonly device: number }
  | { readonly do: "break disk"; readonly device: number; readonly trouble: StoreTrouble }
  | { readonly do: "slow disk"; readonly device: number; readonly slowness_ms: number }
  | { readonly do: "jump"; readonly device: number; readonly by_ms: number }
  | { readonly do: "weather"; readonly device: number; readonly weather: Weather }
  | {
      readonly do:
        | "expire tokens"
        | "revoke sessions"
        | "kill server"
        | "stop server"
        | "start server"
        | "sweep"
        | "outdate"
        | "reconfigure";
    }
  | { readonly do: "waits" | "overload"; readonly count: number };

/** What a message makes the server and its model do. */
export type How =
  | "plain"
  | "(thinks)"
  | "(fails)"
  | "(cut)"
  | "(mute)"
  | "(tool)"
  | "(refused)"
  | "expires";

export interface Script {
  /** Of all chance besides. */
  readonly seed: number;
  readonly leases: boolean;
  /** How often what tabs say to each other gets lost. */
  readonly loss: number;
  /** Changes a page. */
  readonly page: number;
  /** Whether devices keep no more than they must of what they could have again. */
  readonly isNarrow: boolean;
  readonly acts: readonly (readonly [Pause, Act])[];
  readonly signsOut: boolean;
}

const tab = fc.nat(3);
const device = fc.nat(1);
const conversation = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(2));
const message = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(5));

const weather: fc.Arbitrary<Weather> = fc.record({
  delay_ms: fc.constantFrom(10, 300, 2000, 8000),
  drop: fc.constantFrom(0, 0, 0.2, 0.5),
  dropReply: fc.constantFrom(0, 0, 0.2, 0.5),
  double: fc.constantFrom(0, 0, 0.3),
  cut: fc.constantFrom(0, 0, 0.3, 0.8),
  silent: fc.constantFrom(0, 0.3),
  holdsBack: fc.constantFrom(false, false, false, true),
});

const how: fc.Arbitrary<How> = fc.oneof(
  { weight: 8, arbitrary: fc.constant("plain" as const) },
  {
    weight: 5,
    arbitrary: fc.constantFrom<How>(
      "(thinks)",
      "(fails)",
      "(cut)",
      "(mute)",
      "(tool)",
      "(refused)",
      "expires",
    ),
  },
);

function act<const T extends Act["do"], R extends object>(
  name: T,
  rest: { readonly [K in keyof R]: fc.Arbitrary<R[K]> },
): fc.Arbitrary<{ readonly do: T } & R> {
  return fc.record(rest).map((of) => ({ do: name, ...(of as R) }));
}

const acts: fc.Arbitrary<Act> = fc.oneof(
  { weight: 30, arbitrary: act("send", { tab, conversation, how }) },
  { weight: 4, arbitrary: act("edit", { tab, conversation, message }) },
  { weight: 8, arbitrary: act("withdraw", { tab, conversation, message }) },
  { weight: 2, arbitrary: act("again", { tab, conversation, message }) },
  { weight: 1, arbitrary: act("retry", { tab, conversation, message }) },
  { weight: 2, arbitrary: act("delete message", { tab, conversation, message }) },
  { weight: 1, arbitrary: act("pin message", { tab, conversation, message }) },
  { weight: 5, arbitrary: act("stop", { tab, conversation }) },
  { weight: 2, arbitrary: act("delete", { tab, conversation }) },
  { weight: 4, arbitrary: act("open", { tab, conversation }) },
  { weight: 2, arbitrary: act("close", { tab, conversation }) },
  { weight: 2, arbitrary: act("read", { tab, conversation }) },
  { weight: 1, arbitrary: act("choose", { tab, conversation }) },
  { weight: 4, arbitrary: act("approve", { tab, conversation }) },
  { weight: 1, arbitrary: act("decline", { tab, conversation }) },
  { weight: 5, arbitrary: act("rename", { tab, conversation }) },
  { weight: 2, arbitrary: act("pin", { tab, conversation, isPinned: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: act("rate", {
      tab,
      conversation,
      rating: fc.constantFrom("up" as const, "down" as const, null),
    }),
  },
  { weight: 2, arbitrary: act("remember", { tab, fact: fc.nat(2) }) },
  { weight: 6, arbitrary: act("open tab", { device }) },
  { weight: 8, arbitrary: act("kill", { tab }) },
  { weight: 2, arbitrary: act("stop tab", { tab }) },
  { weight: 3, arbitrary: act("hide", { tab }) },
  { weight: 2, arbitrary: act("show", { tab }) },
  { weight: 3, arbitrary: act("freeze", { tab }) },
  { weight: 2, arbitrary: act("thaw", { tab }) },
  { weight: 4, arbitrary: act("offline", { device }) },
  { weight: 4, arbitrary: act("online", { device }) },
  { weight: 1, arbitrary: act("evict", { device }) },
  {
    weight: 2,
    arbitrary: act("break disk", {
      device,
      trouble: fc.constantFrom("full" as const, "broken" as const),
    }),
  },
  { weight: 2, arbitrary: act("heal disk", { device }) },
  { weight: 1, arbitrary: act("slow disk", { device, slowness_ms: fc.constantFrom(3, 300) }) },
  {
    weight: 2,
    arbitrary: act("jump", {
      device,
      by_ms: fc.constantFrom(-1_200_000, -5000, 7000, 86_400_000),
    }),
  },
  { weight: 6, arbitrary: act("weather", { device, weather }) },
  { weight: 2, arbitrary: act("weather", { device, weather: fc.constant(fair) }) },
  { weight: 3, arbitrary: act("waits", { count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 2, arbitrary: act("overload", { count: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "expire tokens" as const,
        "revoke sessions" as const,
        "kill server" as const,
        "kill server" as const,
        "stop server" as const,
        "start server" as const,
        "start server" as const,
        "sweep" as const,
        "sweep" as const,
        "outdate" as const,
        "reconfigure" as const,
      ),
    }),
  },
);

const pause: fc.Arbitrary<Pause> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ steps: fc.nat(40) }) },
  { weight: 4, arbitrary: fc.record({ ms: fc.nat(3000) }) },
  { weight: 1, arbitrary: fc.record({ ms: fc.nat(60_000) }) },
);

const moment: fc.Arbitrary<Pause> = fc.record({ steps: fc.nat(25) });
const while_ms = (least: number, most: number): fc.Arbitrary<Pause> =>
  fc.record({ ms: fc.integer({ min: least, max: most }) });
const send = (how: How): fc.Arbitrary<Act> =>
  act("send", { tab, conversation, how: fc.constant(how) });

/** What belongs together, and would seldom come so by chance. */
const scenes: fc.Arbitrary<readonly (readonly [Pause, Act])[]> = fc.oneof(
  { weight: 30, arbitrary: fc.tuple(fc.tuple(pause, acts)) },
  // Somebody changes their mind while it is on its way.
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.tuple(pause, act("weather", { device, weather })),
      fc.tuple(pause, send("plain")),
      fc.tuple(moment, act("withdraw", { tab, conversation, message })),
    ),
  },
  // A tool's run is cut off.
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.tuple(pause, send("(tool)")),
      fc.tuple(while_ms(2000, 5000), act("approve", { tab, conversation })),
      fc.tuple(while_ms(0, 2500), act("kill", { tab })),
      fc.tuple(moment, act("open tab", { device })),
    ),
  },
  // An answer is read through a tunnel.
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.tuple(pause, send("(thinks)")),
      fc.tuple(while_ms(500, 2000), act("offline", { device })),
      fc.tuple(while_ms(0, 3000), act("online", { device })),
    ),
  },
);

/** Scripts of up to so many scenes. */
export function scriptsOf(most: number): fc.Arbitrary<Script> {
  return fc.record({
    seed: fc.noBias(fc.nat()),
    leases: fc.boolean(),
    loss: fc.constantFrom(0, 0, 0.1, 0.5),
    page: fc.constantFrom(2, 5, 200),
    isNarrow: fc.boolean(),
    acts: fc.array(scenes, { maxLength: most, size: "max" }).map((all) => all.flat()),
    signsOut: fc.oneof(
      { weight: 9, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
  });
}
