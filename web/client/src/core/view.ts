// What a person sees of their conversations: what the server told, with what was done here and has not got there yet
// laid over it. Optimism is nothing but that: when an entry goes, so does what it changed.
//
// A view is made in two steps. What stands is made of items, turns and the outbox, once for each state of those. What is being said
// is laid over that with each word: only the exchange that it is said in is made anew, and of that the one message that is another.

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
import { textOf, thoughtsOf } from "./answer.ts";
import { LOCAL_BRANCH, makeTree, type Sibling, type Tree } from "./branches.ts";
import { isAsking, isUnsent, itemOf } from "./outbox.ts";
import type { Shelf } from "./things.ts";
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

/** A place on the way through a conversation: what was told, was said here, or is being answered. */
interface Slot {
  readonly id: string;
  /** Undefined of what is too large to be told with the others. */
  readonly said: Item | undefined;
  /** Whose message it is, or that it is a thought. */
  readonly role: string | undefined;
  readonly response: string | undefined;
  readonly told: ItemTold | undefined;
  readonly kept: Kept | undefined;
  /** What asks for an answer behind it, and is no message itself. */
  asked: Kept | undefined;
}

/** What a person said, and all that follows on it up to where they say something again; and what is seen of that. */
interface Exchange {
  readonly slots: readonly Slot[];
  readonly messages: readonly MessageView[];
}

/** All but what is being said. */
interface Standing {
  /** Of all exchanges, and at which of them each begins. */
  readonly messages: readonly MessageView[];
  readonly firsts: readonly number[];
  readonly summary: ConversationSummary & { readonly isGone: boolean };
  readonly isPartial: boolean;
  readonly exchanges: readonly Exchange[];
  /** In which exchange an answer is made; -1 of one that is made elsewhere. */
  placeOf(answer: Answer): number;
  /** Say an exchange with what these answers have to add. */
  say(at: number, answers: readonly Answer[]): Exchange;
}

const SETTLED: readonly TurnState[] = ["done", "failed", "cancelled", "asking"];

interface Way {
  readonly slots: Slot[];
  /** Of messages that stand beside others only here. */
  readonly siblings: ReadonlyMap<string, readonly Sibling[]>;
}

/**
 * Begin with the view of a conversation. The function that comes back is called with all that is known whenever any of it
 * changed; it remembers what it said last, and says the same object where that is the same.
 *
 * What is given has to be replaced where it changes, never changed itself. A word of an answer costs what the exchange of
 * it does, and a copy of the list of messages.
 */
