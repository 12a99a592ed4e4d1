// The probes of CompatCanary: what an API that calls itself OpenAI-compatible must do.

import assert from "node:assert/strict";
import { test } from "node:test";
import { scanEndpoint } from "compatcanary";
import { apiKey, baseURL } from "./served.js";

test("every probe passes, with the full score", async (context) => {
  const report = await scanEndpoint({ baseUrl: baseURL, apiKey, model: "fast" });

  for (const { id, status, summary } of report.results)
    context.diagnostic(`${id}: ${status}, ${summary}`);
  assert.ok(report.results.length >= 7);
  assert.deepEqual([...new Set(report.results.map((result) => result.status))], ["pass"]);
  assert.equal(report.score, 100);
});
