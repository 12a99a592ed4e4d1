// What was said in a script, and what must have become of it: the books that the server's are compared with.

import type { ClientView, Mark } from "../state.ts";
import type { Running } from "./play.ts";
import type { How } from "./scripts.ts";
import { textOfItem } from "./server/answers.ts";
import type { Person } from "./server/person.ts";
import type { Device, Tab } from "./world.ts";

/** Something that was said. Its text is said nowhere else. */
export interface Said {
  readonly text: string;
  readonly texts: string[];
  readonly tab: Tab;
  readonly conversation: string;
  readonly how: How;
  /** Which was said before which: by when it was begun, and when it was saved. */
  readonly begun: number;
  readonly begunAt_ms: number;
  saved: number | undefined;
  savedAt_ms: number;
  id: string | undefined;
  /** Whether it outlives its process. */
  isDurable: boolean;
  /** Whether its process could not read the store. */
  isBlind: boolean;
  /**
   * `open`: it must arrive, if it was saved. `maybe`: nobody can say, for what would decide it did not end.
   * `withdrawn`: it must never arrive.
   */
  fate: "open" | "maybe" | "withdrawn";
  /** Who took it back while nothing could be stored: that is so for as long as its process lives. */
  withdrawnBy: Tab | undefined;
  /** When it was taken back. */
  withdrawnAt_ms: number;
  /** Whether it is `maybe` whatever comes. */
  isDoubtful: boolean;
  mayBeLate: boolean;
  mayBeRefused: boolean;
}

/** How long what was taken back in one tab may take to be heard in the others. */
const hearing_ms = 100;

export class Sayings {
  readonly all: Said[] = [];
  private readonly deletedItems = new Set<string>();
  private readonly changedItems = new Set<string>();
  private readonly branched = new Set<string>();
  private readonly gone = new Set<string>();
  /** How often each device has lost its store. */
  private readonly losses = new Map<Device, number>();
  /** Devices whose store did not work for a while. */
  private readonly troubled = new Set<Device>();
  private clock = 0;

  say(tab: Tab, conversation: string, how: How, at_ms: number): Said {
    this.clock += 1;
    const mark = how === "plain" || how === "expires" ? "" : ` ${how}`;
    const text = `words ${this.all.length}${mark}`;
    const said: Said = {
      text,
      texts: [],
      tab,
      conversation,
      how,
      begun: this.clock,
      begunAt_ms: at_ms,
      saved: undefined,
      savedAt_ms: 0,
      id: undefined,
      isDurable: false,
      isBlind: false,
      fate: "open",
      isDoubtful: false,
      withdrawnBy: undefined,
      withdrawnAt_ms: 0,
      mayBeLate: false,
      mayBeRefused: how === "(refused)" || how === "expires",
    };
    this.all.push(said);
    return said;
  }

  saved(said: Said, id: string, storage: ClientView["storage"], at_ms: number): void {
    this.clock += 1;
    said.saved = this.clock;
    said.savedAt_ms = at_ms;
    said.id = id;
    said.isDurable = storage === "kept";
    said.isBlind = storage === "broken";
  }

  /** What is said under an id now. */
  of(id: string): Said | undefined {
    return this.all.findLast((said) => said.id === id);
  }

  /** Somebody tries to take it back. The returned function says that it stays. */
  mayGo(id: string): () => void {
    const said = this.of(id);
    // Saved by a process that ended before it could say so.
    if (said === undefined) this.deletedItems.add(id);
    if (said?.fate !== "open") return () => {};
    said.fate = "maybe";
    said.isDoubtful = false;
    return () => {
      // What became doubtful meanwhile, by the end of its process for instance, stays so.
      if (said.fate === "maybe" && !said.isDoubtful) said.fate = "open";
    };
  }

  /** It was taken back; `isSure` is false where another tab may have written it again before it could hear of that. */
  withdrawn(id: string, by: Tab, isDurable: boolean, isSure: boolean, at_ms: number): void {
    const said = this.of(id);
    if (said === undefined) return;
    said.withdrawnAt_ms = at_ms;
    // What no store says, another tab that has it cannot know in time: it may write it as soon as there is room.
    const isKnown = isSure && (isDurable || said.tab === by);
    said.fate = isKnown ? "withdrawn" : "maybe";
    said.isDoubtful = !isKnown;
    if (!isDurable) said.withdrawnBy = by;
  }

  isLate(id: string): void {
    const said = this.of(id);
    if (said !== undefined) said.mayBeLate = true;
  }

  /** What was not sent yet in a conversation may be taken back. */
  stopped(conversation: string): void {
    for (const said of this.all) if (said.conversation === conversation) doubt(said);
  }

  removed(conversation: string): void {
    this.gone.add(conversation);
    this.branched.add(conversation);
  }

  deleted(item: string): void {
    this.deletedItems.add(item);
  }

  isDeleted(item: string): boolean {
    return this.deletedItems.has(item);
  }

  /** What changes is told where it changed: behind things that were said after it. */
  changed(item: string): void {
    this.changedItems.add(item);
  }

  /** Whether it may be told on a later page than what was said behind it. */
  isToldLate(item: string): boolean {
    return this.changedItems.has(item);
  }

  /** Another branch may be chosen in it. */
  branches(conversation: string): void {
    this.branched.add(conversation);
  }

  /** Whether messages may go from its view because another branch is looked at, or because they were deleted. */
  hasBranches(conversation: string): boolean {
    return this.branched.has(conversation);
  }

