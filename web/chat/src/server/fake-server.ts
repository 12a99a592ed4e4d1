// A server of a few lines for tests, behind the client's `fetch`.

import { vi } from "vitest";
import type { Bootstrap } from "./client.ts";

export const bootstrap: Bootstrap = {
  name: "Frontdesk",
  development: false,
  anonymous: true,
  default_model: "fast",
  models: [
    { id: "fast", title: "fast" },
    { id: "best", title: "best" },
  ],
};

type Answering = (body: { model: string; input: unknown }, signal: AbortSignal) => Response;

export class FakeServer {
  bootstrap: Bootstrap | null = bootstrap;
  answering: Answering = () => stream(created, delta("Hello."), completed);
  refusesToken = "";
  refreshes = true;
  readonly asked: { model: string; input: unknown }[] = [];
  readonly cancelled: string[] = [];
  #sessions = 0;

  readonly fetch = vi.fn(
    async (path: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
      if (path === "/api/bootstrap") return this.#bootstrap();
      const body = JSON.parse(String(init.body));
      if (path === "/api/sessions") {
        this.#sessions += 1;
        return this.#token(1);
      }
      if (path === "/api/sessions/refresh") {
        const number = Number(body.refresh_token.split("-")[2]);
        return this.refreshes ? this.#token(number + 1) : refusal(401, "refresh_token_expired");
      }
      const sent = new Headers(init.headers).get("authorization");
      if (sent === `Bearer ${this.refusesToken}`) return refusal(401, "token_expired");
      const cancel = /^\/v1\/responses\/(\w+)\/cancel$/.exec(String(path));
      if (cancel) {
        this.cancelled.push(cancel[1] ?? "");
        return Response.json({});
      }
      this.asked.push(body);
      return this.answering(body, init.signal as AbortSignal);
    },
  );

  #token(number: number): Response {
    const name = `${this.#sessions}-${number}`;
    return Response.json({
      token: `token-${name}`,
      expires_at: 4e9,
      refresh_token: `refresh-${name}`,
    });
  }

  #bootstrap(): Response {
    if (!this.bootstrap) throw new TypeError("Failed to fetch");
    return Response.json(this.bootstrap);
  }
}

export const created = { type: "response.created", response: { id: "resp_1" } };
export const completed = { type: "response.completed", response: { id: "resp_1" } };

export function delta(text: string) {
  return { type: "response.output_text.delta", delta: text };
}

/** A response that streams these events and ends. */
export function stream(...events: { type: string }[]): Response {
  return new Response(events.map(frame).join(""));
}

/** A response that streams these events and then stays silent until it is aborted. */
export function hanging(signal: AbortSignal, ...events: { type: string }[]): Response {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(events.map(frame).join("")));
      signal.addEventListener("abort", () => controller.error(signal.reason));
    },
  });
  return new Response(body);
}

export function refusal(
  status: number,
  code: string,
  headers: Record<string, string> = {},
): Response {
  return Response.json({ error: { message: `Refused: ${code}.`, code } }, { status, headers });
}

function frame(event: { type: string }): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
