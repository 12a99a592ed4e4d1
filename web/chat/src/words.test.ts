import { expect, test } from "vitest";
import { failureText, greeting } from "./words.ts";

test.each([
  ["rate_limit_exceeded", 1, "try again in 1 second."],
  ["rate_limit_exceeded", 40, "try again in 40 seconds."],
  ["rate_limit_exceeded", null, "try again in a moment."],
  ["server_overloaded", 600, "try again in 10 minutes."],
  ["server_overloaded", 7200, "try again in 2 hours."],
])("%s with %s s to wait says when", (code, retryAfterS, end) => {
  expect(failureText({ code, message: "", retryAfterS })).toContain(end);
});

test("the server's own words are told where its code is new to this page", () => {
  expect(failureText({ code: "new_rule", message: "Not on Sundays.", retryAfterS: null })).toBe(
    "Could not be answered: Not on Sundays.",
  );
});

test("there is always something to tell", () => {
  expect(failureText({ code: "http_502", message: "", retryAfterS: null })).toBe(
    "Could not be answered: something went wrong. Your message is kept.",
  );
});

test.each([
  [4, "Good evening."],
  [5, "Good morning."],
  [12, "Good afternoon."],
  [18, "Good evening."],
])("at %i o'clock it says %s", (hour, words) => {
  expect(greeting(hour)).toBe(words);
});
