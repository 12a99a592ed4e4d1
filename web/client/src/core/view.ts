// What a person sees of their conversations: what the server told, with what was done here and has not got there yet
// laid over it. Optimism is nothing but that: when an entry goes, so does what it changed.
//
// A view is made in steps, of which each is remembered as long as what it is made of is the same: what one record says; the way
// through the conversation, by its items and what was done here; what is seen of each of these, by turns and all else that is known
// of it; and with each word of an answer, the exchange that it is said in.

import type {
  Answer,
  Call,
  ConversationSummary,
  ConversationView,
  Kept,
  MessageView,
  TurnState,
} from "../state.ts";
import type { ConversationTold, FeedbackTold, Item, ItemTold } from "../wire.ts";

import { LOCAL_BRANCH, makeTree, type Sibling } from "./branches.ts";
import type { Shelf } from "./held.ts";
import { isAsking, isUnsent, itemOf } from "./outbox.ts";
import { textOf, thoughtsOf } from "./said.ts";
import { turnView } from "./turn.ts";
import { grouped, joined, type Memo, memo, shared } from "./values.ts";

export interface ConversationGiven {
  readonly id: string;
  readonly shelf: Shelf;
  /** Those of the outbox, in the order of their ids; of other things as well. */
  readonly entries: readonly Kept[];
  /** By response. */
  readonly feedback: ReadonlyMap<string, FeedbackTold>;
  readonly status: ConversationView["status"];
  /** What a call wants to do, in the words of its tool. */
  titleOf(call: Call): string;
}

export interface SummariesGiven {
  readonly conversations: ReadonlyMap<string, ConversationTold>;
  readonly entries: readonly Kept[];
  /** Those with a turn that is answered and not read. */
  readonly unread: Pick<ReadonlySet<string>, "has">;
  /** Those with an answer that is being made, as far as its turn or its stream says. */
  readonly busy: ReadonlySet<string>;
}

/** What one record says: read once, however often it is seen. */
interface Row
  extends Pick<
    MessageView,
    "id" | "text" | "content" | "thoughts" | "at_ms" | "response" | "isPinned" | "siblings"
  > {
  /** Whose message it is, or what else; undefined of what is too large to be told with the others. */
  readonly role: string | undefined;
  readonly isTold: boolean;
  readonly kept: Kept | undefined;
  readonly seen: Memo<MessageView>;
}

/** What a person said, and all that follows on it up to where they say something again. */
interface Exchange {
  readonly rows: readonly Row[];
  /** What asks for an answer behind it, and is no message itself. */
  readonly asked: Kept | undefined;
  /** The response that is being made behind all that was told, where nothing else says which one that is. */
  readonly making: string | undefined;
  /** Whether an answer may go on here: where something is told behind it, something else was answered there. */
  readonly isEnd: boolean;
}

interface Way {
  readonly exchanges: readonly Exchange[];
  /** Of what stands beside others. */
  readonly siblings: ReadonlyMap<string, readonly Sibling[]>;
  readonly isPartial: boolean;
}

/** An exchange, and what is seen of it. */
interface Seen {
  readonly rows: readonly Row[];
  readonly messages: readonly MessageView[];
  readonly isBusy: boolean;
}

/** All but what is being said. */
interface Standing extends Way {
  readonly seen: readonly Seen[];
  readonly summary: ConversationSummary & { readonly isGone: boolean };
  /** See an exchange with what these answers have to add. */
  see(exchange: Exchange, answers: readonly Answer[]): Seen;
}

const SETTLED: readonly TurnState[] = ["done", "failed", "cancelled", "asking"];

/**
 * Begin with the view of a conversation. The function that comes back is called with all that is known whenever any of it
 * changed; it remembers what it said last, and says the same object where that is the same.
 *
 * What is given has to be replaced where it changes, never changed itself. A word of an answer costs what the exchange of
 * it does, and a copy of the list of messages.
 */
