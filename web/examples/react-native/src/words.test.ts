import type { ClientView, TurnView } from "@frontdesk/client";
import { describe, expect, test } from "vitest";
import { clientInWords, turnInWords } from "./words.ts";

const client: ClientView = {
  connection: "live",
  transport: "xhr",
  unsent: 0,
  storage: "kept",
  switches: {},
};

describe("words", () => {
  test.each<[TurnView, string | undefined]>([
    [{ state: "saved" }, "Kept on this phone. Sent as soon as there is a connection."],
    [{ state: "saved", until_ms: 5500 }, "Kept on this phone. Sent in 5 s."],
    [
      { state: "failed", message: "Too long.", remedy: "change" },
      "Too long. Say it in other words.",
    ],
    [{ state: "failed" }, "This did not work."],
    [{ state: "done" }, undefined],
  ])("for a turn that is %o", (turn, words) => {
    expect(turnInWords(turn, 1000)).toBe(words);
  });

  test.each<[Partial<ClientView>, string | undefined]>([
    [{}, undefined],
    [{ connection: "offline", unsent: 1 }, "You are offline. One message will be sent later."],
    [{ connection: "signed_out", unsent: 2 }, "You are signed out. 2 messages will be sent later."],
    [{ storage: "full" }, "This phone is full. What you write may be lost when the app closes."],
  ])("for a client that is %o", (more, words) => {
    expect(clientInWords({ ...client, ...more })).toBe(words);
  });
});
