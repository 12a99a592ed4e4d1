import { expect, test } from "vitest";
import { ITEM, keyOf, keyOfChange, prefixOf } from "./keys.ts";

test("ids of the server stand in keys as they are", () => {
  expect(keyOf(ITEM, "conv_0a", "msg-1")).toBe("item/conv_0a/msg-1");
  expect(prefixOf(ITEM, "conv_0a")).toBe("item/conv_0a/");
});

test("every change has the key of what it is of, gone or not", () => {
  const gone = { deleted: true } as const;
  const keys = [
    keyOfChange({ type: "conversation", id: "c", ...gone }),
    keyOfChange({ type: "item", conversation: "c", id: "i", ...gone }),
    keyOfChange({ type: "turn", conversation: "c", id: "r", state: "accepted" }),
    keyOfChange({ type: "feedback", response: "r", ...gone }),
    keyOfChange({ type: "fact", id: "f", words: "x", created_at: 1, changed_at: 1 }),
  ];

  expect(keys).toEqual(["conversation/c", "item/c/i", "turn/c/r", "feedback/r", "fact/f"]);
});
