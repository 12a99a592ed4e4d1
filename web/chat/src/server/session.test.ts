import { beforeEach, expect, test, vi } from "vitest";
import { Session, type Token, TokenNeeded, takeTokenFromAddress } from "./session.ts";

const start_ms = 1_790_000_000_000;

function issuing(...tokens: string[]) {
  return vi.fn(async () => ({
    token: tokens.shift() ?? "none",
    expires_at: start_ms / 1000 + 3600,
  }));
}

beforeEach(() => sessionStorage.clear());

test("a token is asked for once and kept for the tab", async () => {
  const request = issuing("one");

  expect(await new Session(sessionStorage, request, () => start_ms).token()).toBe("one");
  expect(await new Session(sessionStorage, request, () => start_ms).token()).toBe("one");

  expect(request).toHaveBeenCalledTimes(1);
});

test("a token that ends within half a minute is replaced before it is used", async () => {
  let now_ms = start_ms;
  const session = new Session(null, issuing("one", "two"), () => now_ms);
  await session.token();

  now_ms += 3571 * 1000;

  expect(await session.token()).toBe("two");
});

test("calls that were refused together share one renewal", async () => {
  const request = issuing("one", "two", "three");
  const session = new Session(null, request, () => start_ms);
  const refused = await session.token();

  const renewed = await Promise.all([session.renew(refused), session.renew(refused)]);
  const late = await session.renew(refused);

  expect([...renewed, late]).toEqual(["two", "two", "two"]);
  expect(request).toHaveBeenCalledTimes(2);
});

test("a token that ends is replaced by its refresh token, which a lost reply does not lose", async () => {
  let now_ms = start_ms;
  const request = vi
    .fn<(refreshToken?: string) => Promise<Token>>()
    .mockResolvedValueOnce({ token: "one", expires_at: start_ms / 1000 + 60, refresh_token: "r1" })
    .mockRejectedValueOnce(new TypeError("Failed to fetch"))
    .mockResolvedValueOnce({ token: "two", refresh_token: "r2" });
  const session = new Session(sessionStorage, request, () => now_ms);
  await session.token();
  now_ms += 45_000;

  await expect(session.token()).rejects.toThrow("Failed to fetch");
  const reloaded = new Session(sessionStorage, request, () => now_ms);

  expect(await reloaded.token()).toBe("two");
  expect(request.mock.calls).toEqual([[undefined], ["r1"], ["r1"]]);
});

test("a pasted token that is refused is forgotten", async () => {
  const session = new Session(sessionStorage, async () => {
    throw new TokenNeeded();
  });
  session.use("pasted");

  await expect(session.renew("pasted")).rejects.toThrow(TokenNeeded);

  expect(session.isKnown).toBe(false);
  expect(sessionStorage.getItem("frontdesk.token")).toBeNull();
});

test("a token in the address is taken out of it at once", () => {
  history.replaceState(null, "", "/?a=1#token=abc%2Fd");

  expect(takeTokenFromAddress(window)).toBe("abc/d");
  expect(location.href).toMatch(/\/\?a=1$/);
  expect(takeTokenFromAddress(window)).toBeNull();
});
