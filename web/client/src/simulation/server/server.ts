// Frontdesk's server as devices see it: docs/sync.md, docs/live.md, docs/responses.md and docs/api.md in virtual time. What
// it has committed outlives a kill; what it is doing does not. It knows nothing of networks.
//
//     route ──► sessions (401), versions (426), limits (429, 503) ──► sync: entries, then a page of changes
//                                                                └──► feeds, answers: told to connections as they come

import type { AnswerEvent, Change, Item } from "../../wire.ts";
import type { Chance } from "../chance.ts";
import type { Owner, Scheduler } from "../scheduler.ts";
import {
  type Ended,
  eventsOf,
  type Facts,
  kept,
  outputOf,
  type Plan,
  responseOf,
  retold,
  terminalOf,
} from "./answers.ts";
import type { Page } from "./changes.ts";
import { type Desk, Entries } from "./entries.ts";
import { type ConversationRow, Person, Refused } from "./person.ts";
import { Sessions } from "./sessions.ts";

/** A request as it arrived. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** By names in small letters. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Something between sends it once more. */
  readonly isRepeated?: boolean;
}

/** Where an answer goes. */
export interface Connection {
  readonly isGone: boolean;
  readonly hasHead: boolean;
  head(status: number, headers: Readonly<Record<string, string>>): void;
  write(text: string): void;
  end(): void;
  /** Break it off, as a process that dies does. */
  lose(): void;
}

/** A response that is, or was, made. What is in it is on the disk. */
export interface Answering {
  readonly facts: Facts;
  readonly person: Person;
  readonly plan: Plan;
  readonly script: readonly AnswerEvent[];
  /** What has been said, the terminal event included. */
  readonly events: AnswerEvent[];
  readonly followers: Set<(event: AnswerEvent) => void>;
  isDispatched: boolean;
  isUnwanted: boolean;
  ended: Ended | undefined;
  output: readonly Item[];
  /** Whether its single events are still kept. */
  hasEvents: boolean;
}

interface Feed {
  readonly person: Person;
  readonly connection: Connection;
  readonly token: string;
  cursor: string;
  isReady: boolean;
  isBringing: boolean;
  readonly bring: () => void;
  readonly bye: (code: string, retry_after_s?: number) => void;
}

/** How the server is today. Scripts change it. */
export interface Terms {
  /** A device's version is too old. */
  minimum: string | undefined;
  /** So many messages more are told to wait. */
  waits: number;
  /** So many requests more are told to come later. */
  overloads: number;
  revision: number;
  /** Changes a page at most, whatever a device asks for. */
  page: number;
  /** How often the single events of an answer are forgotten at its end. */
  forgets: number;
  /** How long a model takes for a piece of an answer, at most. */
  piece_ms: number;
}

const heartbeat_ms = 10_000;
const streamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
};

