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

it("plays the same script the same way", async () => {
  const again = fc.asyncProperty(script, async (each) => {
    expect(await play(each)).toEqual(await play(each));
  });

  await fc.assert(again, { numRuns: 10, seed });
}, 60_000);
