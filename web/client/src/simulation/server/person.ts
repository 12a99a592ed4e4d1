// What a person has, and what can be done to it in one transaction, as src/frontdesk/conversations and its neighbours do
// it. What is refused throws Refused, and nothing has changed then.

import type {
  Branch,
  Change,
  ConversationTold,
  ErrorDetails,
  FactTold,
  FeedbackTold,
  Item,
} from "../../wire.ts";
import { Changes, type Noted } from "./changes.ts";
import { type Place, type Spot, Tree } from "./tree.ts";

/** Why something is not done. With `waits` it may be done later. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly retry_after_s?: number,
    readonly waits = retry_after_s !== undefined,
  ) {
    super(code);
  }

  details(): ErrorDetails {
    return {
      message: `No: ${this.code}.`,
      type: "invalid_request_error",
      param: null,
      code: this.code,
    };
  }
}

export interface ItemRow extends Place {
  readonly id: string;
  readonly response: string | undefined;
  readonly created_at_ms: number;
  /** The order in which the server was told all items of all conversations. */
  readonly age: number;
  pinned: boolean;
  /** Undefined once it was deleted. */
  item: Item | undefined;
}

export interface ConversationRow {
  readonly id: string;
  readonly created_at_ms: number;
  readonly items: Map<string, ItemRow>;
  title: string | undefined;
  metadata: Readonly<Record<string, string>>;
  branch: number;
  branches: Branch[];
  version: number;
  /** What is being made in it. */
  response: string | undefined;
  changed_at_ms: number;
  pinned_at_ms: number | undefined;
  read_item: string | undefined;
}

/** Where items go: at the end (undefined), at the beginning (null), or behind an item. */
export type After = string | null | undefined;

export class Person {
  readonly changes: Changes;
  readonly conversations = new Map<string, ConversationRow>();
  readonly feedback = new Map<string, FeedbackTold>();
  readonly facts = new Map<string, FactTold>();
  private age = 0;

  constructor(
    epoch: string,
    private readonly now_ms: () => number,
    /** Called behind each commit. */
    moved: () => void,
  ) {
    this.changes = new Changes(epoch, (thing) => this.told(thing), moved);
  }

  // --- conversations ------------------------------------------------------------------------------

  conversation(id: string): ConversationRow {
    const row = this.conversations.get(id);
    if (row === undefined) throw new Refused(404, "conversation_not_found");
    return row;
  }

  /** The conversation of a message, which may begin with it. */
  conversationFor(id: string, after: After): ConversationRow {
    if (typeof after === "string" && !this.conversations.has(id))
      throw new Refused(404, "item_not_found");
    return this.conversationOrNew(id);
  }

  private conversationOrNew(id: string): ConversationRow {
    const row = this.conversations.get(id);
    if (row !== undefined) return row;
    const isDevices = /^conv_[0-9a-f]{32}$/.test(id);
    if (!isDevices || this.changes.wasDeleted({ kind: "conversation", conversation: id, id: "" }))
      throw new Refused(404, "conversation_not_found");
    return this.newRow(id);
  }

  begin(
    id: string,
    title: string | null | undefined,
    metadata: Readonly<Record<string, string>> | null | undefined,
  ): void {
    if (this.conversations.has(id)) return;
    const row = this.conversationOrNew(id);
    row.title = title ?? undefined;
    row.metadata = metadata ?? {};
    this.conversations.set(id, row);
    this.changes.note(conversationOf(row));
  }

  change(
    id: string,
    changes: {
      readonly title?: string | null;
      readonly pinned?: boolean;
      readonly branch?: number;
      readonly metadata?: Readonly<Record<string, string>> | null;
    },
  ): void {
    const row = this.conversation(id);
    const { branch } = changes;
    if (branch !== undefined && branch !== row.branch) {
      if (row.response !== undefined) throw new Refused(409, "conversation_locked", 1);
      if (branch >= row.branches.length) throw new Refused(400, "invalid_value");
      row.branch = branch;
      this.touch(row);
    }
    if (changes.title !== undefined) row.title = changes.title ?? undefined;
    if (changes.pinned !== undefined && changes.pinned !== (row.pinned_at_ms !== undefined))
      row.pinned_at_ms = changes.pinned ? this.now_ms() : undefined;
    if (changes.metadata !== undefined) row.metadata = changes.metadata ?? {};
    this.changes.note(conversationOf(row));
  }

  remove(id: string): void {
    if (!this.conversations.delete(id)) return;
    this.changes.note({ kind: "conversation", conversation: id, id: "", isDeleted: true });
  }

  removeItem(conversation: string, id: string): void {
    const row = this.conversations.get(conversation);
    const item = row?.items.get(id);
    if (row === undefined || item?.item === undefined) return;
    item.item = undefined;
    this.touch(row);
    this.changes.note({ kind: "item", conversation, id, isDeleted: true }, conversationOf(row));
  }

