// What a model wants done on the device: each call is asked for, allowed, run and told of once. Running is elsewhere.

import type { Answer, Call } from "../state.ts";
import type { Entry, Item } from "../wire.ts";
import { sizeOf_bytes } from "./bytes.ts";
import { CALL, keyOf } from "./keys.ts";

type OutputsEntry = Extract<Entry, { type: "outputs" }>;

/** More than that no model reads, and no push takes. */
const MOST_OUTPUT_bytes = 256 * 1024;

const MOST_ID_CHARS = 90;
/** As many outputs as an entry may have. */
const MOST_CALLS = 128;

/** Find the calls in an answer that is over, up to 128; of tools that are not ours, none. */
export function callsOf(answer: Answer, isOurs: (name: string) => boolean): Call[] {
  if (answer.phase !== "done") return [];
  const calls = answer.output.filter(isWholeCall).filter(({ name }) => isOurs(name));
  const { response, conversation } = answer;
  return calls.slice(0, MOST_CALLS).map(({ call_id, name, arguments: given }) => ({
    call: call_id,
    response,
    conversation,
    name,
    arguments: given,
    status: "asked",
  }));
}

/**
 * Make the key of a call. Its id is of the model's provider, which makes it of what it likes, and as long: what is not fit
 * for keys is spelled otherwise, and what is too long cut behind a sum of it.
 */
export function keyOfCall({ conversation, response, call }: Call): string {
  const plain = call.replace(/[^\w-]/g, (unit) => `%${unit.charCodeAt(0).toString(16)}.`);
  const name = plain.length > MOST_ID_CHARS ? `${plain.slice(0, 80)}~${sumOf(plain)}` : plain;
  return keyOf(CALL, conversation, response, name);
}

/** Allow a call: from now on it runs. Undefined where it was decided on before. */
export function start(call: Call): Call | undefined {
  return mayBeDecided(call) ? { ...call, status: "running" } : undefined;
}

/** Take in what a run came to; what is longer than 256 kB is cut, and says so. Undefined where it does not run. */
export function finish(call: Call, output: string): Call | undefined {
  return call.status === "running" ? { ...call, status: "ran", output: cut(output) } : undefined;
}

/** Forbid a call, and tell the model why. Undefined where it was decided on before. */
export function decline(call: Call, reason = "The user declined this."): Call | undefined {
  return mayBeDecided(call) ? { ...call, status: "declined", output: cut(reason) } : undefined;
}

/** Take a call over from a process that has ended: whether a run did anything nobody knows. */
export function restart(call: Call, isRepeatable: boolean): Call {
  return call.status === "running" && !isRepeatable ? { ...call, status: "interrupted" } : call;
}

/** Say whether there is still something to come of a call. */
export function isOpen(call: Call): boolean {
  return mayBeDecided(call) || call.status === "running";
}

/** Make the entry that tells what all calls of one response came to; undefined as long as one of them is open. */
export function outputsOf(
  calls: readonly Call[],
  id: string,
  more?: Pick<OutputsEntry, "feature" | "request" | "after">,
): OutputsEntry | undefined {
  const [first] = calls;
  if (!first || calls.some(isOpen)) return undefined;
  const outputs = calls.map(({ call, output }) => ({ call_id: call, output: output ?? "" }));
  return { type: "outputs", id, conversation: first.conversation, outputs, ...more };
}

function mayBeDecided({ status }: Call): boolean {
  return status === "asked" || status === "interrupted";
}

function isWholeCall(item: Item): item is Extract<Item, { type: "function_call" }> {
  return item.type === "function_call" && item.status !== "incomplete";
}

function cut(output: string): string {
  if (sizeOf_bytes(output) <= MOST_OUTPUT_bytes) return output;
  const note = `\n[Cut: ${output.length} characters in all.]`;
  // Whatever the characters are, three bytes each is the most that they have.
  let end = Math.floor(MOST_OUTPUT_bytes / 3) - note.length;
  if (/[\ud800-\udbff]/.test(output[end - 1] ?? "")) end -= 1;
  return output.slice(0, end) + note;
}

// FNV-1a, of 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/.
function sumOf(text: string): string {
  let sum = 0x811c9dc5;
  for (const unit of text) sum = Math.imul(sum ^ unit.charCodeAt(0), 0x01000193);
  return (sum >>> 0).toString(16);
}
