"""Who waits, and in which order they are let in.

Five rings, one a class. Within a ring callers take turns, each with its oldest request, so that somebody's hundred
requests delay another's first by one. Whoever has waited `ageing_s` in a ring moves up into the next one, at most into
the second: nobody ages into an interactive request, but nobody newer goes before them for ever either.

    interactive   a  b  c        ◄── let in first
    draft         d  a  …           ▲
    prefetch                        │ after ageing_s
    background    e  f  e  e  …     │
    batch         …               ◄── the last that came is turned away where a higher one finds no room

Nothing here knows the time or who waits how: that is `slots`' matter.
"""

from __future__ import annotations

from asyncio import Future
from collections import OrderedDict
from collections.abc import Iterator

from frontdesk.core.config import PRIORITIES, Priority
from frontdesk.core.errors import ProviderFull
from frontdesk.scheduling.depths import Depths
from frontdesk.turn.turn import Turn

LEVELS: dict[Priority, int] = {priority: level for level, priority in enumerate(PRIORITIES)}
"""The ring in which the requests of a class begin to wait."""

Who = tuple[str, str]
"""A caller: the tenant, and the person or credential."""


class Waiter:
    """A turn that waits. `level` and `level_since` move with its age; `granted` becomes None or the refusal.

    Times are by the clock's `monotonic`. `tell` is the turn's, None where nothing is told: nobody asked for it, or a
    provider is being asked already beside this wait. `told_place` is what was told last, `told_at` when.
    """

    __slots__ = (
        "granted",
        "has_slot",
        "level",
        "level_since",
        "since",
        "tell",
        "told_at",
        "told_place",
        "turn",
        "until",
        "who",
    )

    def __init__(self, turn: Turn, who: Who, since: float, until: float, granted: Future[ProviderFull | None]) -> None:
        self.turn = turn
        self.who = who
        self.level = LEVELS[turn.priority]
        self.since = self.level_since = since
        self.until = until
        self.granted = granted
        self.has_slot = False
        self.tell = None if turn.is_asking else turn.tell
        self.told_place = 0
        self.told_at = since


class Ring:
    """Those who wait in one class. All but `in_order` is O(1), or O(log n) where it says where one stands."""

    __slots__ = ("_depths", "_entered", "_of_caller")

    def __init__(self) -> None:
        self._of_caller: OrderedDict[Who, OrderedDict[Waiter, None]] = OrderedDict()
        self._entered: OrderedDict[Waiter, None] = OrderedDict()
        self._depths = Depths()

    def __len__(self) -> int:
        return len(self._entered)

    def __contains__(self, waiter: Waiter) -> bool:
        return waiter in self._entered

    @property
    def first_entered(self) -> Waiter:
        """Who came into this ring first."""
        return next(iter(self._entered))

    @property
    def last_entered(self) -> Waiter:
        """Who came into this ring last."""
        return next(reversed(self._entered))

    def add(self, waiter: Waiter) -> None:
        """Let one more wait, behind the others of its caller."""
        theirs = self._of_caller.get(waiter.who)
        if theirs is None:
            theirs = self._of_caller[waiter.who] = OrderedDict()
        theirs[waiter] = None
        self._entered[waiter] = None
        self._depths.add(len(theirs), 1)

    def remove(self, waiter: Waiter) -> None:
        """Let one go."""
        theirs = self._of_caller[waiter.who]
        self._depths.add(len(theirs), -1)
        del theirs[waiter]
        del self._entered[waiter]
        if not theirs:
            del self._of_caller[waiter.who]

    def next(self) -> Waiter:
        """Who is let in next."""
        return next(iter(next(iter(self._of_caller.values()))))

    def rotate(self, who: Who) -> None:
        """Let all other callers have their turn before this one, which was let in."""
        if who in self._of_caller:
            self._of_caller.move_to_end(who)

    def last_of(self, who: Who) -> Waiter | None:
        """The last one of a caller."""
        return next(reversed(self._of_caller.get(who, ())), None)

    def ahead_of_one_more(self, who: Who) -> int:
        """How many are let in before one more request of this caller: as many rounds as it makes them wait."""
        theirs = self._of_caller.get(who, ())
        return self._depths.up_to(len(theirs) + 1)

    def in_order(self) -> Iterator[Waiter]:
        """All, in the order in which they are let in. O(n) in all."""
        round_ = [iter(theirs) for theirs in self._of_caller.values()]
        while round_:
            going_on: list[Iterator[Waiter]] = []
            for theirs in round_:
                waiter = next(theirs, None)
                if waiter is not None:
                    yield waiter
                    going_on.append(theirs)
            round_ = going_on


