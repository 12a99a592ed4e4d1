// Why there is no credential, and what a refusal of one says.

/** There is no credential to be had until the app calls `resume`. */
export class SignedOut extends Error {
  override readonly name = "SignedOut";

  /** `code` is the server's, or `no_credential`, `other_user`, `ended`. */
  constructor(readonly code: string) {
    super(code);
  }
}

/** There is no credential to be had now, but later. */
export class SessionUnavailable extends Error {
  override readonly name = "SessionUnavailable";

  /** `status` is 0 where the server did not answer in time. */
  constructor(
    readonly status: number,
    readonly code: string,
    readonly retryAfter_s?: number | undefined,
  ) {
    super(code);
  }
}

/** Whether a refusal is about the session: others are the app's attestation, or of something between. */
export function isOurs(code: string): boolean {
  return !/^(unreadable$|attestation)/.test(code);
}

/** The code of the server's error; `unreadable` where it is none of the server's. */
export async function codeOf(answer: Response): Promise<string> {
  const body = await answer.json().catch(() => undefined);
  const code: unknown = body?.error?.code;
  return typeof code === "string" ? code : "unreadable";
}

/** Say that there is no credential now, because of this answer. */
export function unavailable({ status, headers }: Response, code: string): SessionUnavailable {
  const after_s = Number.parseFloat(headers.get("retry-after") ?? "");
  return new SessionUnavailable(status, code, Number.isNaN(after_s) ? undefined : after_s);
}