export function makeConversationView(): (given: ConversationGiven) => ConversationView {
  let last: ConversationView | undefined;
  const tree = memo<Tree>();
  const standing = memo<Standing>();
  let sayings: Sayings = new Map();
  return (given) => {
    const { id, shelf, entries, feedback, status, titleOf } = given;
    const { conversation, items, turns, answers, calls } = shelf;
    const stood = standing([id, conversation, items, turns, calls, entries, feedback], () => {
      const before = sayings;
      sayings = new Map();
      const ordered = tree([conversation, items], () => makeTree(conversation, items));
      return stand(given, ordered, (message) => {
        const saying = sayings.get(message) ?? before.get(message) ?? memo();
        sayings.set(message, saying);
        return saying;
      });
    });
    const { isGone, ...summary } = stood.summary;
    const exchanges = [...stood.exchanges];
    const messages = [...stood.messages];
    const spoken = grouped(answers.values(), stood.placeOf);
    // From the last to the first, so that none moves another's place.
    for (const at of [...spoken.keys()].sort((one, other) => other - one)) {
      const before = exchanges[at];
      if (!before) continue;
      const now = stood.say(at, spoken.get(at) ?? []);
      exchanges[at] = now;
      messages.splice(stood.firsts[at] ?? 0, before.messages.length, ...now.messages);
    }
    const asked = conversation?.follow_ups;
    const latest = exchanges.at(-1)?.slots.at(-1);
    last = shared<ConversationView>(last, {
      ...summary,
      isBusy: summary.isBusy || messages.some(({ turn }) => turn && !SETTLED.includes(turn.state)),
      status: isGone ? "gone" : status === "ready" && stood.isPartial ? "partial" : status,
      messages: isGone ? [] : messages,
      calls: [...calls.values()].flatMap((call) => {
        const isOf = ({ response }: Slot) => response === call.response;
        const isHere = !isGone && exchanges.some(({ slots }) => slots.some(isOf));
        return isHere ? { ...call, title: titleOf(call) } : [];
      }),
      turn: messages.findLast(({ turn }) => turn)?.turn,
      followUps: asked && asked.response === latest?.response ? asked.questions : [],
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
  for (const kept of entries.filter(isLive)) {
    const { entry } = kept;
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

/** The last words on messages and responses. */
interface Overlay {
  readonly pins: Map<string, boolean>;
  readonly ratings: Map<string, "up" | "down" | undefined>;
  readonly unwanted: Set<string>;
}

function overlaid(entries: readonly Kept[]): Overlay {
  const over: Overlay = { pins: new Map(), ratings: new Map(), unwanted: new Set() };
  for (const { entry } of entries) {
    if (entry.type === "pin_item") over.pins.set(entry.item, entry.pinned);
    if (entry.type === "feedback") over.ratings.set(entry.response, entry.rating ?? undefined);
    if (entry.type === "cancel") over.unwanted.add(entry.response);
  }
  return over;
}

/** Go the way that the server told, and on by what was done here. */
function walked({ conversation, items }: Shelf, entries: readonly Kept[], tree: Tree): Way {
  const hidden = new Set<string>();
  const siblings = new Map<string, readonly Sibling[]>();
  // By the branch at whose end each goes on; under a number below 0 of one that the server has yet to make.
  const ways = new Map<number, Slot[]>();
  const wayOf = (branch: number): Slot[] => {
    const known = ways.get(branch);
    if (known) return known;
    const told = tree.path(branch).filter(({ id }) => !hidden.has(id));
    const slots = told.map(slotOf);
    ways.set(branch, slots);
    return slots;
  };
  let way = wayOf(conversation?.branch ?? 0);
  // What failed keeps its place, and nothing comes of it: behind which item each stands.
  const failed: [slot: Slot, behind: string | undefined][] = [];

  /** Go on behind an item, or in its place, on whichever way it is; where it is unknown, at the end. */
  const goTo = (id: string | null, offset: 0 | 1, item: string | undefined) => {
    const placeIn = (slots: Slot[]) => slots.findIndex((slot) => slot.id === id);
    const chosen = way;
    if (id !== null && placeIn(way) < 0) {
      const branch = items.get(id)?.branch;
      const other = [...ways.values()].find((slots) => placeIn(slots) >= 0);
      way = other ?? (branch === undefined ? way : wayOf(branch));
    }
    const at = placeIn(way);
    const was = way[at + offset];
    if (!was || (id !== null && at < 0)) return;
    const slots = way.slice(0, at + offset);
    // As the server does: the chosen branch goes on, where it ends there.
    way = slots.at(-1)?.id === chosen.at(-1)?.id ? chosen : slots;
    if (way === chosen) return;
    ways.set(-1 - ways.size, way);
    if (item === undefined) return;
    const stand = siblings.get(was.id) ?? tree.siblings(was.id);
    const all = [...stand, { item, branch: LOCAL_BRANCH }];
    for (const each of all) siblings.set(each.item, all);
  };

  for (const kept of entries) {
    const { entry, response } = kept;
    const isOn = isLive(kept);
    if (isAsking(entry)) {
      const id = itemOf(entry);
      if (
        id
          ? items.has(id)
          : response && [...items.values()].some((item) => item.response === response)
      )
        continue;
      if (isOn && entry.type === "edit") goTo(entry.item, 0, id);
      else if (isOn && "after" in entry && entry.after !== undefined) goTo(entry.after, 1, id);
      const end = way.at(-1);
      if (id && isOn) way.push(slotSaid(id, kept));
      else if (id) failed.push([slotSaid(id, kept), end?.id]);
      else if (end) end.asked = kept;
    } else if (isOn && entry.type === "choose") way = wayOf(entry.branch);
    else if (isOn && entry.type === "delete" && entry.item) {
      hidden.add(entry.item);
      for (const slots of ways.values()) {
        const at = slots.findIndex(({ id }) => id === entry.item);
        if (at >= 0) slots.splice(at, 1);
      }
    }
  }
  for (const [slot, behind] of failed.reverse()) {
    const at = way.findLastIndex(({ id }) => id === behind);
    way.splice(behind === undefined || at >= 0 ? at + 1 : way.length, 0, slot);
  }
  return { slots: way, siblings };
}

function slotOf(told: ItemTold): Slot {
  return slotFor(told.id, told.item, told.response, told);
}

function slotSaid(id: string, kept: Kept): Slot {
  const { entry, response } = kept;
  const given = "content" in entry ? entry.content : [];
  const content = typeof given === "string" ? [{ type: "input_text", text: given }] : given;
  const said = { type: "message", role: "user", content } as unknown as Item;
  return slotFor(id, said, response, undefined, kept);
}

function slotFor(
  id: string,
  said: Item | undefined,
  response: string | undefined,
  told?: ItemTold,
  kept?: Kept,
): Slot {
  const role = said?.type === "message" ? said.role : said?.type;
  return { id, said, role, response, told, kept, asked: undefined };
}

// --- exchanges ------------------------------------------------------------------------------------------

/** Make what stands: all that is said, but for what is being answered now. */
function stand(
  { id, shelf, entries, feedback }: ConversationGiven,
  tree: Tree,
  sayingOf: Known["sayingOf"],
): Standing {
  const { conversation, items, turns, calls } = shelf;
  const own = entries.filter((kept) => conversationOf(kept) === id);
  const { slots, siblings } = walked(shelf, own, tree);
  const stretches: Slot[][] = [];
  for (const slot of slots) {
    const stretch = stretches.at(-1);
    if (stretch && slot.role !== "user") stretch.push(slot);
    else stretches.push([slot]);
  }
  // The response that is being made behind all that was told, where no slot says which one that is.
  const { response } = conversation ?? {};
  const its = response === undefined ? undefined : { response };
  const making = its && slots.some((slot) => isBehind(slot, its)) ? undefined : response;
  const latest = stretches.findLastIndex((stretch) => stretch.at(-1)?.told);
  const known: Known = {
    turns,
    feedback,
    calls: grouped(calls.values(), (call) => call.response),
    siblingsOf: (item) => siblings.get(item) ?? tree.siblings(item),
    sayingOf,
    ...overlaid(entries.filter(isLive)),
  };
  const say = (at: number, answers: readonly Answer[]): Exchange => {
    const stretch = stretches[at] ?? [];
    const current = at === latest ? making : undefined;
    // Where something is told behind it, something else was answered there.
    const isEnd = !stretches[at + 1]?.[0]?.told;
    const added = answers.flatMap((answer) =>
      isEnd && (answer.response === current || isBehind(stretch.at(-1), answer))
        ? answer.output
            .filter((said) => !items.has(said.id))
            .map((said) => slotFor(said.id, said, answer.response))
        : [],
    );
    const all = [...stretch, ...added];
    return { slots: all, messages: messagesOf(all, current, answers, known) };
  };
  const messages: MessageView[] = [];
  const firsts: number[] = [];
  const exchanges = stretches.map((_, at) => {
    const exchange = say(at, []);
    firsts.push(messages.length);
    messages.push(...exchange.messages);
    return exchange;
  });
  const isUnread = [...turns.values()].some(({ state }) => state === "answered");
  return {
    messages,
    firsts,
    exchanges,
    summary: summaryOf(id, conversation, own, false, isUnread),
    isPartial: slots.some(({ told }) => told && !told.item),
    placeOf(answer) {
      const isIts = (slot: Slot) => isBehind(slot, answer);
      const at = stretches.findLastIndex((stretch) => stretch.some(isIts));
      return at < 0 && answer.response === making ? latest : at;
    },
    say,
  };
}

function isBehind(
  slot: Slot | undefined,
  { response, to }: Pick<Answer, "response" | "to">,
): boolean {
  if (!slot) return false;
  return slot.response === response || slot.asked?.response === response || slot.id === to;
}

// --- messages -----------------------------------------------------------------------------------------------

/** Of each message what it was made of, by its id. */
type Sayings = Map<string, Memo<MessageView>>;

interface Known extends Overlay, Pick<Shelf, "turns">, Pick<ConversationGiven, "feedback"> {
  /** By response. */
  readonly calls: ReadonlyMap<string, readonly Call[]>;
  siblingsOf(item: string): readonly Sibling[];
  sayingOf(message: string): Memo<MessageView>;
}

function messagesOf(
  slots: readonly Slot[],
  current: string | undefined,
  answers: readonly Answer[],
  known: Known,
): MessageView[] {
  const { turns, feedback, siblingsOf, pins, ratings, unwanted } = known;
  let thoughts: Item[] = [];
  let thinking: string | undefined;
  return slots.flatMap((slot, at) => {
    const { id, said, role, told, kept } = slot;
    if (role === "reasoning" && said) {
      if (thinking !== slot.response) thoughts = [];
      thinking = slot.response;
      thoughts.push(said);
      // Of an answer that is being made the thoughts are seen before its first word.
      if (told || slots[at + 1]?.response === slot.response) return [];
    } else if (!said || (role !== "user" && role !== "assistant")) return [];
    const isUser = role === "user";
    const { response = "", asked = kept } = isUser ? askedIn(slots, current) : slot;
    const asking = isUser ? asked : undefined;
    const tick = turns.get(response);
    const answer = answers.find((each) => each.response === response);
    const calls = known.calls.get(response) ?? [];
    const isUnwanted = unwanted.has(response);
    const pinned = pins.get(id);
    const siblings = siblingsOf(id);
    const rated = ratings.has(response) ? ratings.get(response) : feedback.get(response)?.rating;
    const thought = thinking === slot.response ? thoughts : [];
    thoughts = [];
    // Of an answer only what is read of it: a word of it is none of its question's.
    const turn: readonly unknown[] = [asking, tick, answer?.phase, answer?.error, isUnwanted];
    const stands: readonly unknown[] = [said, told, response, pinned, siblings, rated];
    const of = stands.concat(turn, calls, thought);
    return known.sayingOf(id)(of, () => ({
      id,
      role: isUser ? role : "assistant",
      text: textOf(said),
      content: said.type === "message" ? said.content : [],
      thoughts: joined(thought.map(thoughtsOf), "\n\n"),
      at_ms: kept ? kept.at_ms : told && told.created_at * 1000,
      turn: turnView({ kept: asking, tick, answer, calls, isUnwanted }),
      response: response || undefined,
      isPinned: pinned ?? told?.pinned ?? false,
      isLocal: !!kept,
      siblings,
      rating: isUser ? undefined : rated,
    }));
  });
}

/**
 * Which response answers what a person said: by what follows on it. Where nothing does yet, it is what is being made in the
 * conversation, which may be another answer than the first.
 */
function askedIn(
  slots: readonly Slot[],
  current: string | undefined,
): Pick<Slot, "response" | "asked"> {
  const response = slots.findLast((slot, at) => at > 0 && slot.response)?.response;
  const asked = slots.findLast((slot) => slot.asked)?.asked;
  // An answer that came since counts more than one that failed.
  if (response && asked?.hasFailed) return { response, asked: undefined };
  return { response: asked?.response ?? response ?? current ?? slots[0]?.response, asked };
}
