// The running of tools on the device: by the process in which the person allowed it, or, where nobody is asked, by the one that leads.
//
// A call is marked as running before it runs. Who runs one says so now and then; where the leader hears nothing of
// that, the process has ended in the middle, and nobody knows what the run did: the person is asked again.

import { callsOf, decline, finish, keyOfCall, outputsOf, restart, start } from "./core/calls.ts";
import type { Ids } from "./core/ids.ts";
import { type Commit, guard, write } from "./core/keys.ts";
import { put } from "./core/outbox.ts";
import type { Clock, Stop } from "./effects.ts";
import { both } from "./lead.ts";
import type { Replica } from "./replica.ts";
import { openScope, type Scope } from "./scope.ts";
import type { Answer, Call } from "./state.ts";
import type { Json } from "./store.ts";
import type { Running, Tool } from "./tools.ts";

export interface Calling {
  /** A request with the tools that there are now. */
  requestOf(request: Request): Request;
  /** The calls of these tools in an answer that is over, by their keys. */
  callsOf(answer: Answer): readonly (readonly [key: string, call: Call])[];
  titleOf(call: Call): string;
  /** Run what needs nobody; `leads` is when this process began to lead, in elapsed time. */
  attend(scope: Scope, leads_ms: number): void;
  approve(call: string): Promise<void>;
  decline(call: string, reason?: string): Promise<void>;
  /** Calls that run in this process, by their keys. */
  readonly running: readonly string[];
  /** Another process runs these. */
  claimed(keys: readonly string[]): void;
}

/** What is asked of a model beside what is said, in the server's words. */
export type Request = { readonly [key: string]: Json } | undefined;

export interface CallingOptions {
  readonly clock: Clock;
  readonly replica: Replica;
  readonly ids: Ids;
  readonly request: Request;
  /** As long as this process works. */
  scope(): Scope | undefined;
  look(): void;
}

const CLAIM_MS = 5_000;
const UNCLAIMED_MS = 12_000;
const GRACE_MS = 2_000;

/** `offered` are the tools by their names, as they are at any time. */
export function makeCalling(offered: ReadonlyMap<string, Tool>, around: CallingOptions): Calling {
  const { clock, replica, ids, request, scope: work, look } = around;
  const running = new Map<string, Stop>();
  const claims = new Map<string, number>();
  let next: Stop = () => {};
  let claiming: Stop = () => {};

  const keyFor = (call: string): string | undefined =>
    [...replica.held.calls].find(([key, each]) => key === call || each.call === call)?.[0];

  const requestOf = (given: Request): Request => {
    if (offered.size === 0) return given;
    const others = Array.isArray(given?.tools) ? given.tools : [];
    return { ...given, tools: [...others, ...[...offered.values()].map(offer)] };
  };

  const attend = (scope: Scope, leads_ms: number): void => {
    next();
    let mustLook = false;
    const elapsed_ms = clock.elapsed_ms();
    for (const [key, call] of replica.held.calls) {
      const tool = offered.get(call.name);
      if (call.status === "asked" && tool?.needs === "nothing") void begin(key);
      else if (call.status === "running" && !running.has(key)) {
        const claim_ms = Math.max(
          (claims.get(key) ?? Number.NEGATIVE_INFINITY) + UNCLAIMED_MS,
          leads_ms + GRACE_MS,
        );
        if (elapsed_ms < claim_ms) mustLook = true;
        else if (tool?.isRepeatable) void begin(key);
        else
          void replica.change(() =>
            changed(key, (now) => (now.status === "running" ? restart(now, false) : undefined)),
          );
      }
    }
    if (mustLook) next = scope.later(GRACE_MS, look);
  };

  const begin = async (key: string): Promise<void> => {
    if (running.has(key)) return;
    const call = replica.held.calls.get(key);
    const tool = call && offered.get(call.name);
    const scope = work();
    if (tool === undefined || scope === undefined || scope.isOver) return;
    const its = openScope(clock, scope);
    running.set(key, its.end);
    const isRerun = call?.status === "running";
    const fate = await replica.change(() => changed(key, (now) => (isRerun ? now : start(now))));
    if (fate !== "moot" && !its.isOver) {
      claim();
      const now = replica.held.calls.get(key);
      if (now !== undefined) {
        const output = await outcome(tool, now, its);
        if (!its.isOver)
          await settle(key, (at) =>
            finish({ ...at, status: at.status === "interrupted" ? "running" : at.status }, output),
          );
      }
    }
    running.delete(key);
    its.end();
  };

  const claim = (): void => {
    claiming();
    if (running.size === 0) return;
    replica.tell({ runs: [...running.keys()] });
    claiming = work()?.later(CLAIM_MS, claim) ?? claiming;
  };

  /** Change a call; with the last one of its response, what they came to is said in the same commit. */
  const settle = (key: string, change: (call: Call) => Call | undefined) =>
    replica.change(() => {
      const { calls, outbox } = replica.held;
      const call = calls.get(key);
      const next = call && change(call);
      if (next === undefined) return undefined;
      const all = [...calls].filter(([, each]) => each.response === next.response);
      const entry = outputsOf(
        all.map(([each, it]) => (each === key ? next : it)),
        ids.next(clock.now_ms()),
        optional(requestOf(request)),
      );
      const commit: Commit = {
        writes: [write(key, next)],
        guards: all.map(([each, it]) => guard(each, it)),
      };
      return entry === undefined ? commit : both(commit, put(outbox, entry, clock.now_ms()));
    });

  const changed = (key: string, change: (call: Call) => Call | undefined): Commit | undefined => {
    const call = replica.held.calls.get(key);
    const next = call && change(call);
    return next && { writes: [write(key, next)], guards: [guard(key, call)] };
  };

  return {
    requestOf,
    callsOf: (answer) =>
      callsOf(answer, (name) => offered.has(name)).map((call) => [keyOfCall(call), call]),
    get running() {
      return [...running.keys()];
    },
    titleOf: (call) => {
      const { title } = offered.get(call.name) ?? {};
      const given = read(call.arguments);
      return (given !== undefined && title?.(given)) || call.name;
    },
    attend,
    async approve(call) {
      const key = keyFor(call);
      if (key !== undefined) await allowed(key);
    },
    async decline(call, reason) {
      const key = keyFor(call);
      if (key !== undefined) await settle(key, (at) => decline(at, reason));
    },
    claimed(keys) {
      for (const key of keys) claims.set(key, clock.elapsed_ms());
    },
  };

  /** Resolves when it is noted that it runs, not when it has. */
  async function allowed(key: string): Promise<void> {
    void begin(key);
    await replica.change(() => undefined);
  }
}

function optional(request: Request): { request?: { readonly [key: string]: Json } } {
  return request === undefined ? {} : { request };
}

function offer({ name, description, parameters }: Tool): Json {
  return { type: "function", name, description, parameters };
}

async function outcome(tool: Tool, call: Call, scope: Scope): Promise<string> {
  const given = read(call.arguments);
  if (given === undefined) return "Error: the arguments are no JSON.";
  const controller = new AbortController();
  scope.own(() => controller.abort());
  const running: Running = { signal: controller.signal, call: call.call };
  try {
    const output = await tool.run(given, running);
    return typeof output === "string" ? output : (JSON.stringify(output) ?? "null");
  } catch (error) {
    return `Error: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function read(text: string): Json | undefined {
  try {
    return text === "" ? {} : (JSON.parse(text) as Json);
  } catch {
    return undefined;
  }
}