class Waiting:
    """All who wait for the slots of one provider."""

    __slots__ = ("_ageing_s", "_count", "_count_of", "_rings")

    def __init__(self, ageing_s: float) -> None:
        self._ageing_s = ageing_s
        self._rings = [Ring() for _ in PRIORITIES]
        self._count = 0
        self._count_of: dict[Who, int] = {}

    def __len__(self) -> int:
        return self._count

    def __contains__(self, waiter: Waiter) -> bool:
        return waiter in self._rings[waiter.level]

    def __iter__(self) -> Iterator[Waiter]:
        """All, in the order in which they are let in as things stand."""
        for ring in self._rings:
            yield from ring.in_order()

    def add(self, waiter: Waiter) -> None:
        """Let one more wait, who comes now."""
        self.age(waiter.since)
        self._rings[waiter.level].add(waiter)
        self._count += 1
        self._count_of[waiter.who] = self._count_of.get(waiter.who, 0) + 1

    def remove(self, waiter: Waiter) -> None:
        """Let one go, whom nobody waits for any more."""
        self._rings[waiter.level].remove(waiter)
        self._count -= 1
        self._count_of[waiter.who] -= 1
        if not self._count_of[waiter.who]:
            del self._count_of[waiter.who]

    def let_in(self, waiter: Waiter) -> None:
        """Let one go who had its turn."""
        self.remove(waiter)
        self._rings[waiter.level].rotate(waiter.who)

    def age(self, now: float) -> None:
        """Move up those who waited long enough. O(1) for each move, of which nobody has more than three.

        Each is in its ring as of when it was due there. Since nobody comes without those due being moved first, a
        ring's first is always the one that is due next.
        """
        for level in range(len(self._rings) - 1, _HIGHEST_BY_AGE, -1):
            ring, above = self._rings[level], self._rings[level - 1]
            while ring and now - ring.first_entered.level_since >= self._ageing_s:
                waiter = ring.first_entered
                ring.remove(waiter)
                waiter.level -= 1
                waiter.level_since += self._ageing_s
                above.add(waiter)

    def next(self) -> Waiter | None:
        """Who is let in next, of all."""
        for ring in self._rings:
            if ring:
                return ring.next()
        return None

    def next_interactive(self) -> Waiter | None:
        """Who is let in next, of those who wait for an answer themselves."""
        ring = self._rings[0]
        return ring.next() if ring else None

    def oldest_of_others(self) -> Waiter | None:
        """Who waits longest, of those who are not interactive."""
        firsts = [ring.first_entered for ring in self._rings[1:] if ring]
        return min(firsts, key=_since, default=None)

    def oldest(self) -> Waiter | None:
        """Who waits longest."""
        firsts = [ring.first_entered for ring in self._rings if ring]
        return min(firsts, key=_since, default=None)

    def last_below(self, level: int) -> Waiter | None:
        """Who came last into the lowest ring, where that is lower than `level`."""
        for ring in reversed(self._rings[level + 1 :]):
            if ring:
                return ring.last_entered
        return None

    def last_of_the_busiest(self, level: int, who: Who) -> Waiter | None:
        """The last one, of this class or a lower one, of the caller who has most; None where one more of this caller
        would be as many. O(callers) where anybody has two.
        """
        count_of = self._count_of
        if len(count_of) == self._count:
            return None
        busiest = max(count_of, key=count_of.__getitem__)
        if count_of[busiest] <= count_of.get(who, 0) + 1:
            return None
        theirs = (ring.last_of(busiest) for ring in reversed(self._rings))
        return next((each for each in theirs if each is not None and LEVELS[each.turn.priority] >= level), None)

    def place_of_one_more(self, level: int, who: Who) -> int:
        """Where one more request of this class and caller would stand, from 1."""
        before = sum(len(ring) for ring in self._rings[:level])
        return before + self._rings[level].ahead_of_one_more(who) + 1


_HIGHEST_BY_AGE = 1


def _since(waiter: Waiter) -> float:
    return waiter.since