export function makeConversationView(): (given: ConversationGiven) => ConversationView {
  let last: ConversationView | undefined;
  const way = memo<Way>();
  const standing = memo<Standing>();
  const callsBy = memo<ReadonlyMap<string, readonly Call[]>>();
  const rows = new WeakMap<object, Row>();
  const rowOf: RowOf = (record, response) => {
    const row = rows.get(record) ?? rowFor(record, response);
    rows.set(record, row);
    return row;
  };
  return (given) => {
    const { id, shelf, entries, feedback, status, titleOf } = given;
    const { conversation, items, turns, answers, calls } = shelf;
    const stood = standing([id, conversation, items, turns, calls, entries, feedback], () => {
      const own = entries.filter((kept) => conversationOf(kept) === id);
      const its = way([conversation, items, ...own], () => wayOf(shelf, own, rowOf));
      const known: Known = {
        ...overlaid(entries),
        turns,
        feedback,
        calls: callsBy([calls], () => grouped(calls.values(), ({ response }) => response)),
        siblings: its.siblings,
      };
      const see: Standing["see"] = (exchange, answers) => {
        const end = { ...exchange, rows: exchange.rows.slice(-1) };
        const added = answers
          .filter((answer) => exchange.isEnd && isOf(end, answer))
          .flatMap(({ output, response }) =>
            output.filter((said) => !items.has(said.id)).map((said) => rowOf(said, response)),
          );
        const rows = added.length ? [...exchange.rows, ...added] : exchange.rows;
        const messages = messagesOf(rows, exchange, answers, known);
        const isBusy = messages.some(({ turn }) => turn && !SETTLED.includes(turn.state));
        return { rows, messages, isBusy };
      };
      let isUnread = false;
      for (const { state } of turns.values()) isUnread ||= state === "answered";
      return {
        ...its,
        seen: its.exchanges.map((exchange) => see(exchange, [])),
        summary: summaryOf(id, conversation, own, false, isUnread),
        see,
      };
    });
    const { exchanges, isPartial, see } = stood;
    const { isGone, ...summary } = stood.summary;
    const seen = [...stood.seen];
    const placeOf = (answer: Answer) => exchanges.findLastIndex((each) => isOf(each, answer));
    for (const [at, its] of grouped(answers.values(), placeOf)) {
      const exchange = exchanges[at];
      if (exchange) seen[at] = see(exchange, its);
    }
    const messages = ([] as MessageView[]).concat(
      ...(isGone ? [] : seen.map((each) => each.messages)),
    );
    const asked = conversation?.follow_ups;
    const isHere = (response: string) =>
      seen.some((each) => each.rows.some((row) => row.response === response));
    last = shared<ConversationView>(last, {
      ...summary,
      isBusy: summary.isBusy || seen.some(({ isBusy }) => isBusy),
      status: isGone ? "gone" : status === "ready" && isPartial ? "partial" : status,
      messages,
      calls: [...calls.values()]
        .filter(({ response }) => !isGone && isHere(response))
        .map((call) => ({ ...call, title: titleOf(call) })),
      turn: messages.findLast(({ turn }) => turn)?.turn,
      followUps:
        asked && asked.response === seen.at(-1)?.rows.at(-1)?.response ? asked.questions : [],
    });
    return last;
  };
}

/**
 * Begin with the list of all conversations: pinned ones first, then those that changed last. As with a conversation's view, what
 * has not changed is the same object, the list included.
 */
export function makeSummaries(): (given: SummariesGiven) => readonly ConversationSummary[] {
  let last: readonly ConversationSummary[] = [];
  return ({ conversations, entries, unread, busy }) => {
    const queues = grouped(entries, conversationOf);
    const ids = new Set([...conversations.keys(), ...queues.keys()]);
    const found = [...ids].flatMap((id = "") => {
      const queue = queues.get(id) ?? [];
      const told = conversations.get(id);
      const { isGone, ...summary } = summaryOf(id, told, queue, busy.has(id), unread.has(id));
      return isGone || !(told || queue.some(isBeginning)) ? [] : summary;
    });
    last = shared(last, found.sort(byPlace));
    return last;
  };
}

function byPlace(one: ConversationSummary, other: ConversationSummary): number {
  const byPin = Number(other.isPinned) - Number(one.isPinned);
  return byPin || other.changedAt_ms - one.changedAt_ms || (one.id < other.id ? 1 : -1);
}

// --- what was done here --------------------------------------------------------------------------------

function conversationOf({ entry }: Kept): string | undefined {
  return "conversation" in entry ? entry.conversation : undefined;
}

/** Say whether something still comes, or has come, of an entry. */
function isLive({ status }: Kept): boolean {
  return status !== "refused" && status !== "expired";
}

/** Say whether an entry is of the kind that a conversation can begin with. */
function isBeginning({ entry }: Kept): boolean {
  return entry.type === "conversation" || entry.type === "message";
}

