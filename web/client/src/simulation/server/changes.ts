// What changed of one person's things, numbered in the order of the commits, as src/frontdesk/changes and
// src/frontdesk/sync/pull.py do it: a row a thing, which a later change moves to a new number.

import type { Change, Gone } from "../../wire.ts";

export type Kind = Change["type"];

/** Which thing changed. `conversation` is "" of what is in none; `id` is "" of a conversation itself. */
export interface Thing {
  readonly kind: Kind;
  readonly conversation: string;
  readonly id: string;
}

export interface Noted extends Thing {
  readonly isDeleted?: boolean;
  /** Of a turn. Behind a colon stands a failure's code. */
  readonly state?: string | undefined;
}

interface Row extends Noted {
  readonly seq: number;
}

/** A page of changes, with the cursor behind each. */
export interface Page {
  readonly cursor: string;
  readonly has_more: boolean;
  readonly isReset: boolean;
  readonly changes: readonly Change[];
  readonly places: readonly string[];
}

interface Cursor {
  readonly epoch: string;
  readonly seq: number;
  /** How far down it is in a first sync. */
  readonly at: number | undefined;
}

const nothing = ".0";

/** The changes of a person. */
export class Changes {
  head = 0;
  private floor = 0;
  private readonly rows = new Map<string, Row>();

  constructor(
    private readonly epoch: string,
    /** A thing as it is told now; undefined where it is not there any more. */
    private readonly told: (thing: Noted) => Change | undefined,
    private readonly moved: () => void,
  ) {}

  /** Number what one commit changed. */
  note(...noted: readonly Noted[]): void {
    const latest = new Map<string, Noted>();
    for (const each of noted) {
      latest.delete(keyOf(each));
      latest.set(keyOf(each), each);
    }
    for (const [key, each] of latest) {
      if (each.kind === "conversation" && each.isDeleted) this.forgetPartsOf(each.conversation);
      this.head += 1;
      this.rows.set(key, { ...each, state: stateBehind(this.rows.get(key), each), seq: this.head });
    }
    if (latest.size > 0) this.moved();
  }

  /** Forget what was deleted; who does not know of it yet begins anew. */
  sweep(): void {
    for (const [key, row] of this.rows) {
      if (!row.isDeleted) continue;
      this.rows.delete(key);
      this.floor = Math.max(this.floor, row.seq);
    }
  }

  /** Whether a thing was deleted, as far as that is known. */
  wasDeleted(thing: Thing): boolean {
    return this.rows.get(keyOf(thing))?.isDeleted === true;
  }

  stateOf(conversation: string, response: string): string | undefined {
    return this.rows.get(keyOf({ kind: "turn", conversation, id: response }))?.state;
  }

  /** The cursor of who has all there is. */
  now(): string {
    return this.head === 0
      ? nothing
      : this.write({ epoch: this.epoch, seq: this.head, at: undefined });
  }

  /** What changed behind a cursor, or all there is, the newest first. */
  pull(asked: string | undefined, limit: number): Page {
    if (limit === 0 && asked !== undefined)
      return { cursor: asked, has_more: false, isReset: false, changes: [], places: [] };
    const cursor = asked === undefined ? undefined : readCursor(asked);
    const isElsewhere = asked !== undefined && asked !== nothing;
    if (this.head === 0)
      return { cursor: nothing, has_more: false, isReset: isElsewhere, changes: [], places: [] };
    if (cursor !== undefined && this.holds(cursor)) {
      if (cursor.at === undefined) return this.up(cursor, limit);
      const page = this.down(cursor, Math.min(cursor.at - 1, cursor.seq), limit);
      return { ...page, has_more: page.has_more || cursor.seq < this.head };
    }
    const page = this.down({ epoch: this.epoch, seq: this.head, at: undefined }, this.head, limit);
    return { ...page, isReset: isElsewhere };
  }

  private up(cursor: Cursor, limit: number): Page {
    const found = this.sorted().filter((row) => row.seq > cursor.seq);
    const rows = found.slice(0, limit);
    const places = rows.map((row) => this.write({ ...cursor, seq: row.seq }));
    return {
      cursor: places.at(-1) ?? this.write(cursor),
      has_more: found.length > rows.length,
      isReset: false,
      changes: rows.map((row) => this.tell(row)),
      places,
    };
  }

  private down(start: Cursor, seq: number, limit: number): Page {
    const found = this.sorted()
      .filter((row) => row.seq <= seq && !row.isDeleted)
      .reverse();
    const rows = found.slice(0, limit);
    const places = rows.map((row) => this.write({ ...start, at: row.seq }));
    const end = this.write({ ...start, at: undefined });
    const hasEnded = rows.length === found.length;
    if (hasEnded && places.length > 0) places[places.length - 1] = end;
    return {
      cursor: hasEnded ? end : (places.at(-1) ?? end),
      has_more: !hasEnded,
      isReset: false,
      changes: rows.map((row) => this.tell(row)),
      places,
    };
  }

  private tell(row: Row): Change {
    return (row.isDeleted ? undefined : this.told(row)) ?? goneOf(row);
  }

  private holds({ epoch, seq }: Cursor): boolean {
    return epoch === this.epoch && this.floor <= seq && seq <= this.head;
  }

  private sorted(): Row[] {
    return [...this.rows.values()].sort((one, other) => one.seq - other.seq);
  }

  private forgetPartsOf(conversation: string): void {
    for (const [key, row] of this.rows)
      if (row.conversation === conversation) this.rows.delete(key);
  }

  private write({ epoch, seq, at }: Cursor): string {
    return at === undefined ? `${epoch}.${seq}` : `${epoch}.${seq}.${at}`;
  }
}

/** Somebody may have read an answer that failed: it has failed all the same. */
function stateBehind(before: Row | undefined, noted: Noted): string | undefined {
  return noted.state === "read" && before?.state?.startsWith("failed") ? before.state : noted.state;
}

function readCursor(text: string): Cursor | undefined {
  const match = /^([0-9a-z]{0,32})\.(\d+)(?:\.(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [, epoch = "", seq, at] = match;
  return { epoch, seq: Number(seq), at: at === undefined ? undefined : Number(at) };
}

function keyOf({ kind, conversation, id }: Thing): string {
  return `${kind} ${conversation} ${id}`;
}

function goneOf({ kind, conversation, id }: Thing): Gone {
  switch (kind) {
    case "conversation":
      return { type: kind, id: conversation, deleted: true };
    case "item":
    case "turn":
      return { type: kind, conversation, id, deleted: true };
    case "feedback":
      return { type: kind, response: id, deleted: true };
    case "fact":
      return { type: kind, id, deleted: true };
  }
}
