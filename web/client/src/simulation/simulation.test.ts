// @vitest-environment node
import fc from "fast-check";
import { expect, it } from "vitest";
import { play } from "./play.ts";
import { scriptsOf } from "./scripts.ts";

// In `make test-slow` there are many more, and others each time.
const scripts = Number(process.env.FRONTDESK_SCRIPTS ?? 60);
const seed = Number(process.env.FRONTDESK_SEED ?? (scripts > 60 ? Date.now() % 2 ** 31 : 3));
const script = scriptsOf(40);

it(`keeps its promises in ${scripts} scripts of the seed ${seed}`, async () => {
  let steps = 0;
  let time_ms = 0;
  const keepsItsPromises = fc.asyncProperty(script, async (each) => {
    const outcome = await play(each);
    steps += outcome.steps;
    time_ms += outcome.time_ms;
    if (outcome.wrongs.length > 0) throw new Error([...outcome.wrongs, ...outcome.log].join("\n"));
  });

  await fc.assert(keepsItsPromises, { numRuns: scripts, seed });

  if (scripts > 60)
    console.info(`${scripts} scripts, ${steps} steps, ${time_ms / 3_600_000} hours`);
}, 3_600_000);

it("leaves nothing of a conversation that is deleted while it is filled in", async () => {
  const outcome = await play({
    seed: 0,
    leases: false,
    loss: 0,
    page: 2,
    isNarrow: true,
    acts: [
      [{ steps: 0 }, { do: "send", tab: 0, conversation: 1, how: "(thinks)" }],
      [{ ms: 500 }, { do: "offline", device: 0 }],
      [{ ms: 0 }, { do: "online", device: 0 }],
      [{ ms: 0 }, { do: "revoke sessions" }],
      [{ steps: 0 }, { do: "send", tab: 0, conversation: 0, how: "(tool)" }],
      [{ ms: 2000 }, { do: "approve", tab: 0, conversation: 0 }],
      [{ ms: 0 }, { do: "kill", tab: 0 }],
      [{ steps: 0 }, { do: "open tab", device: 0 }],
      [{ ms: 0 }, { do: "delete", tab: 0, conversation: 1 }],
    ],
    signsOut: false,
  });

  expect(outcome.wrongs).toEqual([]);
});

it("knows what may have left the device, whichever tab fills a lost store again", async () => {
  const outcome = await play({
    seed: 765690387,
    leases: false,
    loss: 0.5,
    page: 2,
    isNarrow: false,
    acts: [
      [{ ms: 0 }, { do: "open tab", device: 1 }],
      [
        { ms: 0 },
        {
          do: "weather",
          device: 1,
          weather: {
            delay_ms: 2000,
            drop: 0,
            dropReply: 0,
            double: 0,
            cut: 0,
            silent: 0,
            holdsBack: false,
          },
        },
      ],
      [{ ms: 0 }, { do: "send", tab: 0, conversation: 0, how: "(thinks)" }],
      [{ ms: 500 }, { do: "offline", device: 0 }],
      [{ ms: 0 }, { do: "online", device: 1 }],
      [{ ms: 0 }, { do: "kill", tab: 0 }],
      [{ steps: 8 }, { do: "show", tab: 0 }],
      [{ ms: 58 }, { do: "send", tab: 3, conversation: 0, how: "plain" }],
      [{ steps: 11 }, { do: "rename", tab: 3, conversation: 0 }],
      [{ steps: 37 }, { do: "online", device: 0 }],
      [{ steps: 31 }, { do: "evict", device: 1 }],
      [{ ms: 26 }, { do: "heal disk", device: 0 }],
      [{ steps: 14 }, { do: "withdraw", tab: 0, conversation: 0, message: 0 }],
    ],
    signsOut: false,
  });

  expect(outcome.wrongs).toEqual([]);
});

it("reads a conversation that was opened while the store did not work", async () => {
  const outcome = await play({
    seed: 0,
    leases: false,
    loss: 0,
    page: 2,
    isNarrow: false,
    acts: [
      [{ ms: 0 }, { do: "send", tab: 0, conversation: 2, how: "plain" }],
      [{ ms: 61 }, { do: "break disk", device: 0, trouble: "broken" }],
      [{ ms: 0 }, { do: "read", tab: 0, conversation: 2 }],
      [{ ms: 3 }, { do: "rate", tab: 0, conversation: 0, rating: "up" }],
    ],
    signsOut: false,
  });

  expect(outcome.wrongs).toEqual([]);
});

it("plays the same script the same way", async () => {
  const again = fc.asyncProperty(script, async (each) => {
    expect(await play(each)).toEqual(await play(each));
  });

  await fc.assert(again, { numRuns: 10, seed });
}, 60_000);