function summaryOf(
  id: string,
  told: ConversationTold | undefined,
  entries: readonly Kept[],
  isBusy: boolean,
  isUnread: boolean,
): ConversationSummary & { readonly isGone: boolean } {
  const summary = {
    id,
    title: told?.title,
    changedAt_ms: (told?.changed_at ?? 0) * 1000,
    isPinned: told?.pinned_at !== undefined,
    isBusy: isBusy || told?.response !== undefined,
    isUnread,
    isLocal: !told,
    isGone: false,
  };
  for (const kept of entries) {
    const { entry } = kept;
    // What is said behind its deletion is somebody's words all the same.
    if (!told && isBeginning(kept)) summary.isGone = false;
    if (!isLive(kept)) continue;
    if (isAsking(entry) || !told) summary.changedAt_ms = Math.max(summary.changedAt_ms, kept.at_ms);
    if (isAsking(entry) && isUnsent(kept)) summary.isBusy = true;
    if (entry.type === "rename") summary.title = entry.title ?? undefined;
    if (entry.type === "conversation" && !told) summary.title = entry.title ?? undefined;
    if (entry.type === "pin") summary.isPinned = entry.pinned;
    if (entry.type === "read") summary.isUnread = false;
    if (entry.type === "delete" && !entry.item) summary.isGone = true;
  }
  return summary;
}

// --- the way ----------------------------------------------------------------------------------------------

type Record = ItemTold | Kept | Item;
/** Give the row of a record; an item of an answer's is with its response. */
type RowOf = (record: Record, response?: string) => Row;

function rowFor(record: Record, ofAnswer: string | undefined): Row {
  const kept = "entry" in record ? record : undefined;
  const told = "position" in record ? record : undefined;
  const said = kept ? saidBy(kept) : told ? told.item : (record as Item);
  const id = told?.id ?? said?.id ?? "";
  const isMessage = said?.type === "message";
  return {
    id,
    role: isMessage ? said.role : said?.type,
    text: said ? textOf(said) : "",
    content: isMessage ? said.content : [],
    thoughts: said ? thoughtsOf(said) : "",
    at_ms: kept ? kept.at_ms : told && told.created_at * 1000,
    response: (kept ?? told)?.response ?? ofAnswer,
    isPinned: told?.pinned ?? false,
    siblings: [{ item: id, branch: told?.branch ?? LOCAL_BRANCH }],
    isTold: !!told,
    kept,
    seen: memo(),
  };
}

function saidBy({ entry }: Kept): Item {
  const given = "content" in entry ? entry.content : [];
  const content = typeof given === "string" ? [{ type: "input_text", text: given }] : given;
  return { type: "message", id: itemOf(entry), role: "user", content } as unknown as Item;
}

/** Go the way that the server told, and on by what was done here. */
function wayOf({ conversation, items }: Shelf, entries: readonly Kept[], rowOf: RowOf): Way {
  const tree = makeTree(conversation, items);
  const asked = new Map<string, Kept>();
  // What failed keeps its place, and nothing comes of it: behind which item each stands.
  const failed: [row: Row, behind: string | undefined][] = [];
  let branch = conversation?.branch ?? 0;
  for (const kept of entries) {
    const { entry, response } = kept;
    const isOn = isLive(kept);
    if (isAsking(entry)) {
      const id = itemOf(entry);
      const isIts = (told: ItemTold) => told.response === response;
      if (id ? items.has(id) : response && [...items.values()].some(isIts)) continue;
      if (isOn && entry.type === "edit") branch = tree.beside(entry.item, branch);
      else if (isOn && "after" in entry) branch = tree.behind(entry.after, branch);
      const behind = tree.path(branch).at(-1)?.id;
      if (id && isOn) tree.say(id, branch, kept);
      else if (id) failed.push([rowOf(kept), behind]);
      else if (behind) asked.set(behind, kept);
    } else if (isOn && entry.type === "choose") branch = entry.branch;
    else if (isOn && entry.type === "delete" && entry.item) tree.remove(entry.item);
  }
  const rows = tree.path(branch).map((place) => rowOf("kept" in place ? place.kept : place));
  for (const [row, behind] of failed.reverse()) {
    const at = rows.findLastIndex(({ id }) => id === behind);
    rows.splice(behind === undefined || at >= 0 ? at + 1 : rows.length, 0, row);
  }
  const stretches: Row[][] = [];
  for (const row of rows) {
    const stretch = stretches.at(-1);
    if (stretch && row.role !== "user") stretch.push(row);
    else stretches.push([row]);
  }
  const exchanges = stretches.map((stretch, at) => ({
    rows: stretch,
    asked: asked.get(stretch.at(-1)?.id ?? ""),
    making: undefined as string | undefined,
    isEnd: !stretches[at + 1]?.[0]?.isTold,
  }));
  const latest = exchanges.findLast((each) => each.rows.at(-1)?.isTold);
  const { response } = conversation ?? {};
  if (latest && response && !exchanges.some((each) => isOf(each, { response })))
    latest.making = response;
  return {
    exchanges,
    siblings: tree.siblings(),
    isPartial: rows.some(({ isTold, role }) => isTold && !role),
  };
}

