// What a client shows, beside what the server has: in the end they must say the same.

import type { Client } from "../client.ts";
import type { MessageView } from "../state.ts";
import { textOfItem } from "./server/answers.ts";
import type { Person } from "./server/person.ts";
import type { Server } from "./server/server.ts";

/** What a client shows that is not what the server has. */
export function whyNotEqual(
  client: Client,
  server: Server,
  name: string,
  conversations: readonly string[],
): string[] {
  const person = server.person(name);
  const wrongs: string[] = [];
  for (const id of conversations) {
    const view = client.conversation(id).view.get();
    const row = person.conversations.get(id);
    // What failed stays where it was said, beside what the server has.
    const told = view.messages.filter(({ isLocal }) => !isLocal);
    const local = view.messages.filter(({ isLocal }) => isLocal);
    for (const message of local)
      if (message.turn?.state !== "failed") wrongs.push(`“${message.text}” is only here`);
    const expected = row === undefined ? [] : messagesOf(person, id);
    compare(wrongs, `messages of ${id}`, told.map(shown), expected);
    if (row === undefined) continue;
    compare(wrongs, `title of ${id}`, view.title, row.title);
    compare(wrongs, `pin of ${id}`, view.isPinned, row.pinned_at_ms !== undefined);
    if (view.isBusy) wrongs.push(`${id} looks busy`);
  }
  const listed = client.conversations.get().filter(({ isLocal }) => !isLocal);
  compare(
    wrongs,
    "conversations",
    listed.map(({ id, title, isPinned }) => ({ id, title, isPinned })).sort(byId),
    [...person.conversations.values()]
      .map(({ id, title, pinned_at_ms }) => ({ id, title, isPinned: pinned_at_ms !== undefined }))
      .sort(byId),
  );
  compare(
    wrongs,
    "facts",
    client.facts
      .get()
      .map(({ id, words }) => ({ id, words }))
      .sort(byId),
    [...person.facts.values()].map(({ id, words }) => ({ id, words })).sort(byId),
  );
  return wrongs;
}

type Shown = Pick<MessageView, "id" | "role" | "text" | "isPinned" | "rating">;

function shown({ id, role, text, isPinned, rating }: MessageView): Shown {
  return { id, role, text, isPinned, rating };
}

function messagesOf(person: Person, id: string): Shown[] {
  const row = person.conversation(id);
  return person.path(row).flatMap(({ item, pinned, response }): Shown[] => {
    if (item?.type !== "message") return [];
    const role = item.role === "assistant" ? "assistant" : "user";
    const rating = role === "assistant" ? person.feedback.get(response ?? "")?.rating : undefined;
    return [{ id: item.id, role, text: textOfItem(item), isPinned: pinned, rating }];
  });
}

function compare(wrongs: string[], what: string, actual: unknown, expected: unknown): void {
  const [one, other] = [actual, expected].map((value) => JSON.stringify(value) ?? "undefined");
  if (one !== other) wrongs.push(`${what}: shown ${one}, there ${other}`);
}

function byId(one: { readonly id: string }, other: { readonly id: string }): number {
  return one.id < other.id ? -1 : 1;
}
