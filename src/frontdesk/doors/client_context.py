"""The header Frontdesk-Context: what a client says of itself becomes values of its feature's variables.

    Frontdesk-Context: locale="de-DE", time_zone="Europe/Berlin", location="52.5,13.4";consent, screen="cart"

A client sends it always, whatever the feature. So what no variable of the feature is for is passed over, whatever it
is, and goes no further. A location without consent is one that was not said; of one with it, coordinates are coarse
before anything else sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from frontdesk.core.config import CLIENTS_OWN, Variable
from frontdesk.core.errors import BadRequest
from frontdesk.core.locality import CONSENT, coarse_place
from frontdesk.http.structured_fields import MalformedField, Member, parse_dictionary, render_dictionary

MAX_BYTES = 1024


class ClientContext(NamedTuple):
    """What is taken of a header: `values` for variables, by their names, and `header`, which says this much again."""

    values: Mapping[str, str]
    header: str


def read_context(header: bytes, variables: Mapping[str, Variable], said: Mapping[str, str]) -> ClientContext:
    """Take what these variables are for, but for those that a request says itself.

    A value is as a request would write it, and checked where that is. Raises BadRequest, which repeats no value.
    """
    if len(header) > MAX_BYTES:
        raise _malformed(f"has {len(header):,} bytes. It may have at most {MAX_BYTES:,}.")
    try:
        members = parse_dictionary(header.decode("latin-1"))
    except MalformedField as fault:
        raise _malformed(f"is no dictionary of RFC 9651. {fault} {_EXAMPLE}") from None
    values: dict[str, str] = {}
    taken: dict[str, Member] = {}
    for name, variable in variables.items():
        if variable.type not in CLIENTS_OWN or name in said or variable.type not in members:
            continue
        member = _taken(variable.type, members[variable.type])
        if member is not None:
            taken[variable.type] = member
            values[name] = f"{member.value};{CONSENT}" if member.parameters else str(member.value)
    return ClientContext(values, render_dictionary(taken))


def _taken(name: str, member: Member) -> Member | None:
    """A member as it counts; None where it says nothing."""
    if name == "location" and member.parameters.get(CONSENT) is not True:
        return None
    if not isinstance(member.value, str):
        raise _malformed(f"has a {name!r} that is no string. {_EXAMPLE}")
    if not member.value:
        return None
    return Member(coarse_place(member.value), {CONSENT: True}) if name == "location" else Member(member.value, {})


def _malformed(fault: str) -> BadRequest:
    return BadRequest(f"The header Frontdesk-Context {fault}", code="invalid_context")


_EXAMPLE = (
    'Write it as: locale="de-DE", time_zone="Europe/Berlin", location="52.5,13.4";consent, screen="cart". What is not '
    'ASCII is a display string: location=%"K%c3%b6ln";consent.'
)
