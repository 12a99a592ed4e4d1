"""People: what is said of them, and what of it counts now.

Recognising somebody needs to know their tier and whether they still are who they were. That is read
once and kept (`PersonStanding`) until it changes: changes of this process take it back at once, those of
others when `learn` finds them. What was made of a standing asks it whether it still `holds`, so that
one person's change costs nobody else anything.
"""

from __future__ import annotations

from collections import OrderedDict

from frontdesk.accounts.store import AccountStore, AllTenants, PersonRow
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import BadRequest, NotFound
from frontdesk.storage.database import Database

MAX_NAME_CHARS = 128
NAME_RULE = f"1 to {MAX_NAME_CHARS} printable characters, and neither '.' nor '..'"
"""What a name must be, in words."""
# Changes that no look finds, as those of a machine whose clock is behind by minutes, count after this.
TRUSTED_S = 3600.0
_MAX_STANDINGS = 50_000


class Standing:
    """Whether something that was learnt still holds. Once it does not, it never will again."""

    __slots__ = ("holds",)

    def __init__(self) -> None:
        self.holds = True


class PersonStanding(Standing):
    """What counts of a person; `row` is None while it is being read."""

    __slots__ = ("read_at", "row")

    def __init__(self) -> None:
        super().__init__()
        self.row: PersonRow | None = None
        self.read_at = 0.0


class People:
    """The people of all tenants."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._all = AllTenants(database)
        self._standings: OrderedDict[tuple[str, str], PersonStanding] = OrderedDict()

    # --- what counts now --------------------------------------------------------------------

    async def standing(self, tenant: str, person: str) -> tuple[PersonRow, Standing] | None:
        """What counts of a person; None where there is no such person.

        The standing holds when this returns. Asks nobody where they are known.
        """
        while True:
            standing = self._known(tenant, person) or self._begin_reading(tenant, person)
            if standing.row is not None:
                return standing.row, standing
            row = await AccountStore(self._database, tenant).find_person(person)
            if row is None:
                self.forget(tenant, person)
                return None
            # What changed meanwhile was forgotten: then this standing is not the one that is found next.
            standing.row = row
            standing.read_at = self._clock.now()

    async def ensure(self, tenant: str, person: str) -> tuple[PersonRow, Standing]:
        """What counts of a person, who comes into being where they have not yet."""
        while (found := await self.standing(tenant, person)) is None:
            await AccountStore(self._database, tenant).ensure_person(person, unix_ms(self._clock))
        return found

    def forget(self, tenant: str, person: str) -> None:
        """Something of this person has changed: let nothing hold that was made of what was."""
        standing = self._standings.pop((tenant, person), None)
        if standing is not None:
            standing.holds = False

    async def learn(self, since_ms: int) -> None:
        """Learn what other processes have changed since this time."""
        if not self._standings:
            return
        for row in await self._all.persons_changed_since(since_ms):
            standing = self._standings.get((row.tenant, row.id))
            # One that is being read may have been read before the change.
            if standing is not None and standing.row != row:
                self.forget(row.tenant, row.id)

    def _known(self, tenant: str, person: str) -> PersonStanding | None:
        key = tenant, person
        standing = self._standings.get(key)
        if standing is None:
            return None
        if standing.row is not None and standing.read_at + TRUSTED_S <= self._clock.now():
            self.forget(tenant, person)
            return None
        self._standings.move_to_end(key)
        return standing

    def _begin_reading(self, tenant: str, person: str) -> PersonStanding:
        standing = self._standings[tenant, person] = PersonStanding()
        if len(self._standings) > _MAX_STANDINGS:
            _, oldest = self._standings.popitem(last=False)
            oldest.holds = False
        return standing

    # --- what is said of them ---------------------------------------------------------------

    async def assign_tier(self, tenant: str, person: str, tier: str | None) -> PersonRow:
        """Set the tier that an operator gives, over all others; None takes it back.

        The person comes into being. It counts at once for all of their sessions.
        """
        check_name(person)
        row = await AccountStore(self._database, tenant).assign_tier(person, tier, unix_ms(self._clock))
        self.forget(tenant, person)
        return row

    async def find(self, tenant: str, person: str) -> PersonRow:
        """The person of this id. Raises NotFound."""
        row = await AccountStore(self._database, tenant).find_person(person) if is_name(person) else None
        if row is None:
            raise NotFound(f"There is no user {person!r}.", code="user_not_found")
        return row

    async def list(self, tenant: str, after: str, limit: int) -> list[PersonRow]:
        """People in order of their ids, from behind `after`; none who became another."""
        if after and not is_name(after):
            raise BadRequest(f"'after' is {after!r}, which is no user's id.", code="invalid_value", param="after")
        return await AccountStore(self._database, tenant).list_persons(after, limit)


def is_name(text: str) -> bool:
    """Whether this can be a person's id, or the name of a group.

    `.` and `..` cannot: clients take them out of paths, escaped or not, and ask for another thing (RFC 3986 §5.2.4).
    """
    return 1 <= len(text) <= MAX_NAME_CHARS and text.isprintable() and text not in {".", ".."}


def check_name(person: str) -> None:
    """Raise BadRequest for what cannot be a person's id."""
    if not is_name(person):
        raise BadRequest(f"'user' must be {NAME_RULE}.", code="invalid_value", param="user")
