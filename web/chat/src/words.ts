// The words of the person's language: the first of theirs that `languages/` has, English where it has none of them.

import { words as english } from "./languages/en.ts";
import type { Language, Reason } from "./languages/language.ts";
import type { Failure } from "./server/failure.ts";

/** By code, each but English fetched when it is spoken. */
const LANGUAGES = import.meta.glob<Language>(["./*.ts", "!./language.ts", "!./en.ts"], {
  base: "./languages",
  import: "words",
});

/** Of the server's codes and our own. */
const REASONS: Readonly<Record<string, Reason>> = {
  connection_lost: "lost",
  unreachable: "unreached",
  rate_limit_exceeded: "tooMany",
  server_overloaded: "overloaded",
  server_shutting_down: "overloaded",
  provider_busy: "overloaded",
  insufficient_quota: "usedUp",
  model_not_found: "noModel",
  context_length_exceeded: "tooLong",
  request_too_large: "tooLong",
  invalid_api_key: "signIn",
  invalid_token: "signIn",
  token_expired: "signIn",
  token_revoked: "signIn",
  provider_timeout: "tooSlow",
  request_timeout: "tooSlow",
  provider_error: "badAnswer",
  server_error: "badAnswer",
  internal_error: "badAnswer",
};

export let words: Language = english;
/** The tag of the language that is spoken, as `Intl` and `lang` take it. */
export let language = "en";

/** Whether there are words of a language (`de`), whatever its region. */
function isKnown(code: string): boolean {
  return code === "en" || `./${code}.ts` in LANGUAGES;
}

/** Speak the first of these languages (BCP 47 tags, as `navigator.languages`) that there are words of. Words that cannot be had are English. */
export async function speak(wanted: readonly string[], page?: HTMLElement): Promise<void> {
  const codeOf = (tag: string) => tag.toLowerCase().split("-")[0] ?? "";
  const tag = wanted.find((each) => isKnown(codeOf(each))) ?? "en";
  const load = LANGUAGES[`./${codeOf(tag)}.ts`];
  const loaded = await load?.().catch(() => undefined);
  words = loaded ?? english;
  language = loaded || codeOf(tag) === "en" ? tag : "en";
  if (!page) return;
  page.lang = language;
  page.dir = words.direction;
}

/** The greeting of the hour (0-23) on the person's own clock. */
export function greeting(hour: number): string {
  const [morning, afternoon, evening] = words.greetings;
  if (hour < 5 || hour >= 18) return evening;
  return hour < 12 ? morning : afternoon;
}

/** What happened, what is safe, and what now, as one line. */
export function failureText({ code, message, retryAfterS }: Failure): string {
  const known = REASONS[code] ?? "unknown";
  if (known === "unknown" && message) return words.failed(message);
  // A server that failed and says when to come back has too much to do.
  const reason = known === "badAnswer" && retryAfterS !== null ? "busyModel" : known;
  return words.failed(words.reasons[reason](later(retryAfterS)));
}

/** Why an answer ended before its end, by the server's reason. */
export function shortenedText(reason: string): string {
  const known: Readonly<Record<string, string>> = words.shortened;
  return Object.hasOwn(known, reason) ? (known[reason] ?? "") : words.shortened.other;
}

function later(seconds: number | null): string {
  if (seconds === null) return words.soon;
  const format = new Intl.RelativeTimeFormat(language);
  if (seconds < 90) return format.format(seconds, "second");
  if (seconds < 5400) return format.format(Math.round(seconds / 60), "minute");
  return format.format(Math.round(seconds / 3600), "hour");
}
