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

it("plays the same script the same way", async () => {
  const again = fc.asyncProperty(script, async (each) => {
    expect(await play(each)).toEqual(await play(each));
  });

  await fc.assert(again, { numRuns: 10, seed });
}, 60_000);
