// The branches of a conversation, as src/frontdesk/conversations/tree.py has them: where an item is, which comes before
// it, and where the next one goes. An item that was deleted keeps its place, and is passed over.

import type { Branch } from "../../wire.ts";

/** Where an item is. */
export interface Place {
  readonly branch: number;
  readonly position: number;
}

/** Where the next items go: at the end of a branch, which `isNew` where there is none yet. */
export interface Spot {
  readonly branch: Branch;
  readonly isNew: boolean;
}

export class Tree {
  constructor(
    readonly branches: readonly Branch[],
    private readonly isDeleted: (place: Place) => boolean,
  ) {}

  /** The places along a branch, from the beginning of the conversation, without those that were deleted. */
  path(number: number): Place[] {
    return this.along(number, this.branch(number).length);
  }

  /** The item before one; undefined where it is the first. */
  before({ branch, position }: Place): Place | undefined {
    return this.along(branch, position).at(-1);
  }

  /** Where items go that follow on this one; undefined is the beginning. */
  spotBehind(place: Place | undefined, chosen: number): Spot {
    if (isSame(this.tip(chosen), place)) return this.endOf(chosen);
    if (place !== undefined && isSame(this.tip(place.branch), place))
      return this.endOf(place.branch);
    const number = this.branches.length;
    const fork = place === undefined ? 0 : place.position + 1;
    const isOnChosen = place === undefined || isSame(this.placeIn(chosen, place.position), place);
    const parent = isOnChosen ? chosen : place.branch;
    return { branch: { number, parent, fork, length: fork }, isNew: true };
  }

  endOf(number: number): Spot {
    return { branch: this.branch(number), isNew: false };
  }

  private tip(number: number): Place | undefined {
    return this.path(number).at(-1);
  }

  private along(from: number, length: number): Place[] {
    const found: Place[] = [];
    let number: number | null = from;
    let until = length;
    while (number !== null && until > 0) {
      const branch: Branch = this.branch(number);
      for (let position = until - 1; position >= branch.fork; position -= 1) {
        const place = { branch: number, position };
        if (!this.isDeleted(place)) found.push(place);
      }
      until = Math.min(until, branch.fork);
      number = branch.parent;
    }
    return found.reverse();
  }

  private placeIn(number: number, position: number): Place {
    let branch = this.branch(number);
    while (position < branch.fork && branch.parent !== null) branch = this.branch(branch.parent);
    return { branch: branch.number, position };
  }

  private branch(number: number): Branch {
    const branch = this.branches[number];
    if (branch === undefined) throw new Error(`no branch ${number}`);
    return branch;
  }
}

function isSame(one: Place | undefined, other: Place | undefined): boolean {
  return one?.branch === other?.branch && one?.position === other?.position;
}