export class Server {
  readonly terms: Terms = {
    minimum: undefined,
    waits: 0,
    overloads: 0,
    revision: 1,
    page: 200,
    forgets: 0.2,
    piece_ms: 120,
  };
  readonly sessions: Sessions;
  readonly answers = new Map<string, Answering>();
  /** What devices sent that none should ever send. */
  readonly complaints: string[] = [];
  isUp = true;
  private owner: Owner = { name: "server", isAlive: true, isFrozen: false };
  private readonly persons = new Map<
    string,
    { readonly person: Person; readonly entries: Entries }
  >();
  private readonly feeds = new Set<Feed>();
  private readonly connections = new Set<Connection>();
  private made = 0;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly chance: Chance,
    /** When it began, in milliseconds since 1970. */
    private readonly began_ms: number,
  ) {
    this.sessions = new Sessions(() => this.now_ms());
  }

  now_ms(): number {
    return this.began_ms + this.scheduler.now_ms;
  }

  person(name: string): Person {
    return this.account(name).person;
  }

  entries(name: string): Entries {
    return this.account(name).entries;
  }

  /** How many feeds are open. */
  get listening(): number {
    return [...this.feeds].filter(({ connection }) => !connection.isGone).length;
  }

  // --- its life -----------------------------------------------------------------------------------

  /** Die, with all that was being done. */
  kill(): void {
    this.isUp = false;
    this.owner.isAlive = false;
    this.feeds.clear();
    for (const answer of this.answers.values()) answer.followers.clear();
    for (const connection of this.connections) connection.lose();
    this.connections.clear();
  }

  /** Go down in order: who listens is told when to come again. */
  stop(): void {
    for (const feed of this.feeds)
      feed.bye("server_shutting_down", 0.5 + this.chance.fraction() * 2.5);
    this.kill();
  }

  /** Be there again, and see to what was left. */
  start(): void {
    if (this.isUp) return;
    this.isUp = true;
    this.owner = { name: "server", isAlive: true, isFrozen: false };
    for (const answer of this.answers.values()) {
      if (answer.ended !== undefined) continue;
      if (answer.isUnwanted) this.end(answer, { status: "cancelled" });
      else if (answer.isDispatched) this.end(answer, { status: "failed", code: "server_crashed" });
      else this.make(answer);
    }
  }

  /** Forget what was deleted: who was away begins anew. */
  sweep(): void {
    for (const { person } of this.persons.values()) person.changes.sweep();
  }

  /** End feeds whose credential does not hold any more. */
  lookAtCredentials(): void {
    for (const feed of this.feeds) {
      const code = this.sessions.whyNot(feed.token);
      if (code !== undefined) feed.bye(code);
    }
  }

  // --- requests -----------------------------------------------------------------------------------

  /** Answer a request. */
  take(request: Request, connection: Connection): void {
    this.connections.add(connection);
    try {
      this.route(request, connection);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.refuse(connection, error);
    }
  }

  private route(request: Request, connection: Connection): void {
    const { method, path, headers } = request;
    if (path === "/api/bootstrap") {
      this.bootstrap(request, connection);
      return;
    }
    if (path === "/api/sessions" && method === "POST") {
      this.say(connection, 200, this.sessions.begin(headers.authorization));
      return;
    }
    if (path === "/api/sessions/refresh") {
      const { refresh_token } = JSON.parse(request.body || "{}");
      this.say(connection, 200, this.sessions.refresh(String(refresh_token)));
      return;
    }
    const token = this.sessions.tokenOf(headers.authorization);
    const name = this.sessions.userOf(token);
    if (path.startsWith("/api/sessions/") && method === "DELETE") {
      this.sessions.end(token);
      this.lookAtCredentials();
      this.say(connection, 200, { id: "sess", deleted: true });
      return;
    }
    if (this.isTooOld(headers["frontdesk-client"]) && /^\/api\/(sync|events)/.test(path))
      throw new Refused(426, "client_too_old");
    // Who is refused believes that nothing was done: that what repeats requests between is refused behind one that was
    // done, nobody on a device can know.
    if (this.terms.overloads > 0 && !request.isRepeated) {
      this.terms.overloads -= 1;
      const isLimit = this.chance.happens(0.5);
      throw new Refused(
        isLimit ? 429 : 503,
        isLimit ? "rate_limit_exceeded" : "server_overloaded",
        this.chance.between(1, 4),
      );
    }
    if (path === "/api/sync" && method === "POST") {
      void this.sync(name, request, connection);
      return;
    }
    if (path === "/api/events") {
      this.listen(name, token, request, connection);
      return;
    }
    const items = /^\/api\/conversations\/([^/]+)\/items$/.exec(path);
    if (items?.[1]) {
      this.items(this.person(name), items[1], request, connection);
      return;
    }
    const response = /^\/v1\/responses\/([^/]+)$/.exec(path);
    if (response?.[1]) {
      this.response(this.person(name), response[1], request, connection);
      return;
    }
    throw new Refused(404, "unknown_url");
  }

  private bootstrap({ headers }: Request, connection: Connection): void {
    const revision = `r${this.terms.revision}`;
    const etag = `"${revision}"`;
    if (headers["if-none-match"] === etag) {
      connection.head(304, { etag });
      connection.end();
      return;
    }
    const body = {
      name: "Frontdesk",
      version: "1.0.0",
      development: false,
      anonymous: true,
      features: [],
      default_feature: null,
      default_model: "fast",
      models: [],
      protocol: { version: 1, minimum: 1 },
      minimum_client: this.terms.minimum === undefined ? {} : { web: this.terms.minimum },
      switches: { revision: this.terms.revision },
      sync: { heartbeat_s: 10, poll_after_s: 15, most_entries: 100, most_bytes: 20_971_520 },
      revision,
    };
    this.say(connection, 200, body, { etag });
  }

  private isTooOld(app: string | undefined): boolean {
    const [, version] = (app ?? "").split("/");
    if (this.terms.minimum === undefined || version === undefined) return false;
    return version.localeCompare(this.terms.minimum, "en", { numeric: true }) < 0;
  }

  // --- sync ---------------------------------------------------------------------------------------

  private async sync(name: string, request: Request, connection: Connection): Promise<void> {
    const { person, entries } = this.account(name);
    const asked = readSync(request.body);
    if (asked === undefined) {
      this.complain(`no body of a sync: ${request.body}`);
      this.refuse(connection, new Refused(400, "invalid_value"));
      return;
    }
    const { cursor, limit = 200, push = [] } = asked;
    const held = new Map<string, number | undefined>();
    const results = [];
    for (const entry of push) {
      // Each is a transaction of its own: a server that dies here has done those before.
      results.push(
        await this.scheduler.later(this.chance.fraction() * 3, this.owner, () =>
          entries.push(entry, held),
        ),
      );
    }
    const page = person.changes.pull(cursor ?? undefined, Math.min(limit, this.terms.page));
    this.say(connection, 200, {
      cursor: page.cursor,
      has_more: page.has_more,
      ...(page.isReset ? { reset: true } : {}),
      ...(results.length > 0 ? { results } : {}),
      changes: page.changes,
    });
  }

  // --- feeds --------------------------------------------------------------------------------------

  private listen(name: string, token: string, request: Request, connection: Connection): void {
    const person = this.person(name);
    const asked = request.headers["last-event-id"] ?? request.query.get("cursor") ?? undefined;
    const cursor = asked ?? person.changes.now();
    if (request.headers.accept?.includes("text/event-stream"))
      this.stream(person, token, cursor, connection);
    else {
      const wait_s = asked === undefined ? 0 : Number(request.query.get("wait") ?? 25);
      this.poll(person, token, cursor, wait_s, connection);
    }
  }

  private stream(person: Person, token: string, cursor: string, connection: Connection): void {
    const bootstrap = () => `r${this.terms.revision}`;
    const told = (event: string) => {
      const data = JSON.stringify({ cursor: feed.cursor, bootstrap: bootstrap() });
      connection.write(`id: ${feed.cursor}\nevent: ${event}\ndata: ${data}\n\n`);
    };
    const feed = this.feed(person, token, cursor, connection, (page) => {
      if (page.isReset) {
        connection.write("event: reset\ndata: {}\n\n");
        feed.isReady = false;
      }
      connection.write(
        page.changes.map((change, at) => framed(change, page.places[at] ?? "")).join(""),
      );
      feed.cursor = page.cursor;
      if (!feed.isReady && !page.has_more) {
        feed.isReady = true;
        told("ready");
      }
    });
    connection.head(200, streamHeaders);
    connection.write("retry: 2000\n\n");
    if (cursor === person.changes.now()) {
      feed.isReady = true;
      told("ready");
    }
    const beat = () => {
      this.scheduler.after(heartbeat_ms, this.owner, () => {
        if (connection.isGone || !this.feeds.has(feed)) return this.leave(feed);
        told("heartbeat");
        beat();
      });
    };
    beat();
    feed.bring();
  }

  private poll(
    person: Person,
    token: string,
    cursor: string,
    wait_s: number,
    connection: Connection,
  ): void {
    let isAnswered = false;
    const answer = (
      page: Pick<Page, "cursor" | "changes" | "has_more" | "isReset">,
      after_s: number,
    ) => {
      if (isAnswered) return;
      isAnswered = true;
      this.leave(feed);
      this.say(connection, 200, {
        cursor: page.cursor,
        changes: page.changes,
        has_more: page.has_more,
        ...(page.isReset ? { reset: true } : {}),
        poll_after_s: after_s,
        bootstrap: `r${this.terms.revision}`,
      });
    };
    const feed = this.feed(person, token, cursor, connection, (page) => {
      if (page.changes.length > 0 || page.isReset) answer(page, 0);
      else if (wait_s === 0) answer(page, 15);
    });
    feed.isReady = true;
    // Who does not wait is told what there is: that there is nothing only where that is so.
    const patience_ms = wait_s === 0 && cursor !== person.changes.now() ? 1000 : wait_s * 1000;
    this.scheduler.after(patience_ms, this.owner, () => {
      if (!connection.isGone && this.feeds.has(feed))
        answer(
          { cursor: feed.cursor, changes: [], has_more: false, isReset: false },
          wait_s > 0 ? 0 : 15,
        );
    });
    feed.bring();
  }

  private feed(
    person: Person,
    token: string,
    cursor: string,
    connection: Connection,
    take: (page: Page) => void,
  ): Feed {
    const feed: Feed = {
      person,
      connection,
      token,
      cursor,
      isReady: false,
      isBringing: false,
      bring: () => {
        if (feed.isBringing) return;
        feed.isBringing = true;
        this.scheduler.after(this.chance.fraction() * 5, this.owner, () => {
          feed.isBringing = false;
          if (connection.isGone || !this.feeds.has(feed)) return this.leave(feed);
          if (feed.cursor === person.changes.now()) return;
          const page = person.changes.pull(feed.cursor, this.terms.page);
          take(page);
          feed.cursor = page.cursor;
          if (page.has_more) feed.bring();
        });
      },
      bye: (code, retry_after_s) => {
        this.leave(feed);
        const error = new Refused(retry_after_s === undefined ? 401 : 503, code, retry_after_s);
        if (!connection.hasHead) return this.refuse(connection, error);
        const more = retry_after_s === undefined ? {} : { retry_after_s };
        const retry =
          retry_after_s === undefined ? "" : `retry: ${Math.round(retry_after_s * 1000)}\n`;
        const said = JSON.stringify({ error: error.details(), ...more });
        connection.write(`${retry}event: bye\ndata: ${said}\n\n`);
        connection.end();
      },
    };
    this.feeds.add(feed);
    return feed;
  }

  private leave(feed: Feed): void {
    this.feeds.delete(feed);
  }

  // --- what is kept -------------------------------------------------------------------------------

  private items(person: Person, id: string, { query }: Request, connection: Connection): void {
    const row = person.conversation(id);
    const tree = person.tree(row);
    const all = [...row.items.values()]
      .filter((each) => each.item !== undefined)
      .sort((one, other) => one.branch - other.branch || one.position - other.position);
    const own = query.get("branch") === "all" ? all : person.path(row);
    const ordered = query.get("order") === "desc" ? own.reverse() : own;
    const after = query.get("after");
    const first = after === null ? 0 : ordered.findIndex((each) => each.id === after) + 1;
    if (after !== null && first === 0) throw new Refused(404, "item_not_found");
    const limit = Math.min(Number(query.get("limit") ?? 20), this.terms.page);
    const page = ordered.slice(first, first + limit);
    const parentOf = (id: string) => person.itemBefore(row.id, id);
    this.say(connection, 200, {
      object: "list",
      data: page.map((each) => ({
        id: each.id,
        object: "conversation.item",
        item: each.item,
        branch: each.branch,
        position: each.position,
        parent: tree.before(each) === undefined ? null : parentOf(each.id),
        siblings: [],
        response_id: each.response ?? null,
        created_at: Math.floor(each.created_at_ms / 1000),
        pinned: each.pinned,
      })),
      first_id: page[0]?.id ?? null,
      last_id: page.at(-1)?.id ?? null,
      has_more: first + limit < ordered.length,
    });
  }

  private response(person: Person, id: string, request: Request, connection: Connection): void {
    const answer = this.answers.get(id);
    if (answer?.person !== person) throw new Refused(404, "response_not_found");
    if (request.query.get("stream") !== "true") {
      const output =
        answer.ended === undefined
          ? outputOf(answer.plan, answer.facts, answer.events)
          : answer.output;
      const { status = "in_progress", code } = answer.ended ?? {};
      this.say(connection, 200, responseOf(answer.facts, status, output.filter(Boolean), code));
      return;
    }
    const said = request.query.get("starting_after") ?? request.headers["last-event-id"];
    if (said !== undefined && !/^\d{1,9}$/.test(said)) {
      this.complain(`starting_after is ${said}`);
      throw new Refused(400, "invalid_value");
    }
    const after = said === undefined ? undefined : Number(said);
    connection.head(200, streamHeaders);
    const tell = (event: AnswerEvent) => {
      if (connection.isGone) return;
      if (event.sequence_number > (after ?? -1)) connection.write(framedEvent(event));
      if (isTerminal(event)) connection.end();
    };
    if (answer.ended !== undefined && !answer.hasEvents) {
      const { facts, output, ended } = answer;
      const events =
        after === undefined
          ? retold(facts, output, ended)
          : [terminalOf(facts, output, ended, after + 1)];
      connection.write(events.map(framedEvent).join(""));
      connection.end();
      return;
    }
    for (const event of answer.events) tell(event);
    if (answer.ended !== undefined) {
      connection.end();
      return;
    }
    answer.followers.add(tell);
  }

  // --- answers ------------------------------------------------------------------------------------

  private desk(): Desk {
    return {
      admit: (text) => {
        if (this.terms.waits > 0) {
          this.terms.waits -= 1;
          throw new Refused(429, "rate_limit_exceeded", this.chance.between(1, 5));
        }
        if (text.includes("(refused)")) throw new Refused(400, "scripted_refusal");
        this.made += 1;
        return `resp_${this.made.toString(16).padStart(32, "0")}`;
      },
      answer: (person, row, response, text) => this.begin(person, row, response, text),
      cancel: (person, id) => {
        const answer = this.answers.get(id);
        if (answer?.person !== person) return false;
        if (answer.ended === undefined) {
          answer.isUnwanted = true;
          this.scheduler.after(this.chance.fraction() * 30, this.owner, () => {
            if (answer.ended === undefined) this.end(answer, { status: "cancelled" });
          });
        }
        return true;
      },
      isKnown: (person, id) => this.answers.get(id)?.person === person,
      complain: (words) => this.complain(words),
    };
  }

  private begin(person: Person, row: ConversationRow, id: string, text: string): void {
    const facts = { id, conversation: row.id, created_at: Math.floor(this.now_ms() / 1000) };
    const plan = planOf(text, this.chance.of(id));
    const answer: Answering = {
      facts,
      person,
      plan,
      script: eventsOf(plan, facts),
      events: [],
      followers: new Set(),
      isDispatched: false,
      isUnwanted: false,
      ended: undefined,
      output: [],
      hasEvents: true,
    };
    this.answers.set(id, answer);
    this.make(answer);
  }

  /** Wait for the model, then say one piece after the other. */
  private make(answer: Answering): void {
    const { facts, person, script, events, plan } = answer;
    const next = () => {
      this.scheduler.after(this.chance.fraction() * this.terms.piece_ms, this.owner, () => {
        if (answer.ended !== undefined) return;
        const event = script[events.length];
        const isBroken = plan.ends !== "completed" && events.length > script.length * 0.6;
        if (event === undefined || isBroken) {
          const code = plan.ends === "failed" ? { code: "provider_error" } : {};
          return this.end(answer, { status: plan.ends, ...code });
        }
        events.push(event);
        for (const tell of answer.followers) tell(event);
        next();
      });
    };
    this.scheduler.after(this.chance.fraction() * 600, this.owner, () => {
      if (answer.ended !== undefined) return;
      answer.isDispatched = true;
      person.turnIs(facts.conversation, facts.id, "answering");
      next();
    });
  }

  private end(answer: Answering, ended: Ended): void {
    const { facts, person, plan, events } = answer;
    const output = outputOf(plan, facts, events).filter(Boolean);
    const last = terminalOf(facts, output, ended, events.length);
    answer.ended = ended;
    answer.output = output;
    answer.hasEvents = !this.chance.happens(this.terms.forgets);
    const said = kept(output);
    const failed =
      ended.code ?? (ended.status === "cancelled" && said.length === 0 ? "cancelled" : undefined);
    person.leave(
      facts.conversation,
      facts.id,
      said,
      failed === undefined ? "answered" : `failed:${failed}`,
    );
    events.push(last);
    for (const tell of answer.followers) tell(last);
    answer.followers.clear();
  }

  // --- parts --------------------------------------------------------------------------------------

  private account(name: string) {
    let account = this.persons.get(name);
    if (account === undefined) {
      const epoch = this.chance.of(name).between(0x10000000, 0x7fffffff).toString(16);
      const person: Person = new Person(
        epoch,
        () => this.now_ms(),
        () => {
          for (const feed of this.feeds) if (feed.person === person) feed.bring();
        },
      );
      account = { person, entries: new Entries(person, this.desk()) };
      this.persons.set(name, account);
    }
    return account;
  }

  private say(
    connection: Connection,
    status: number,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    const date = new Date(this.now_ms()).toUTCString();
    connection.head(status, { "content-type": "application/json", date, ...headers });
    connection.write(JSON.stringify(body));
    connection.end();
  }

  private refuse(connection: Connection, error: Refused): void {
    const later =
      error.retry_after_s === undefined
        ? {}
        : { "retry-after": String(Math.ceil(error.retry_after_s)) };
    this.say(connection, error.status, { error: error.details() }, later);
  }

  private complain(words: string): void {
    this.complaints.push(words);
  }
}

