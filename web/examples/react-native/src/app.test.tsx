import type { Tool } from "@frontdesk/client";
import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makePhone, type Phone } from "../testing/phone.ts";
import { App } from "./app.tsx";

let host: HTMLElement;
let root: Root;
let phone: Phone;

beforeEach(() => {
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
  phone = makePhone(1);
  host = document.body.appendChild(document.createElement("div"));
});

afterEach(async () => {
  await act(async () => root.unmount());
  phone.kill();
  host.remove();
});

async function launch(tools: readonly Tool[] = []) {
  root = createRoot(host);
  await act(async () => root.render(<App client={phone.launch(tools)} />));
  await pass(1000);
}

async function relaunch(tools: readonly Tool[] = []) {
  phone.kill();
  await act(async () => root.unmount());
  await launch(tools);
}

async function pass(duration_ms: number) {
  await act(() => phone.pass(duration_ms));
}

async function press(words: string) {
  const button = [...host.querySelectorAll("button")].find((each) =>
    each.textContent?.startsWith(words),
  );
  if (button === undefined) throw new Error(`There is no ${words}: ${host.textContent}`);
  await act(async () => button.click());
  await pass(100);
}

async function say(words: string) {
  const input = host.querySelector("textarea");
  await act(async () => {
    const setter = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value")?.set;
    setter?.call(input, words);
    input?.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await press("Send");
}

async function shows(words: string | RegExp, within_ms = 20_000) {
  for (let passed_ms = 0; passed_ms < within_ms; passed_ms += 250) {
    if (host.textContent?.match(words)) return true;
    await pass(250);
  }
  return `There is only: ${host.textContent}`;
}

const lookAround: Tool = {
  name: "look",
  description: "Look around.",
  parameters: { type: "object" },
  needs: "approval",
  title: () => "look around",
  run: () => "A desk, and a bell on it.",
};

describe("the app", () => {
  test("shows that nothing was said yet", async () => {
    await launch();

    expect(host.textContent).toBe("ConversationsNewNothing was said yet.");
  });

  test("sends what is said and shows the answer as it comes", async () => {
    await launch();

    await press("New");
    await say("Hello desk");

    // The newest is the first in an inverted list.
    expect(await shows(/So.*Hello desk/)).toBe(true);
  });

  test("keeps what is said offline over the end of the app, and sends it when there is a network", async () => {
    await launch();
    phone.device.setOnline(false);
    await pass(100);
    await press("New");
    await say("Hello later");
    const offline = host.textContent;

    await relaunch();
    await press("New conversation");
    const afterwards = host.textContent;
    phone.device.setOnline(true);

    expect([offline, afterwards]).toEqual([
      expect.stringContaining("Hello laterKept on this phone."),
      expect.stringContaining("Hello laterKept on this phone."),
    ]);
    expect(await shows(/So.*Hello later/)).toBe(true);
  });

  test("takes back what was not sent", async () => {
    await launch();
    phone.device.setOnline(false);
    await pass(100);
    await press("New");
    await say("Never mind");

    await press("Take back");

    expect([await shows("Ask something."), host.textContent?.includes("Never mind")]).toEqual([
      true,
      false,
    ]);
  });

  test("says in words that an answer failed, and what can be done", async () => {
    await launch();

    await press("New");
    await say("Hello (fails)");

    expect(await shows(/Try again/)).toBe(true);
  });

  test("asks before something is done on the phone, and does it once when that is allowed", async () => {
    let runs = 0;
    const counted: Tool = {
      ...lookAround,
      run() {
        runs += 1;
        return "A desk, and a bell on it.";
      },
    };
    await launch([counted]);
    await press("New");
    await say("Look (tool)");
    const asks = await shows("May this be done on your phone: look around?");
    const before = runs;

    await press("Allow");
    await pass(5000);

    expect([asks, before, runs, host.textContent?.includes("May this be done")]).toEqual([
      true,
      0,
      1,
      false,
    ]);
  });

  test("asks again after the app was closed before it was allowed", async () => {
    await launch([lookAround]);
    await press("New");
    await say("Look (tool)");
    await shows("May this be done");

    await relaunch([lookAround]);
    await press("New conversation");

    expect(await shows("May this be done on your phone: look around?")).toBe(true);
  });
});
