import type { TurnState } from "../conversation/turn.ts";

/** What failed, as far as a person is told; which codes mean which is in `words.ts`. */
export type Reason =
  | "lost"
  | "unreached"
  | "tooMany"
  | "overloaded"
  | "usedUp"
  | "noModel"
  | "tooLong"
  | "signIn"
  | "tooSlow"
  | "badAnswer"
  | "busyModel"
  | "unknown";

/**
 * Every word that a person reads or hears, in one language. A file of this folder that exports one as `words`, and is named by the
 * language's code (`de.ts`), is a language of the app; nothing else has to be changed.
 *
 * Protocol terms and data (model names, languages of code) are not words of ours and stay where they are.
 */
export interface Language {
  readonly direction: "ltr" | "rtl";

  readonly you: string;
  readonly conversation: string;
  readonly newConversation: string;
  readonly startedNew: string;
  readonly goBack: string;
  readonly latest: string;
  readonly message: string;
  readonly writeMessage: string;
  readonly send: string;
  readonly stop: string;
  readonly model: string;
  readonly tryAgain: string;
  readonly copy: string;
  readonly copied: string;
  readonly copyAnswer: string;
  readonly notCopied: string;
  readonly code: string;
  readonly table: string;
  readonly codeBlock: string;

  readonly ready: string;
  readonly answering: string;
  readonly offline: string;
  readonly unreachable: string;
  readonly connecting: string;

  readonly offlineLine: string;
  unreachableLine(name: string): string;
  readonly notKeptLine: string;
  readonly developmentLine: string;

  readonly tokenTitle: string;
  readonly tokenText: string;
  readonly tokenRefused: string;
  readonly tokenLabel: string;
  readonly useToken: string;

  /** Of the morning (5-11), the afternoon (12-17), and the rest. */
  readonly greetings: readonly [morning: string, afternoon: string, evening: string];
  readonly atYourService: string;
  readonly askAnything: string;
  readonly starters: readonly string[];

  readonly states: Readonly<Record<TurnState, string>>;
  readonly interrupted: string;
  /** By the reason that the server gives why an answer ended early. */
  readonly shortened: Readonly<Record<"max_output_tokens" | "content_filter" | "other", string>>;

  failed(reason: string): string;
  /** What happened, what is safe, and what now. `when` is "in 40 seconds", or `soon`. */
  readonly reasons: Readonly<Record<Reason, (when: string) => string>>;
  readonly soon: string;
}