/** Say whether an answer is behind something of an exchange. */
function isOf(
  { rows, asked, making }: Exchange,
  { response, to }: Pick<Answer, "response" | "to">,
): boolean {
  return (
    making === response ||
    asked?.response === response ||
    rows.some((row) => row.response === response || row.id === to)
  );
}

// --- messages -----------------------------------------------------------------------------------------------

/** The last words that were said here on messages and responses. */
interface Overlay {
  readonly pins: Map<string, boolean>;
  readonly ratings: Map<string, { readonly rating: "up" | "down" | null }>;
  readonly unwanted: Set<string>;
}

function overlaid(entries: readonly Kept[]): Overlay {
  const over: Overlay = { pins: new Map(), ratings: new Map(), unwanted: new Set() };
  for (const { entry } of entries.filter(isLive)) {
    if (entry.type === "pin_item") over.pins.set(entry.item, entry.pinned);
    if (entry.type === "feedback") over.ratings.set(entry.response, entry);
    if (entry.type === "cancel") over.unwanted.add(entry.response);
  }
  return over;
}

interface Known
  extends Overlay,
    Pick<Shelf, "turns">,
    Pick<ConversationGiven, "feedback">,
    Pick<Way, "siblings"> {
  /** By response. */
  readonly calls: ReadonlyMap<string, readonly Call[]>;
}

function messagesOf(
  rows: readonly Row[],
  { asked, making }: Exchange,
  answers: readonly Answer[],
  known: Known,
): MessageView[] {
  let thoughts: Row[] = [];
  const messages: MessageView[] = [];
  rows.forEach((row, at) => {
    const { id, role, kept, text, content, at_ms } = row;
    if (role === "reasoning") {
      if (thoughts[0]?.response !== row.response) thoughts = [];
      thoughts.push(row);
      // Of an answer that is being made the thoughts are seen before its first word.
      if (row.isTold || rows[at + 1]?.response === row.response) return;
    } else if (role !== "user" && role !== "assistant") return;
    const isUser = role === "user";
    // What answers a person is what follows. An answer that came since counts more than one that failed; where nothing
    // follows yet, it is what is being made in the conversation, which may be another answer than the first.
    const answered = isUser ? rows.findLast((each) => each !== row && each.response) : row;
    const asks = isUser && !(asked?.hasFailed && answered) ? asked : undefined;
    const asking = isUser ? (asks ?? kept) : undefined;
    const response = asks?.response ?? answered?.response ?? making ?? row.response ?? "";
    const tick = known.turns.get(response);
    const answer = answers.find((each) => each.response === response);
    const calls = known.calls.get(response);
    const isUnwanted = known.unwanted.has(response);
    const isPinned = known.pins.get(id) ?? row.isPinned;
    const siblings = known.siblings.get(id) ?? row.siblings;
    const rated = isUser
      ? undefined
      : (known.ratings.get(response) ?? known.feedback.get(response));
    const thought = thoughts[0]?.response === row.response ? thoughts : [];
    thoughts = [];
    // Of an answer only what is read of it: a word of it is none of its question's.
    const { phase, error } = answer ?? {};
    const of: readonly unknown[] = [
      asking,
      tick,
      phase,
      error,
      isUnwanted,
      calls,
      response,
      isPinned,
      siblings,
      rated,
    ];
    const message = row.seen(thought.length ? [...of, ...thought] : of, () => ({
      id,
      role: isUser ? role : "assistant",
      text,
      content,
      thoughts: joined(
        thought.map((each) => each.thoughts),
        "\n\n",
      ),
      at_ms,
      turn: turnView({ kept: asking, tick, answer, calls, isUnwanted }),
      response: response || undefined,
      isPinned,
      isLocal: !!kept,
      siblings,
      rating: rated?.rating ?? undefined,
    }));
    messages.push(message);
  });
  return messages;
}
