// Answers while they are made. Each is listened to from the place up to which it is kept; what is shown is ahead of what is kept
// by less than half a second, and is had again where the process ends in between.

import { ask } from "./asking.ts";
import type { Activity } from "./core/activity.ts";
import { begin, hear, look, sizeOf } from "./core/answer.ts";
import { ANSWER, keyOf, write } from "./core/keys.ts";
import { isOver } from "./core/said.ts";
import { type Lane, openLane } from "./lane.ts";
import type { Lead } from "./lead.ts";
import { openScope, type Scope } from "./scope.ts";
import type { SessionWiring } from "./session.ts";
import type { Answer } from "./state.ts";
import type { Ending, Told, Transport } from "./transport.ts";
import type { AnswerEvent, Snapshot } from "./wire.ts";

export interface Following {
  /** Listen to what is worth it now. */
  attend(activity: Activity): void;
  hurry(): void;
}

/** What the views take in place of what is kept, by response. */
export interface Fresher {
  get(response: string): Answer | undefined;
  set(response: string, answer: Answer | undefined): void;
}

/** What is noted of an answer for its vitals. */
export interface Course {
  readonly transport: string | undefined;
  readonly resumes: number;
}

const KEEP_MS = 300;

interface Followed {
  /** What is shown and kept. */
  answer: Answer;
  /** What was heard: less than is shown, where an answer that was looked at is told from its beginning. */
  heard: Answer;
  readonly scope: Scope;
  readonly lane: Lane;
  isChanged: boolean;
  isFirstLoss: boolean;
  stop: () => void;
}

