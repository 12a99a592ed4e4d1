// Virtual time. All that happens in a simulation is a step of one queue; between two steps nothing happens at all.
//
//     at(3 ms, a tab, act) ──► queue, by time and then by age ──► step(): act, and all that follows on it at once
//
// What follows at once are the promises that a step resolved, and what waits for those, however deep. So an order of
// events is a function of what was put into the queue, and a process can be killed between any two steps.

/** Whose steps they are. Those of one that is dead never happen; those of one that is frozen happen when it is not. */
export interface Owner {
  readonly name: string;
  isAlive: boolean;
  isFrozen: boolean;
}

interface Step {
  at_ms: number;
  readonly age: number;
  readonly owner: Owner;
  readonly act: () => void;
  isOff: boolean;
}

export class Scheduler {
  now_ms = 0;
  /** How many steps there were. */
  steps = 0;
  /** What broke outside of all promises. */
  readonly failures: unknown[] = [];
  private readonly queue: Step[] = [];
  private readonly held = new Map<Owner, Step[]>();
  private age = 0;

  /** Have something happen after so long. The returned function takes it back. */
  after(delay_ms: number, owner: Owner, act: () => void): () => void {
    const at_ms = this.now_ms + Math.max(delay_ms, 0);
    const step: Step = { at_ms, age: this.age, owner, act, isOff: false };
    this.age += 1;
    this.push(step);
    return () => {
      step.isOff = true;
    };
  }

  /** A promise that resolves in a step of its owner's; never, where that dies before. */
  later<T>(delay_ms: number, owner: Owner, result: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.after(delay_ms, owner, () => {
        try {
          resolve(result());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** Let all go on that was held while its owner was frozen, in its order. */
  thaw(owner: Owner): void {
    owner.isFrozen = false;
    const steps = this.held.get(owner) ?? [];
    this.held.delete(owner);
    for (const step of steps) {
      step.at_ms = this.now_ms;
      this.push(step);
    }
  }

  /** Do the next step, if it is due by then. False where there is none. */
  async step(until_ms = Number.POSITIVE_INFINITY): Promise<boolean> {
    for (;;) {
      const step = this.queue[0];
      if (step === undefined || step.at_ms > until_ms) return false;
      this.pop();
      if (step.isOff || !step.owner.isAlive) continue;
      if (step.owner.isFrozen) {
        const held = this.held.get(step.owner);
        if (held === undefined) this.held.set(step.owner, [step]);
        else held.push(step);
        continue;
      }
      this.now_ms = Math.max(this.now_ms, step.at_ms);
      this.steps += 1;
      try {
        step.act();
      } catch (error) {
        this.failures.push(error);
      }
      await settled();
      return true;
    }
  }

  // Each begins with what was asked for outside of a step.

  /** Do so many steps. */
  async runSteps(count: number): Promise<void> {
    await settled();
    for (let done = 0; done < count; done += 1) if (!(await this.step())) return;
  }

  /** Do all that happens in the next so many milliseconds. */
  async runFor(duration_ms: number): Promise<void> {
    const until_ms = this.now_ms + duration_ms;
    await settled();
    while (await this.step(until_ms));
    this.now_ms = Math.max(this.now_ms, until_ms);
  }

  /** Go on until something holds, for so long at most; whether it does. */
  async runUntil(holds: () => boolean, most_ms: number): Promise<boolean> {
    const until_ms = this.now_ms + most_ms;
    await settled();
    while (!holds()) if (!(await this.step(until_ms))) return holds();
    return true;
  }

  // A heap: the earliest step is the first, of those at the same time the one that was put in first.

  private push(step: Step): void {
    const queue = this.queue;
    let place = queue.length;
    queue.push(step);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = queue[above];
      if (parent === undefined || isBefore(parent, step)) break;
      queue[place] = parent;
      place = above;
    }
    queue[place] = step;
  }

  private pop(): void {
    const queue = this.queue;
    const last = queue.pop();
    if (last === undefined || queue.length === 0) return;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      let child = queue[below];
      const other = queue[below + 1];
      if (child !== undefined && other !== undefined && isBefore(other, child)) {
        below += 1;
        child = other;
      }
      if (child === undefined || isBefore(last, child)) break;
      queue[place] = child;
      place = below;
    }
    queue[place] = last;
  }
}

/** Wait until all promises have done what they do by themselves. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isBefore(one: Step, other: Step): boolean {
  return one.at_ms < other.at_ms || (one.at_ms === other.at_ms && one.age < other.age);
}
