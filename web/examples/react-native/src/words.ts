// The client's states as sentences. All words of the app that depend on them are here.

import type { ClientView, ConversationView, Remedy, TurnView } from "@frontdesk/client";

/** How far a message is; undefined where its answer, which stands below it, says that itself. */
export function turnInWords(turn: TurnView, now_ms: number): string | undefined {
  switch (turn.state) {
    case "saved":
      return turn.until_ms !== undefined && turn.until_ms > now_ms
        ? `Kept on this phone. Sent in ${secondsLeft(turn.until_ms, now_ms)} s.`
        : "Kept on this phone. Sent as soon as there is a connection.";
    case "sending":
      return "Sending …";
    case "accepted":
      return "Sent";
    case "waiting":
      return "Sent. The answer is about to begin.";
    case "thinking":
      return "Thinking …";
    case "asking":
      return "Waits for your permission.";
    case "failed":
      return `${turn.message ?? "This did not work."} ${remedyInWords(turn.remedy ?? "none")}`.trim();
    case "cancelled":
      return "Stopped";
    case "writing":
    case "done":
      return undefined;
  }
}

function remedyInWords(remedy: Remedy): string {
  switch (remedy) {
    case "again":
      return "Try again.";
    case "later":
      return "Try again later.";
    case "sign_in":
      return "Sign in again.";
    case "change":
      return "Say it in other words.";
    case "update":
      return "Update the app.";
    case "free_space":
      return "Delete what you do not need any more.";
    case "none":
      return "";
  }
}

/** What a person should know of the app as a whole; undefined where all is well. */
export function clientInWords(client: ClientView): string | undefined {
  const unsent = client.unsent === 0 ? "" : ` ${messages(client.unsent)} will be sent later.`;
  switch (client.connection) {
    case "offline":
      return `You are offline.${unsent}`;
    case "signed_out":
      return `You are signed out.${unsent}`;
    case "too_old":
      return `This version of the app is too old. Update it.${unsent}`;
    case "connecting":
      return `Connecting …${unsent}`;
    case "stopped":
    case "hidden":
    case "live":
      return storageInWords(client.storage);
  }
}

function storageInWords(storage: ClientView["storage"]): string | undefined {
  switch (storage) {
    case "full":
      return "This phone is full. What you write may be lost when the app closes.";
    case "denied":
    case "broken":
    case "memory":
      return "Nothing can be kept on this phone. What you write may be lost when the app closes.";
    case "kept":
      return undefined;
  }
}

/** What stands where a conversation has no messages. */
export function emptyInWords(status: ConversationView["status"]): string {
  switch (status) {
    case "loading":
    case "partial":
      return "Loading …";
    case "gone":
      return "This conversation was deleted.";
    case "missing":
      return "There is no such conversation, or it is somebody else's.";
    case "ready":
      return "Ask something.";
  }
}

function messages(count: number): string {
  return count === 1 ? "One message" : `${count} messages`;
}

function secondsLeft(until_ms: number, now_ms: number): number {
  return Math.ceil((until_ms - now_ms) / 1000);
}