  read(conversation: string, id: string): void {
    const row = this.conversation(conversation);
    const item = row.items.get(id);
    if (item === undefined) throw new Refused(404, "item_not_found");
    const before = row.read_item === undefined ? undefined : row.items.get(row.read_item);
    if (before !== undefined && !isLater(item, before)) return;
    row.read_item = id;
    const states: Noted[] = [];
    const all = [...row.items.values()];
    for (const response of new Set(all.map((each) => each.response))) {
      if (response === undefined || this.changes.stateOf(conversation, response) !== "answered")
        continue;
      const isWhole = all.every((each) => each.response !== response || !isBehind(each, item));
      if (isWhole) states.push({ kind: "turn", conversation, id: response, state: "read" });
    }
    this.changes.note(...states, conversationOf(row));
  }

  pinItem(conversation: string, id: string, pinned: boolean): void {
    const row = this.conversation(conversation);
    const item = row.items.get(id);
    if (item?.item === undefined) throw new Refused(404, "item_not_found");
    item.pinned = pinned;
    this.changes.note({ kind: "item", conversation, id }, conversationOf(row));
  }

  // --- turns --------------------------------------------------------------------------------------

  /** Put the input of a turn in, and hold the conversation until it leaves. */
  enter(
    row: ConversationRow,
    after: After,
    items: readonly Item[],
    response: string,
    state: string,
  ): void {
    if (row.response !== undefined) throw new Refused(409, "conversation_locked", 1);
    const spot = this.spot(row, after);
    for (const { id } of items) if (row.items.has(id)) throw new Refused(400, "item_exists");
    this.conversations.set(row.id, row);
    const noted = this.put(row, spot, items, response);
    row.response = response;
    this.touch(row);
    const turn: Noted = { kind: "turn", conversation: row.id, id: response, state };
    this.changes.note(...noted, conversationOf(row), turn);
  }

  /** How far a turn is that holds its conversation. */
  turnIs(conversation: string, response: string, state: string): void {
    if (this.conversations.get(conversation)?.response === response)
      this.changes.note({ kind: "turn", conversation, id: response, state });
  }

  /** Put an answer behind its input, and hold the conversation no longer; nothing where that was deleted meanwhile. */
  leave(conversation: string, response: string, items: readonly Item[], state: string): void {
    const row = this.conversations.get(conversation);
    if (row?.response !== response) return;
    const noted = this.put(row, this.tree(row).endOf(row.branch), items, response);
    row.response = undefined;
    this.touch(row);
    const turn: Noted = { kind: "turn", conversation, id: response, state };
    this.changes.note(...noted, conversationOf(row), turn);
  }

  /** The item before one; null where it is the first. */
  itemBefore(conversation: string, id: string): string | null {
    const row = this.conversation(conversation);
    const item = row.items.get(id);
    if (item?.item === undefined) throw new Refused(404, "item_not_found");
    const place = this.tree(row).before(item);
    return place === undefined ? null : (itemAt(row, place)?.id ?? null);
  }

  /** The items along a branch, or up to an item. */
  path(row: ConversationRow, after?: After): ItemRow[] {
    if (after === null) return [];
    const item = after === undefined ? undefined : row.items.get(after);
    if (after !== undefined && item?.item === undefined) throw new Refused(404, "item_not_found");
    const path = this.tree(row).path(item?.branch ?? row.branch);
    const items = path.map((place) => itemAt(row, place)).filter((each) => each !== undefined);
    return item === undefined ? items : items.slice(0, items.indexOf(item) + 1);
  }

  tree(row: ConversationRow): Tree {
    const deleted = [...row.items.values()].filter((item) => item.item === undefined);
    return new Tree(row.branches, (place) =>
      deleted.some((each) => each.branch === place.branch && each.position === place.position),
    );
  }

  private spot(row: ConversationRow, after: After): Spot {
    const tree = this.tree(row);
    if (after === undefined) return tree.endOf(row.branch);
    if (after === null) return tree.spotBehind(undefined, row.branch);
    const item = row.items.get(after);
    if (item?.item === undefined) throw new Refused(404, "item_not_found");
    return tree.spotBehind(item, row.branch);
  }

  private put(
    row: ConversationRow,
    { branch, isNew }: Spot,
    items: readonly Item[],
    response: string,
  ): Noted[] {
    const now_ms = this.now_ms();
    items.forEach((item, number) => {
      this.age += 1;
      row.items.set(item.id, {
        id: item.id,
        branch: branch.number,
        position: branch.length + number,
        response,
        created_at_ms: now_ms,
        age: this.age,
        pinned: false,
        item,
      });
    });
    const grown = { ...branch, length: branch.length + items.length };
    if (isNew) row.branches.push(grown);
    else row.branches[branch.number] = grown;
    row.branch = branch.number;
    return items.map(({ id }) => ({ kind: "item", conversation: row.id, id }));
  }

