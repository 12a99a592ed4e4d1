import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Answer, Call, Kept, Remedy } from "../state.ts";
import type { Entry, TurnTold } from "../wire.ts";
import { begin } from "./answer.ts";
import { remedyOf, turnView } from "./turn.ts";

// What people are told to do about each code that an entry is refused with, or a turn fails with. A new code of the contract
// fails the test below until it is here, or among those that neither can have.
const REMEDIES: Readonly<Record<Remedy, string>> = {
  sign_in: `attestation_invalid attestation_required caller_gone invalid_api_key invalid_token key_expired missing_credential
    refresh_token_expired refresh_token_reused token_expired token_not_yet_valid token_revoked unknown_issuer wrong_audience`,
  update: "client_too_old",
  free_space:
    "conversation_full storage_full too_many_conversations too_many_facts too_many_files too_many_pinned",
  later: `conversation_locked insufficient_quota issuer_unavailable previous_response_in_progress provider_busy
    provider_unavailable rate_limit_exceeded response_under_way server_overloaded server_shutting_down store_unavailable
    too_many_waiting`,
  again: `answer_interrupted conflict conversation_changed idempotency_outcome_unknown internal_error
    invalid_structured_output model_failed provider_error provider_timeout server_crashed turn_timeout`,
  change: `chain_too_long content_filter context_length_exceeded conversation_too_large credential_found empty_file
    file_not_found file_too_large files_too_large history_too_large invalid_audio invalid_schema invalid_value
    request_too_large scripted_refusal session_too_long too_complex tokens_not_screenable too_many_branches too_many_groups
    too_many_references unprocessable unsupported_item unsupported_language unsupported_part`,
  none: `ambiguous_feature call_answered call_not_found conversation_not_found conversations_not_kept fact_not_found
    feature_not_allowed feedback_not_found forbidden invalid_context invalid_encrypted_content invalid_feature
    invalid_request invalid_type invalid_variable item_exists item_not_found missing_feature missing_required_parameter
    missing_scope missing_variable model_not_found model_unpriced mutually_exclusive_parameters not_a_session
    not_allowed_by_feature not_anonymous not_found not_under_a_budget nothing_is_stored previous_response_not_found
    response_not_found unknown_app unknown_feature unknown_tier unknown_variable unsupported_parameter
    unsupported_request unsupported_schema unsupported_tool user_not_found wrong_model wrong_model_kind`,
};
// Codes of requests that are no message's: of batches, keys, realtime, HTTP itself.
const ELSEWHERE =
  `bad_directive batch_not_cancellable batch_not_found chat_completion_not_found csrf_failed duplicate_cookie
  duplicate_credential duplicate_header events_gone headers_too_large idempotency_answer_not_kept idempotency_key_in_use
  idempotency_key_reused invalid_content_type invalid_encoding invalid_form invalid_handshake invalid_http
  invalid_idempotency_key invalid_json invalid_msgpack job_not_cancellable job_not_found job_not_retryable key_not_found
  method_not_allowed missing_subprotocol no_summary report_too_slow request_timeout route_not_found session_exists
  session_not_found too_many_batches too_many_frames too_many_streams unknown_url unsupported_media_type upgrade_required
  upload_given_up websocket_connection_limit_reached websocket_stream_limit_reached`.split(/\s+/);
const TYPES: Readonly<Record<string, string>> = {
  401: "authentication_error",
  403: "permission_error",
  429: "rate_limit_error",
};

const contract = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../../contract/openapi.json"), "utf8"),
) as { components: { responses: Record<string, { description: string }> } };
const codes = Object.entries(contract.components.responses).flatMap(([name, { description }]) =>
  [...(description.split("Codes: ")[1] ?? "").matchAll(/`(\w+)`/g)].map(([, code = ""]) => {
    const status = name.slice("Failure".length);
    return {
      code,
      type: TYPES[status] ?? (status < "500" ? "invalid_request_error" : "server_error"),
    };
  }),
);

test("there is a remedy, and the right one, for every code that a message can have", () => {
  const wanted = Object.entries(REMEDIES).flatMap(([remedy, all]) =>
    all.split(/\s+/).map((code) => [code, remedy] as const),
  );
  const ours = codes
    .filter(({ code }) => !ELSEWHERE.includes(code))
    .map((error) => [error.code, remedyOf(error)] as const);

  expect(Object.fromEntries(ours)).toEqual(Object.fromEntries(wanted));
});

test("a turn tells no type, and what a provider answers is known without one", () => {
  const told = [
    "content_filter",
    "context_length_exceeded",
    "insufficient_quota",
    "provider_busy",
    "model_not_found",
  ];

  expect(told.map((code) => remedyOf({ code }))).toEqual([
    "change",
    "change",
    "later",
    "later",
    "none",
  ]);
});