/** What a model says to this. */
function planOf(text: string, chance: Chance): Plan {
  const words = [
    "So",
    " you",
    " said",
    ` “${text.slice(0, 24)}”`,
    ".",
    " Grüße",
    " 👩‍🚀",
    "\n\n",
    "Ok",
    " then",
    ",",
    " bye",
    " …",
  ];
  const count = text.includes("(mute)") ? 0 : chance.between(1, words.length);
  return {
    thoughts: text.includes("(thinks)") ? ["Hm", " …", " yes."] : [],
    words: words.slice(0, count),
    calls: text.includes("(tool)")
      ? [{ name: "look", arguments: `{"at":"${chance.between(1, 99)}"}` }]
      : [],
    ends: text.includes("(fails)") ? "failed" : text.includes("(cut)") ? "incomplete" : "completed",
  };
}

interface SyncAsked {
  readonly cursor?: string | null;
  readonly limit?: number;
  readonly push?: readonly unknown[];
}

function readSync(body: string): SyncAsked | undefined {
  let asked: SyncAsked & Readonly<Record<string, unknown>>;
  try {
    asked = JSON.parse(body);
  } catch {
    return undefined;
  }
  const { cursor, limit = 200, push = [], ...rest } = asked;
  if (Object.keys(rest).length > 0 || push.length > 100) return undefined;
  if (!Number.isInteger(limit) || limit < 0 || limit > 1000) return undefined;
  return limit === 0 && cursor == null ? undefined : asked;
}

function framed(change: Change, place: string): string {
  return `id: ${place}\nevent: ${change.type}\ndata: ${JSON.stringify(change)}\n\n`;
}

function framedEvent(event: AnswerEvent): string {
  return `id: ${event.sequence_number}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

function isTerminal({ type }: AnswerEvent): boolean {
  return /^response\.(completed|incomplete|failed)$/.test(type);
}