export function makeFollowing(
  lead: Lead,
  fresher: Fresher,
  noted: (response: string, course: Course) => void,
): Following {
  const { effects, replica, session, scope, ways } = lead;
  const { clock } = effects;
  const followed = new Map<string, Followed>();
  /** Those that the server has nothing to tell of. */
  const given = new Set<string>();
  const resumes = new Map<string, number>();

  const attend = (activity: Activity): void => {
    if (scope.isOver) return;
    const wanted = activity === "live" || activity === "catching_up" ? choose() : [];
    for (const [response, each] of followed)
      if (!wanted.some((answer) => answer.response === response)) leave(each);
    for (const answer of wanted) if (!followed.has(answer.response)) follow(answer);
  };

  /** The newest first. */
  const choose = (): Answer[] => {
    const { answers, conversations } = replica.held;
    const found = [...answers.values()].reverse().filter((answer) => !isOver(answer));
    for (const { id, response } of conversations.values()) {
      if (response !== undefined && lead.isOpen(id) && !answers.has(response))
        found.unshift(begin(response, id));
    }
    return found.filter(({ response }) => !given.has(response)).slice(0, lead.bounds.answers);
  };

  const follow = (answer: Answer): void => {
    const fresh = fresher.get(answer.response) ?? answer;
    const each: Followed = {
      answer: fresh,
      heard: fresh,
      scope: openScope(clock, scope),
      lane: openLane(effects),
      isChanged: false,
      isFirstLoss: true,
      stop: () => {},
    };
    followed.set(answer.response, each);
    // Nothing is shown of it that has no place in the store.
    if (isOver(each.answer) || !replica.held.answers.has(answer.response))
      void save(each, true).then(() => listen(each));
    else listen(each);
  };

  const leave = (each: Followed): void => {
    if (followed.get(each.answer.response) === each) followed.delete(each.answer.response);
    each.stop();
    each.scope.end();
    if (each.isChanged) void save(each);
  };

  // --- one of them ----------------------------------------------------------------------------

  const listen = (each: Followed): void => {
    each.stop();
    if (each.scope.isOver) return;
    if (each.lane.wait_ms > 0) {
      each.stop = each.scope.later(each.lane.wait_ms, () => listen(each));
      return;
    }
    const way = ways.choose();
    if (way === undefined) return;
    const { response, after } = each.heard;
    noted(response, { transport: way.name, resumes: resumes.get(response) ?? 0 });
    const wiring = session.wiring();
    let isOff = false;
    const stop = way.listen(
      wiring,
      { kind: "answer", response, after },
      {
        told: (told) => {
          if (!isOff) heard(each, told);
        },
        ended: (ending) => {
          if (isOff) return;
          isOff = true;
          ended(each, ending, way.name, wiring);
        },
      },
    );
    each.stop = each.scope.own(() => {
      isOff = true;
      stop();
    });
  };

  const heard = (each: Followed, told: Told): void => {
    if (told.type !== "event") return;
    const { event } = told;
    const next =
      event.type === "frontdesk.snapshot"
        ? look(each.heard, (event as Snapshot).response)
        : hear(each.heard, event as AnswerEvent);
    if (next === undefined) {
      // Something is missing between.
      again(each);
      return;
    }
    if (next === each.heard) return;
    each.lane.went();
    each.isFirstLoss = true;
    took(each, next);
  };

  const took = (each: Followed, next: Answer): void => {
    each.heard = next;
    if (!isOver(next) && sizeOf(next.output) < sizeOf(each.answer.output)) return;
    each.answer = next;
    fresher.set(next.response, next);
    if (isOver(next)) {
      each.isChanged = true;
      each.stop();
      void save(each);
    } else if (!each.isChanged) {
      each.isChanged = true;
      each.scope.later(KEEP_MS, () => void save(each));
    }
  };

  /** Keep it with its place; and with its end, what it wants done here. */
  const save = async (each: Followed, isFirst = false): Promise<void> => {
    const { response, conversation } = each.answer;
    each.isChanged = false;
    const { answer } = each;
    const fate = await replica.change(
      () => {
        const { answers, calls, conversations } = replica.held;
        const kept = answers.get(response);
        // It was told by the changes meanwhile, or deleted.
        if (kept === undefined && (!isFirst || !conversations.has(conversation))) return undefined;
        if (kept !== undefined && isOver(kept)) return undefined;
        const asked = isOver(answer) && answer.isOurs ? lead.callsOf(answer) : [];
        return {
          writes: [
            write(keyOf(ANSWER, conversation, response), answer),
            ...asked.filter(([key]) => !calls.has(key)).map(([key, call]) => write(key, call)),
          ],
          guards: [],
        };
      },
      { isLeading: true },
    );
    if (fate !== "moot" && fresher.get(response) === answer) fresher.set(response, undefined);
    if (fate === "moot" || isOver(answer)) {
      if (followed.get(response) === each) followed.delete(response);
      if (fate !== "moot") given.add(response);
      each.stop();
      each.scope.end();
      lead.look();
    }
  };

  const again = (each: Followed, retryAfter_s?: number): void => {
    const { response } = each.answer;
    const count = (resumes.get(response) ?? 0) + 1;
    resumes.set(response, count);
    // The first time at once.
    if (each.isFirstLoss && retryAfter_s === undefined) each.isFirstLoss = false;
    else each.lane.failed(retryAfter_s);
    listen(each);
  };

  const ended = (
    each: Followed,
    ending: Ending,
    name: Transport["name"],
    wiring: SessionWiring,
  ): void => {
    switch (ending.why) {
      case "complete":
        if (!isOver(each.answer)) void inspect(each);
        return;
      case "lost":
        again(each, ending.retryAfter_s);
        return;
      case "silent":
      case "unfit":
        if (!ways.shun(name)) each.lane.failed();
        listen(each);
        return;
      case "refused":
        if (ending.status === 401) {
          each.lane.failed();
          wiring.refused(ending.code).then(
            () => {
              each.lane.hurry();
              listen(each);
            },
            () => lead.look(),
          );
        } else if (ending.status === 429 || ending.status === 503) again(each, ending.retryAfter_s);
        else giveUp(each);
    }
  };

  /** The stream has nothing more to tell, and did not tell its end. */
  const inspect = async (each: Followed): Promise<void> => {
    const path = `/v1/responses/${encodeURIComponent(each.answer.response)}`;
    const reply = await ask(clock, session, each.scope, path, { method: "GET" });
    if (each.scope.isOver) return;
    if (reply.was === "refused" && reply.status === 404) {
      giveUp(each);
      return;
    }
    if (reply.was === "answered") {
      const next = look(each.heard, reply.body as Parameters<typeof look>[1]);
      if (next !== each.heard) took(each, next);
      if (isOver(next)) return;
    }
    again(each, reply.was === "answered" ? undefined : reply.retryAfter_s);
  };

  const giveUp = (each: Followed): void => {
    const { response, conversation } = each.answer;
    given.add(response);
    each.isChanged = false;
    leave(each);
    void replica
      .change(
        () =>
          replica.held.answers.has(response)
            ? { writes: [[keyOf(ANSWER, conversation, response), undefined]], guards: [] }
            : undefined,
        { isLeading: true },
      )
      .then(lead.look);
  };

  return {
    attend,
    hurry() {
      for (const each of followed.values()) {
        if (each.lane.wait_ms === 0) continue;
        each.lane.hurry();
        listen(each);
      }
    },
  };
}
