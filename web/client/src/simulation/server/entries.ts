// What devices push, done entry by entry and each once, as src/frontdesk/sync/push.py does it.

import type { Entry, Item, SyncResult } from "../../wire.ts";
import { type After, type ConversationRow, type Person, Refused } from "./person.ts";

type Of<T extends Entry["type"]> = Extract<Entry, { readonly type: T }>;
type Asking = Of<"message" | "edit" | "answer" | "outputs">;

/** What an entry needs of the server. */
export interface Desk {
  /** Begin an answer in a conversation behind what was put in. Returns its id; refuses where a limit is reached. */
  admit(text: string): string;
  answer(person: Person, row: ConversationRow, response: string, text: string): void;
  /** End an answer of the person's. False where there is none of this id. */
  cancel(person: Person, response: string): boolean;
  /** Whether the person may rate it. */
  isKnown(person: Person, response: string): boolean;
  /** Note what no device should ever have sent. */
  complain(words: string): void;
}

/** What became of the entries of one person. */
export class Entries {
  private readonly done = new Map<string, { readonly sent: string; readonly result: SyncResult }>();
  /** How often each was brought. */
  readonly brought = new Map<string, number>();

  constructor(
    private readonly person: Person,
    private readonly desk: Desk,
  ) {}

  /**
   * Do an entry. `held` are the things of this push that wait, and since when they do; what waits is put in.
   */
  push(raw: unknown, held: Map<string, number | undefined>): SyncResult {
    const wrong = whyUnreadable(raw);
    const entry = raw as Entry;
    if (wrong !== undefined) {
      this.desk.complain(`${wrong}: ${JSON.stringify(raw)}`);
      return {
        id: entry?.id ?? null,
        status: "refused",
        error: new Refused(400, "invalid_value").details(),
      };
    }
    this.brought.set(entry.id, (this.brought.get(entry.id) ?? 0) + 1);
    const thing = thingOf(entry);
    if (held.has(thing)) return waiting(entry.id, held.get(thing));
    try {
      return this.once(entry);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (!error.waits) return { id: entry.id, status: "refused", error: error.details() };
      held.set(thing, error.retry_after_s);
      return { ...waiting(entry.id, error.retry_after_s), error: error.details() };
    }
  }

  private once(entry: Entry): SyncResult {
    const sent = JSON.stringify(entry);
    const before = this.done.get(entry.id);
    if (before !== undefined) {
      if (before.sent !== sent) {
        this.desk.complain(`${entry.id} was sent as ${before.sent}, and then as ${sent}`);
        if (!isSaying(entry)) throw new Refused(422, "idempotency_key_reused");
      }
      return before.result;
    }
    const result = { id: entry.id, status: "done" as const, ...this.do(entry) };
    this.done.set(entry.id, { sent, result });
    return result;
  }

  private do(entry: Entry): Partial<SyncResult> {
    const { person, desk } = this;
    switch (entry.type) {
      case "message":
        return this.say(
          entry,
          person.conversationFor(entry.conversation, entry.after),
          entry.after,
        );
      case "edit": {
        const after = person.itemBefore(entry.conversation, entry.item);
        return this.say(entry, person.conversation(entry.conversation), after);
      }
      case "answer":
        return this.ask(
          person.conversation(entry.conversation),
          entry.after,
          [],
          lastWords(person, entry),
        );
      case "outputs":
        return this.return(entry);
      case "cancel":
        if (!desk.cancel(person, entry.response)) throw new Refused(404, "response_not_found");
        return {};
      case "conversation":
        person.begin(entry.conversation, entry.title, entry.metadata);
        return {};
      case "rename":
        person.change(entry.conversation, { title: entry.title });
        return {};
      case "pin":
        person.change(entry.conversation, { pinned: entry.pinned });
        return {};
      case "choose":
        person.change(entry.conversation, { branch: entry.branch });
        return {};
      case "metadata":
        person.change(entry.conversation, { metadata: entry.metadata });
        return {};
      case "delete":
        if (entry.item == null) person.remove(entry.conversation);
        else person.removeItem(entry.conversation, entry.item);
        return {};
      case "pin_item":
        person.pinItem(entry.conversation, entry.item, entry.pinned);
        return {};
      case "read":
        person.read(entry.conversation, entry.item);
        return {};
      case "feedback":
        this.rate(entry);
        return {};
      case "fact":
        if (entry.words === null) person.forget(entry.fact);
        else person.remember(entry.fact, entry.words);
        return {};
    }
  }

  private say(
    entry: Of<"message" | "edit">,
    row: ConversationRow,
    after: After,
  ): Partial<SyncResult> {
    const id = `msg_${entry.id.replaceAll("-", "")}`;
    const there = row.items.get(id);
    if (there !== undefined) {
      return { item: id, ...(there.response === undefined ? {} : { response: there.response }) };
    }
    const content =
      typeof entry.content === "string"
        ? [{ type: "input_text", text: entry.content }]
        : (entry.content as readonly { type: string; text?: string }[]);
    const text = content.map((part) => ("text" in part ? part.text : "")).join("");
    const item: Item = { type: "message", id, status: "completed", role: "user", content };
    return { item: id, ...this.ask(row, after, [item], text) };
  }

