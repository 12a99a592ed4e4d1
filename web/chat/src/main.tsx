// The start of the page: what it is made of, and what it hears from the browser.

import "@frontdesk/ui/tokens.css";
import "@frontdesk/ui/base.css";
import "@frontdesk/ui/controls.css";
import "./styles/frame.css";
import "./styles/conversation.css";
import "./styles/prose.css";
import "./styles/composer.css";
import { render } from "preact";
import { App } from "./app/app.tsx";
import { followKeyboard } from "./app/keyboard-inset.ts";
import { storageOf } from "./app/storage.ts";
import { Draft } from "./composer/draft.ts";
import { Chat } from "./conversation/chat.ts";
import { openDeviceStore } from "./conversation/device-store.ts";
import { fetchRenderer } from "./markdown/markdown.tsx";
import { Client } from "./server/client.ts";
import { takeTokenFromAddress } from "./server/session.ts";
import { Announcer } from "./status/announcer.ts";
import { speak } from "./words.ts";

/** No event tells that a server is back. */
const lookAgain_ms = 5_000;

const client = new Client((...request) => fetch(...request), storageOf("sessionStorage"));
const announcer = new Announcer();
const chat = new Chat(client, announcer.follow, {
  now: Date.now,
  isOnline: () => navigator.onLine,
});

const token = takeTokenFromAddress(window);
if (token) client.session.use(token);

followKeyboard(window);
addEventListener("online", () => chat.connect());
addEventListener("offline", () => chat.connect());
addEventListener("pagehide", () => chat.leave());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") chat.pause();
  else if (chat.reach.value !== "ready") void chat.connect();
});
setInterval(() => {
  if (chat.reach.value === "unreachable") void chat.connect();
}, lookAgain_ms);

await speak(navigator.languages, document.documentElement);
const place = document.getElementById("app");
if (place)
  render(
    <App chat={chat} draft={new Draft(storageOf("localStorage"))} announcer={announcer} />,
    place,
  );
const renderer = fetchRenderer();
const store = await openDeviceStore(window.indexedDB ?? null);
// What was said before is drawn once, as it stays.
if ((await store.list()).length > 0) await renderer;
await chat.load(store);
await chat.connect();