  mayDisappear(id: string, tab: Tab): boolean {
    const said = this.of(id);
    if (said === undefined) return this.deletedItems.has(id);
    // What is in no store is passed from tab to tab, and gone from one of them while another writes it at last.
    const isPassedOn = !said.isDurable && said.tab !== tab;
    return this.deletedItems.has(id) || said.fate !== "open" || isPassedOn;
  }

  /** Whether the store of a device was lost, or took nothing for a while. */
  isTroubled(device: Device): boolean {
    return this.troubled.has(device) || this.lossesOf(device) > 0;
  }

  /** The store of a device takes nothing, or tells nothing. */
  broken(device: Device): void {
    this.troubled.add(device);
  }

  /** Whether a device that lost all is yet to be told all again, the newest first. */
  isRefilling(device: Device): boolean {
    const mark = device.disk.value("mark") as unknown as Mark | undefined;
    return this.lossesOf(device) > 0 && !mark?.isWhole;
  }

  /** A process is gone, with all that only it knew. */
  killed(tab: Tab): void {
    for (const said of this.all) {
      if (said.tab === tab && !said.isDurable) doubt(said);
      if (said.withdrawnBy === tab) said.fate = "maybe";
    }
  }

  /** A disk is empty: what its processes do not know any more is lost. */
  evicted(device: Device, at_ms: number): void {
    this.losses.set(device, this.lossesOf(device) + 1);
    for (const said of this.all) {
      if (said.tab.device !== device) continue;
      // Another tab may still hold it, and fills the store again with what it has.
      if (said.fate === "withdrawn" && at_ms - said.withdrawnAt_ms < hearing_ms) unsure(said);
      if (said.tab.isAlive) said.isDurable = false;
      else doubt(said);
    }
  }

  /** How often a device has lost its store. */
  lossesOf(device: Device): number {
    return this.losses.get(device) ?? 0;
  }

  mustArrive(said: Said): boolean {
    return (
      said.fate === "open" &&
      said.saved !== undefined &&
      !said.mayBeRefused &&
      !this.gone.has(said.conversation) &&
      !this.isBehindDeleted(said)
    );
  }

  mayArrive(said: Said): boolean {
    return said.fate !== "withdrawn" && said.how !== "(refused)";
  }

  mustBeInOrder(said: Said): boolean {
    return this.mustArrive(said) && !said.mayBeLate;
  }

  private isBehindDeleted(said: Said): boolean {
    return said.id !== undefined && this.deletedItems.has(said.id);
  }
}

/** What was decided may not have been heard by all. */
function unsure(said: Said): void {
  said.fate = "maybe";
  said.isDoubtful = true;
}

/** Nobody can say any more whether it arrives. */
function doubt(said: Said): void {
  said.isDoubtful = true;
  if (said.fate === "open") said.fate = "maybe";
}

/** Why what the server has is not what was said, if it is not. */
export function whyNotSaid(sayings: Sayings, person: Person, living: readonly Running[]): string[] {
  const wrongs: string[] = [];
  const rows = [...person.conversations.values()].flatMap((row) =>
    [...row.items.values()].map((item) => ({ ...item, conversation: row.id })),
  );
  const ofText = (text: string) =>
    rows.filter(
      ({ item }) => item?.type === "message" && item.role === "user" && textOfItem(item) === text,
    );
  for (const said of sayings.all) {
    const there = ofText(said.text);
    const name = `“${said.text}” of ${said.tab.name}, ${said.id ?? "not saved"}`;
    if (there.length > 1) wrongs.push(`${name} is there ${there.length} times`);
    if (there.length === 0 && sayings.mustArrive(said)) wrongs.push(`${name} is not there`);
    if (there.length > 0 && !sayings.mayArrive(said)) wrongs.push(`${name} arrived all the same`);
    if (there.some(({ conversation }) => conversation !== said.conversation))
      wrongs.push(`${name} is in another conversation`);
    if (there.length === 0 && said.id !== undefined && isLost(said, sayings, living))
      wrongs.push(`${name} did not arrive, and is not shown as failed`);
  }
  for (const one of sayings.all) {
    for (const other of sayings.all) {
      if (one.conversation !== other.conversation || one.tab.device !== other.tab.device) continue;
      if (one.saved === undefined || one.saved > other.begun) continue;
      // Who could not read the store knew nothing of others, nor they of them; nor need one know what is in no store.
      const isUnknown = one.isBlind || other.isBlind || !(one.isDurable || other.isDurable);
      if (one.tab !== other.tab && isUnknown) continue;
      // Two tabs that speak in one millisecond speak at once.
      const isAtOnce = Math.floor(one.savedAt_ms) >= Math.floor(other.begunAt_ms);
      if (one.tab !== other.tab && isAtOnce) continue;
      if (!sayings.mustBeInOrder(one) || !sayings.mustBeInOrder(other)) continue;
      const [before] = ofText(one.text);
      const [behind] = ofText(other.text);
      if (before !== undefined && behind !== undefined && before.age > behind.age)
        wrongs.push(`“${one.text}” came behind “${other.text}”`);
    }
  }
  return wrongs;
}

/** Whether something is neither there nor shown as what failed, though its device has not forgotten it by right. */
function isLost(said: Said, sayings: Sayings, living: readonly Running[]): boolean {
  if (said.fate !== "open" || !said.isDurable || !said.mayBeRefused || said.mayBeLate) return false;
  if (sayings.hasBranches(said.conversation)) return false;
  return living.some(({ tab, client }) => {
    if (tab.device !== said.tab.device) return false;
    const { messages } = client.conversation(said.conversation).view.get();
    return !messages.some(({ id, turn }) => id === said.id && turn?.state === "failed");
  });
}