test("codes of a provider's own are known by their type", () => {
  const types = [
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "rate_limit_error",
    "server_error",
  ];

  expect(types.map((type) => remedyOf({ code: "whatever", type }))).toEqual([
    "change",
    "sign_in",
    "none",
    "later",
    "again",
  ]);
  expect([remedyOf({ code: null }), remedyOf({ code: "expired" })]).toEqual(["again", "again"]);
});

describe("a turn", () => {
  const entry: Entry = { type: "message", id: "1", conversation: "c", content: "x" };
  const kept = (more: Partial<Kept>): Kept => ({
    entry,
    status: "saved",
    at_ms: 0,
    isUnclear: false,
    attempts: 0,
    ...more,
  });
  const tick = (state: TurnTold["state"], code?: string): TurnTold => ({
    type: "turn",
    conversation: "c",
    id: "r",
    state,
    ...(code && { code }),
  });
  const answer = (phase: Answer["phase"], code?: string): Answer => ({
    ...begin("r", "c"),
    phase,
    ...(code && { error: { code, message: "So.", type: "server_error", param: null } }),
  });
  const call = (status: Call["status"]): Call => ({
    call: "1",
    response: "r",
    conversation: "c",
    name: "n",
    arguments: "{}",
    status,
  });
  const error = {
    code: "rate_limit_exceeded",
    message: "Too fast.",
    type: "rate_limit_error",
    param: null,
  };
  const r = { response: "r" };
  const cases: [string, Parameters<typeof turnView>[0], ReturnType<typeof turnView>][] = [
    ["nothing", {}, undefined],
    ["saved", { kept: kept({}) }, { state: "saved" }],
    ["on its way", { kept: kept({ status: "sending", isUnclear: true }) }, { state: "sending" }],
    [
      "told to wait",
      { kept: kept({ status: "waiting", error, notBefore_ms: 9 }) },
      { state: "saved", code: error.code, message: error.message, remedy: "later", until_ms: 9 },
    ],
    [
      "refused",
      { kept: kept({ status: "refused", error }) },
      { state: "failed", code: error.code, message: error.message, remedy: "later" },
    ],
    [
      "expired",
      { kept: kept({ status: "expired" }) },
      { state: "failed", code: "expired", remedy: "again" },
    ],
    ["not wanted", { kept: kept({ status: "sending", isUnwanted: true }) }, { state: "cancelled" }],
    [
      "done, and nothing more",
      { kept: kept({ status: "done", ...r }) },
      { state: "accepted", ...r },
    ],
    ["accepted", { tick: tick("accepted") }, { state: "accepted", ...r }],
    ["asked for", { tick: tick("answering") }, { state: "waiting", ...r }],
    [
      "listened to",
      { tick: tick("accepted"), answer: answer("waiting") },
      { state: "accepted", ...r },
    ],
    [
      "thinking",
      { tick: tick("accepted"), answer: answer("thinking") },
      { state: "thinking", ...r },
    ],
    ["written", { answer: answer("writing") }, { state: "writing", ...r }],
    [
      "not told whole yet",
      { tick: tick("answered"), answer: answer("writing") },
      { state: "writing", ...r },
    ],
    ["answered", { tick: tick("answered") }, { state: "done", ...r }],
    ["read", { tick: tick("read"), answer: answer("done") }, { state: "done", isRead: true, ...r }],
    [
      "cut short",
      { answer: answer("done", "max_output_tokens") },
      { state: "done", code: "max_output_tokens", ...r },
    ],
    [
      "failed in its stream",
      { answer: answer("failed", "server_error") },
      { state: "failed", code: "server_error", message: "So.", remedy: "again", ...r },
    ],
    [
      "failed in both, where the tick knows better",
      { tick: tick("failed", "content_filter"), answer: answer("failed", "server_error") },
      { state: "failed", code: "content_filter", message: "So.", remedy: "change", ...r },
    ],
    [
      "cancelled before a word",
      { tick: tick("failed", "cancelled") },
      { state: "cancelled", ...r },
    ],
    [
      "cancelled",
      { answer: answer("cancelled"), tick: tick("answered") },
      { state: "cancelled", ...r },
    ],
    [
      "stopped here",
      { tick: tick("answering"), answer: answer("writing"), isUnwanted: true },
      { state: "cancelled", ...r },
    ],
    ["stopped too late", { tick: tick("answered"), isUnwanted: true }, { state: "done", ...r }],
    [
      "asking",
      { tick: tick("answered"), calls: [call("running"), call("interrupted")] },
      { state: "asking", ...r },
    ],
    [
      "running a tool",
      { tick: tick("answered"), calls: [call("running"), call("ran")] },
      { state: "thinking", ...r },
    ],
    [
      "telling what a tool said",
      { kept: kept({}), tick: tick("answered"), calls: [call("ran")] },
      { state: "saved" },
    ],
  ];

  test.each(cases)("that is %s", (_, known, view) => {
    expect(turnView(known)).toEqual(view);
  });
});