  // --- feedback and facts -------------------------------------------------------------------------

  rate(
    response: string,
    said: Omit<FeedbackTold, "type" | "response" | "id" | "created_at" | "changed_at">,
  ): void {
    const at = this.seconds();
    const before = this.feedback.get(response);
    this.feedback.set(response, {
      type: "feedback",
      response,
      id: `fb_${response}`,
      ...said,
      created_at: before?.created_at ?? at,
      changed_at: at,
    });
    this.changes.note({ kind: "feedback", conversation: "", id: response });
  }

  unrate(response: string): void {
    if (this.feedback.delete(response))
      this.changes.note({ kind: "feedback", conversation: "", id: response, isDeleted: true });
  }

  remember(id: string, words: string): void {
    const at = this.seconds();
    const created_at = this.facts.get(id)?.created_at ?? at;
    this.facts.set(id, { type: "fact", id, words, created_at, changed_at: at });
    this.changes.note({ kind: "fact", conversation: "", id });
  }

  forget(id: string): void {
    if (this.facts.delete(id))
      this.changes.note({ kind: "fact", conversation: "", id, isDeleted: true });
  }

  // --- told ---------------------------------------------------------------------------------------

  private told({ kind, conversation, id, state = "" }: Noted): Change | undefined {
    const row = this.conversations.get(conversation);
    switch (kind) {
      case "conversation":
        return row && conversationTold(row);
      case "item": {
        const item = row?.items.get(id);
        return item?.item && itemTold(conversation, item, item.item);
      }
      case "turn":
        return { type: "turn", conversation, id, ...stateTold(state) };
      case "feedback":
        return this.feedback.get(id);
      case "fact":
        return this.facts.get(id);
    }
  }

  private newRow(id: string): ConversationRow {
    const now_ms = this.now_ms();
    return {
      id,
      created_at_ms: now_ms,
      items: new Map(),
      title: undefined,
      metadata: {},
      branch: 0,
      branches: [{ number: 0, parent: null, fork: 0, length: 0 }],
      version: 0,
      response: undefined,
      changed_at_ms: now_ms,
      pinned_at_ms: undefined,
      read_item: undefined,
    };
  }

  private touch(row: ConversationRow): void {
    row.version += 1;
    row.changed_at_ms = this.now_ms();
  }

  private seconds(): number {
    return Math.floor(this.now_ms() / 1000);
  }
}

function conversationOf(row: ConversationRow): Noted {
  return { kind: "conversation", conversation: row.id, id: "" };
}

function conversationTold(row: ConversationRow): ConversationTold {
  return {
    type: "conversation",
    id: row.id,
    ...(row.title === undefined ? {} : { title: row.title }),
    ...(Object.keys(row.metadata).length === 0 ? {} : { metadata: row.metadata }),
    branch: row.branch,
    ...(row.branches.length < 2 ? {} : { branches: [...row.branches] }),
    version: row.version,
    ...(row.response === undefined ? {} : { response: row.response }),
    created_at: Math.floor(row.created_at_ms / 1000),
    changed_at: Math.floor(row.changed_at_ms / 1000),
    ...(row.pinned_at_ms === undefined ? {} : { pinned_at: Math.floor(row.pinned_at_ms / 1000) }),
    ...(row.read_item === undefined ? {} : { read_item: row.read_item }),
  };
}

function itemTold(conversation: string, row: ItemRow, item: Item): Change {
  return {
    type: "item",
    conversation,
    id: row.id,
    branch: row.branch,
    position: row.position,
    ...(row.response === undefined ? {} : { response: row.response }),
    created_at: Math.floor(row.created_at_ms / 1000),
    ...(row.pinned ? { pinned: true as const } : {}),
    item,
  };
}

function stateTold(text: string) {
  const [state = "", code] = text.split(":");
  return {
    state: state as "accepted" | "answering" | "answered" | "failed" | "read",
    ...(code ? { code } : {}),
  };
}

function itemAt(row: ConversationRow, { branch, position }: Place): ItemRow | undefined {
  for (const item of row.items.values())
    if (item.branch === branch && item.position === position) return item;
  return undefined;
}

/** Whether one was put in later than the other; a mark goes forward only. */
function isLater(one: ItemRow, other: ItemRow): boolean {
  return (
    compare(
      [one.created_at_ms, one.position, one.branch],
      [other.created_at_ms, other.position, other.branch],
    ) > 0
  );
}

function isBehind(one: ItemRow, other: ItemRow): boolean {
  return compare([one.created_at_ms, one.position], [other.created_at_ms, other.position]) > 0;
}

function compare(one: readonly number[], other: readonly number[]): number {
  const place = one.findIndex((value, at) => value !== other[at]);
  return place < 0 ? 0 : (one[place] ?? 0) - (other[place] ?? 0);
}