  private return(entry: Of<"outputs">): Partial<SyncResult> {
    const row = this.person.conversation(entry.conversation);
    const first = `fco_${entry.id.replaceAll("-", "")}`;
    const there = row.items.get(first);
    if (there !== undefined) {
      return { item: first, ...(there.response === undefined ? {} : { response: there.response }) };
    }
    if (row.response !== undefined) throw new Refused(409, "conversation_locked", 1);
    const open = new Set<string>();
    const answered = new Set<string>();
    for (const { item } of this.person.path(row, entry.after)) {
      if (item?.type === "function_call") open.add(item.call_id);
      if (item?.type === "function_call_output") {
        open.delete(item.call_id);
        answered.add(item.call_id);
      }
    }
    const items = entry.outputs.map(({ call_id, output }, place): Item => {
      if (!open.delete(call_id))
        throw new Refused(400, answered.has(call_id) ? "call_answered" : "call_not_found");
      const id = place === 0 ? first : `${first}_${place}`;
      return {
        type: "function_call_output",
        id,
        status: "completed",
        call_id,
        output: String(output),
      };
    });
    return { item: first, ...this.ask(row, entry.after, items, "what the tools said") };
  }

  private ask(
    row: ConversationRow,
    after: After,
    items: readonly Item[],
    text: string,
  ): Partial<SyncResult> {
    if (row.response !== undefined) throw new Refused(409, "conversation_locked", 1);
    const response = this.desk.admit(text);
    this.person.enter(row, after, items, response, "accepted");
    this.desk.answer(this.person, row, response, text);
    return { response };
  }

  private rate({ response, rating, reason, comment, correction }: Of<"feedback">): void {
    if (rating === null) {
      this.person.unrate(response);
      return;
    }
    if (!this.desk.isKnown(this.person, response)) throw new Refused(404, "response_not_found");
    this.person.rate(response, {
      rating,
      ...(reason == null ? {} : { reason }),
      ...(comment == null ? {} : { comment }),
      ...(correction == null ? {} : { correction }),
    });
  }
}

/** What an entry is about: what is done to one thing has an order. */
export function thingOf(entry: Entry): string {
  if ("conversation" in entry) return entry.conversation;
  return entry.type === "fact" ? entry.fact : entry.response;
}

function waiting(id: string, retry_after_s: number | undefined): SyncResult {
  return { id, status: "waiting", ...(retry_after_s === undefined ? {} : { retry_after_s }) };
}

function isSaying(entry: Entry): entry is Asking {
  return entry.type === "message" || entry.type === "edit" || entry.type === "outputs";
}

/** What another answer is about: the last words of a person before it. */
function lastWords(person: Person, { conversation, after }: Of<"answer">): string {
  const path = person.path(person.conversation(conversation), after);
  for (const { item } of path.reverse()) {
    if (item?.type !== "message" || item.role !== "user") continue;
    return item.content.map((part) => ("text" in part ? part.text : "")).join("");
  }
  return "";
}

// --- reading --------------------------------------------------------------------------------------

/** The fields of each type of entry, besides its id and type; those with a question mark may be left out. */
const fields: Readonly<Record<Entry["type"], readonly string[]>> = {
  conversation: ["conversation", "title?", "metadata?"],
  message: ["content", "after?", ...asksOf()],
  answer: ["after?", ...asksOf()],
  outputs: ["outputs", "after?", ...asksOf()],
  edit: ["item", "content", ...asksOf()],
  cancel: ["response"],
  rename: ["conversation", "title"],
  pin: ["conversation", "pinned"],
  choose: ["conversation", "branch"],
  metadata: ["conversation", "metadata"],
  delete: ["conversation", "item?"],
  pin_item: ["conversation", "item", "pinned"],
  read: ["conversation", "item"],
  feedback: ["response", "rating", "reason?", "comment?", "correction?"],
  fact: ["fact", "words"],
};
const patterns: Readonly<Record<string, RegExp>> = {
  id: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
  conversation: /^[a-zA-Z0-9_-]{1,128}$/,
  item: /^[a-zA-Z0-9_-]{1,128}$/,
  response: /^[a-zA-Z0-9_-]{1,128}$/,
  fact: /^fact_[0-9a-f]{32}$/,
};

function asksOf(): string[] {
  return ["conversation", "feature?", "request?"];
}

/** Why an entry cannot be read, if it cannot. */
function whyUnreadable(raw: unknown): string | undefined {
  if (typeof raw !== "object" || raw === null) return "no object";
  const entry = raw as Readonly<Record<string, unknown>>;
  const known = fields[String(entry.type) as Entry["type"]];
  if (known === undefined) return "no type";
  const names = new Set(["id", "type", ...known.map((name) => name.replace("?", ""))]);
  for (const name of Object.keys(entry)) if (!names.has(name)) return `unknown ${name}`;
  for (const name of known)
    if (!name.endsWith("?") && entry[name] === undefined) return `without ${name}`;
  for (const [name, pattern] of Object.entries(patterns)) {
    const value = entry[name];
    if (names.has(name) && value != null && !pattern.test(String(value))) return `wrong ${name}`;
  }
  return typeof entry.id === "string" ? undefined : "without id";
}
