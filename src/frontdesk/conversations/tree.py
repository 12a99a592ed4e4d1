"""Branches of a conversation: which items come before one, which stand beside it, where the next one goes.

    position   0   1   2   3   4
    branch 0   q1──a1──q2──a2           length 4
    branch 1        │   └──a2'──q3'     parent 0, fork 3, length 5
    branch 2        └──q2'──a2''        parent 1, fork 2, length 4

A branch goes along its parent up to `fork`, where its own items begin. Its parent is the branch that was chosen when
it was made, if that goes through the item before, which may be another branch's own. So every item has one place that
is its own, a branch and a position, whichever branches go through it. An item that was deleted keeps its place, and
nobody is shown it: here it is passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

MOST_BRANCHES = 100
"""Of a conversation."""

MOST_ITEMS = 10_000
"""Of a conversation, in all of its branches, those that were deleted included."""


class Place(NamedTuple):
    """Where an item is."""

    branch: int
    position: int


class Stretch(NamedTuple):
    """Places of one branch: from the position `first` up to `until`, which is not one of them."""

    branch: int
    first: int
    until: int


class Branch(msgspec.Struct, frozen=True):
    """A branch; `length` is the position of its next item."""

    number: int
    parent: int | None
    fork: int
    length: int


class Spot(NamedTuple):
    """Where the next items go: at the position `first` of a branch, which is `new` where there is none yet."""

    branch: Branch
    is_new: bool

    @property
    def first(self) -> int:
        """The position of the first of them."""
        return self.branch.length


class Tree:
    """The branches of a conversation, numbered from 0, and the places of what was deleted."""

    def __init__(self, branches: Sequence[Branch], deleted: Collection[Place] = frozenset()) -> None:
        self.branches = branches
        self._deleted = deleted
        self._behind: dict[Place | None, list[Place]] = {}
        self._begins: dict[Place | None, list[Branch]] = {}
        for branch in branches:
            self._begins.setdefault(self._fork_of(branch), []).append(branch)

    @property
    def size(self) -> int:
        """How many places there are."""
        return sum(branch.length - branch.fork for branch in self.branches)

    # --- along a branch -------------------------------------------------------------------------

    def path(self, number: int) -> list[Stretch]:
        """All places of a branch, from the beginning of the conversation."""
        return self._path(number, self.branches[number].length)

    def path_to(self, place: Place | None) -> list[Stretch]:
        """All places up to this one, which is the last; none for None."""
        return [] if place is None else self._path(place.branch, place.position + 1)

    def _path(self, number: int | None, until: int) -> list[Stretch]:
        found: list[Stretch] = []
        while number is not None and until > 0:
            branch = self.branches[number]
            if branch.fork < until:
                found.append(Stretch(number, branch.fork, until))
            until = min(until, branch.fork)
            number = branch.parent
        return found[::-1]

    def tip(self, number: int) -> Place | None:
        """The last item of a branch; None where it has none."""
        return next(self._back(self.path(number)), None)

    def before(self, place: Place) -> Place | None:
        """The item before one; None where it is the first."""
        return next(self._back(self._path(place.branch, place.position)), None)

    def _back(self, path: list[Stretch]) -> Iterator[Place]:
        for stretch in reversed(path):
            for position in range(stretch.until - 1, stretch.first - 1, -1):
                if (place := Place(stretch.branch, position)) not in self._deleted:
                    yield place

    # --- beside each other ----------------------------------------------------------------------

    def beside(self, place: Place) -> list[Place]:
        """The items that follow on the same one as this one, itself included, in the order of their branches."""
        return self.behind(self.before(place))

    def behind(self, place: Place | None) -> list[Place]:
        """The items that follow on one, in the order of their branches; those that are the first for None."""
        found = self._behind.get(place)
        if found is None:
            found = self._behind[place] = sorted(self._following(place))
        return found

    def _following(self, place: Place | None) -> Iterator[Place]:
        waiting = list(self._next(place))
        while waiting:
            each = waiting.pop()
            if each in self._deleted:
                waiting += self._next(each)
            else:
                yield each

    def _next(self, place: Place | None) -> Iterator[Place]:
        """The places that come at once behind one, whatever was deleted."""
        if place is not None and place.position + 1 < self.branches[place.branch].length:
            yield Place(place.branch, place.position + 1)
        for branch in self._begins.get(place, ()):
            if branch.fork < branch.length:
                yield Place(branch.number, branch.fork)

    def _fork_of(self, branch: Branch) -> Place | None:
        """The place behind which a branch begins."""
        if branch.fork == 0 or branch.parent is None:
            return None
        return self._place_in(branch.parent, branch.fork - 1)

    def _place_in(self, number: int, position: int) -> Place:
        """The place at this position on the way along a branch."""
        branch = self.branches[number]
        while position < branch.fork and branch.parent is not None:
            branch = self.branches[branch.parent]
        return Place(branch.number, position)

    # --- growing --------------------------------------------------------------------------------

    def spot_behind(self, place: Place | None, chosen: int) -> Spot:
        """Where items go that follow on this one, or that begin the conversation: at the end of a branch that ends with
        it, the chosen one if possible; else in a new branch.
        """
        if self.tip(chosen) == place:
            return self.end_of(chosen)
        if place is not None and self.tip(place.branch) == place:
            return self.end_of(place.branch)
        number = len(self.branches)
        if place is None:
            return Spot(Branch(number, chosen, 0, 0), is_new=True)
        fork = place.position + 1
        parent = chosen if self._place_in(chosen, place.position) == place else place.branch
        return Spot(Branch(number, parent, fork, fork), is_new=True)

    def end_of(self, number: int) -> Spot:
        """Where items go at the end of a branch."""
        return Spot(self.branches[number], is_new=False)


def cut(path: Iterable[Stretch], first: int, until: int) -> list[Stretch]:
    """What of a path lies from one position up to another."""
    parts = (Stretch(number, max(start, first), min(end, until)) for number, start, end in path)
    return [part for part in parts if part.first < part.until]
