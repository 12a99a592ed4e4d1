/** Why a turn could not be answered: the server's stable code and words, or one of our own codes. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly retryAfterS: number | null;
}

/** Thrown where a call was refused; carries what to tell. */
export class Refused extends Error {
  constructor(readonly failure: Failure) {
    super(failure.code);
  }
}

/** The end of bytes without a terminal event, which is never completion. */
export const connectionLost: Failure = { code: "connection_lost", message: "", retryAfterS: null };
/** No byte came back. */
export const unreachable: Failure = { code: "unreachable", message: "", retryAfterS: null };

/** The failure that a response other than 2xx tells of; bodies that are not OpenAI's shape give their status. */
export async function failureOf(response: Response): Promise<Failure> {
  const error = errorIn(await response.json().catch(() => null));
  return {
    code: error.code ?? `http_${response.status}`,
    message: error.message ?? "",
    retryAfterS: seconds(response.headers.get("retry-after")),
  };
}

function errorIn(body: unknown): { code?: string | null; message?: string } {
  return ((body as { error?: object } | null)?.error ?? {}) as { code?: string; message?: string };
}

/** `Retry-After` in seconds (RFC 9110 §10.2.3); its date form is rare and read as "no hint". */
function seconds(header: string | null): number | null {
  return header && /^\d+$/.test(header) ? Number(header) : null;
}
