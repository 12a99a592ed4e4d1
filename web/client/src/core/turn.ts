// How far a message and its answer are, in the few words that an app has to have, and what a person can do about what
// failed. It knows of one turn; which one a message's is, the view knows.

import type { Answer, Call, Kept, Remedy, TurnState, TurnView } from "../state.ts";
import type { TurnTold } from "../wire.ts";
import { isUnsent } from "./outbox.ts";
import { hasEnded } from "./said.ts";
import { defined } from "./values.ts";

/** All that may be known of a turn; the latest request for it is the one that counts. */
export interface TurnKnown {
  /** The entry that asks for it, as long as it is in the outbox. */
  readonly kept?: Kept | undefined;
  readonly tick?: TurnTold | undefined;
  readonly answer?: Answer | undefined;
  readonly calls?: readonly Call[] | undefined;
  /** Whether it was stopped here: shown so at once, also where the server does not know yet. */
  readonly isUnwanted?: boolean | undefined;
}

// The first that fits counts: codes of which the type of their error does not say it, or of which a turn tells no type.
const REMEDIES: readonly (readonly [Remedy, RegExp])[] = [
  ["sign_in", /^caller_gone/],
  ["update", /^client_too_old/],
  ["free_space", /(storage|conversation)_full|too_many_(conv|fact|file|pin)/],
  [
    "later",
    /_busy|unavailable|overloaded|shutting|rate_limit|quota|locked|in_progress|under_way|too_many_(streams|waiting)/,
  ],
  ["again", /conflict|_changed|outcome_unknown/],
  [
    "change",
    /filter|context_length|screenable|_too_(large|long)|refusal|credential_found|^file_|unsupported_(item|lang|part)|invalid_(audio|schema|value)/,
  ],
  [
    "none",
    /not(hing)?_|_exists|call_answered|^(ambiguous|invalid_[^s]|missing|model_[nu]|mutually|unknown|unsupported|wrong)/,
  ],
];
const BY_TYPE: { readonly [type: string]: Remedy } = {
  invalid_request_error: "change",
  permission_error: "none",
  rate_limit_error: "later",
};

/**
 * Say what a person can do about an error. Codes that are not known here are known by their type alone: what is wrong with
 * the request has to be said otherwise, all else may go well the next time.
 */
export function remedyOf({
  code,
  type = "",
}: {
  readonly code?: string | null | undefined;
  readonly type?: string | undefined;
}): Remedy {
  if (type === "authentication_error") return "sign_in";
  return REMEDIES.find(([, codes]) => codes.test(code ?? ""))?.[0] ?? BY_TYPE[type] ?? "again";
}

/** Say how far a turn is; undefined where nothing at all is known of it. */
export function turnView(known: TurnKnown): TurnView | undefined {
  const { kept, tick, answer } = known;
  if (kept && kept.status !== "done") return ofKept(kept);
  const state = stateOf(known);
  if (!state) return undefined;
  const response = answer?.response ?? tick?.id ?? kept?.response;
  // The tick knows better; what was cut short is done all the same, and its code says why.
  const code = tick?.code ?? answer?.error?.code ?? undefined;
  if (state === "failed") return viewOf(state, { response }, { ...answer?.error, code });
  return viewOf(state, {
    response,
    ...(state === "done" && { code, isRead: tick?.state === "read" || undefined }),
  });
}

function stateOf({ kept, tick, answer, calls, isUnwanted }: TurnKnown): TurnState | undefined {
  const phase = answer?.phase;
  if (tick?.state === "failed") return tick.code === "cancelled" ? "cancelled" : "failed";
  if (phase === "failed" || phase === "cancelled") return phase;
  const isAnswered = tick && hasEnded(tick);
  if (isUnwanted && !isAnswered && phase !== "done") return "cancelled";
  const isAny = (...some: Call["status"][]) => calls?.some(({ status }) => some.includes(status));
  if (isAny("asked", "interrupted")) return "asking";
  if (isAny("running")) return "thinking";
  if (phase && phase !== "waiting") return phase;
  if (isAnswered) return "done";
  if (tick) return tick.state === "accepted" ? "accepted" : "waiting";
  if (phase) return "waiting";
  return kept && (kept.isUnwanted ? "cancelled" : "accepted");
}

function ofKept(kept: Kept): TurnView {
  const { status, notBefore_ms: until_ms, error } = kept;
  if (!isUnsent(kept)) return viewOf("failed", {}, status === "expired" ? { code: status } : error);
  if (kept.isUnwanted) return viewOf("cancelled");
  return viewOf(status === "sending" ? status : "saved", { until_ms }, error);
}

function viewOf(
  state: TurnState,
  more?: { readonly [K in keyof TurnView]?: TurnView[K] | undefined },
  error?: Parameters<typeof remedyOf>[0] & { readonly message?: string },
): TurnView {
  return defined<TurnView>({
    ...more,
    state,
    ...(error && {
      code: error.code ?? undefined,
      message: error.message || undefined,
      remedy: remedyOf(error),
    }),
  });
}
