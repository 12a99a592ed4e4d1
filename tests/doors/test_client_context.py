"""The header Frontdesk-Context: what is declared is taken, the rest goes no further, and no place without consent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.config import Config, Feature, Model, Variable
from frontdesk.core.errors import BadRequest
from frontdesk.core.variables import read_value
from frontdesk.doors.client_context import MAX_BYTES, ClientContext, read_context
from frontdesk.doors.desk import Desk, Visit
from frontdesk.http.requests import Head
from frontdesk.http.structured_fields import Member, parse_dictionary, render_dictionary
from frontdesk.policies.access import Access
from frontdesk.policies.features import Features
from frontdesk.turn.items import EmbeddingRequest, Message, Prompt, Request
from frontdesk.turn.turn import Caller, Turn
from tests.fakes import HandClock

HEADER = b'locale="de-DE", time_zone="Europe/Berlin", location="52.5200,13.4050";consent, screen="cart"'
VARIABLES: dict[str, Variable] = {
    "language": Variable("locale"),
    "zone": Variable("time_zone"),
    "place": Variable("location", default="not known"),
    "where": Variable("screen"),
    "name": Variable(),
}


def declared(*names: str) -> dict[str, Variable]:
    return {name: VARIABLES[name] for name in names}


def test_what_variables_are_for_is_taken_by_their_types() -> None:
    assert read_context(HEADER, VARIABLES, {}) == ClientContext(
        {"language": "de-DE", "zone": "Europe/Berlin", "place": "52.5,13.4;consent", "where": "cart"},
        'locale="de-DE", time_zone="Europe/Berlin", location="52.5,13.4";consent, screen="cart"',
    )


def test_two_variables_of_a_type_have_the_same() -> None:
    two = {"a": Variable("screen"), "b": Variable("screen")}

    assert read_context(HEADER, two, {}) == ClientContext({"a": "cart", "b": "cart"}, 'screen="cart"')


def test_what_is_not_declared_is_passed_over_whatever_it_is() -> None:
    header = b'screen="cart", location=(1 2), locale=5, battery=0.8;low, name="Ann", time_zone'

    assert read_context(header, declared("where", "name"), {}) == ClientContext({"where": "cart"}, 'screen="cart"')
    assert read_context(header, {}, {}) == ClientContext({}, "")


def test_what_a_request_says_itself_wins() -> None:
    said = {"language": "fr", "place": "Paris;consent"}

    assert read_context(HEADER, declared("language", "place", "where"), said) == ClientContext(
        {"where": "cart"}, 'screen="cart"'
    )


@pytest.mark.parametrize("consent", ["", ";consent=?0", ';consent="yes"', ";consent=1", ";Consent=1", ";agreed"])
def test_a_place_without_consent_is_not_read(consent: str) -> None:
    header = f'location="52.5200,13.4050"{consent}, screen="cart"'.encode()
    if "C" in consent:  # no dictionary at all
        with pytest.raises(BadRequest) as caught:
            read_context(header, VARIABLES, {})
        assert "52.52" not in caught.value.message
        return

    assert read_context(header, VARIABLES, {}) == ClientContext({"where": "cart"}, 'screen="cart"')


def test_a_place_may_have_a_name() -> None:
    taken = read_context(b'location=%"K%c3%b6ln, Deutschland";consent', VARIABLES, {})

    assert taken == ClientContext({"place": "Köln, Deutschland;consent"}, 'location=%"K%c3%b6ln, Deutschland";consent')
    assert read_value(VARIABLES["place"], taken.values["place"]) == "Köln, Deutschland"


def test_what_is_empty_says_nothing() -> None:
    assert read_context(b'locale="", location="";consent, screen=""', VARIABLES, {}) == ClientContext({}, "")


def test_tokens_are_texts_as_well() -> None:
    taken = read_context(b"locale=de-DE, time_zone=Europe/Berlin", VARIABLES, {})

    assert taken.values == {"language": "de-DE", "zone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b'locale="de-DE" time_zone="UTC"', "is no dictionary of RFC 9651. At character 16 it needs ','"),
        (b'locale="de', "At character 8 it needs a string"),
        (b'screen="\xfc"', "At character 8 it needs a string in quotes, of ASCII"),
        (b"locale=5", "has a 'locale' that is no string."),
        (b"location=52.5;consent", "has a 'location' that is no string."),
        (b"screen", "has a 'screen' that is no string."),
        (b"a" * (MAX_BYTES + 1), "has 1,025 bytes. It may have at most 1,024."),
    ],
)
def test_what_is_malformed_is_named(header: bytes, said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_context(header, VARIABLES, {})

    assert (caught.value.status, caught.value.code) == (400, "invalid_context")
    assert caught.value.message.startswith("The header Frontdesk-Context ")
    assert said in caught.value.message
    assert len(caught.value.message) < 400


def test_the_longest_header_is_read() -> None:
    header = b'screen="' + b"x" * (MAX_BYTES - 9) + b'"'

    assert len(header) == MAX_BYTES
    assert len(read_context(header, VARIABLES, {}).values["where"]) == MAX_BYTES - 9


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["de-DE", "UTC", "52.5200,13.4050", "-0.01,179.999", "Berlin", "<b>", "52.5,13.4;consent"]
)
VALUES: st.SearchStrategy[Any] = TEXTS | st.booleans()
PARAMETERS: st.SearchStrategy[Any] = st.dictionaries(st.sampled_from(["consent", "x"]), VALUES, max_size=2)
NAMES = st.sampled_from(["locale", "time_zone", "location", "screen", "other"])
MEMBERS = st.dictionaries(NAMES, st.builds(Member, VALUES, PARAMETERS), max_size=5)
SOME = st.sets(st.sampled_from(sorted(VARIABLES)))


@given(MEMBERS, SOME, SOME)
def test_what_is_kept_of_it_says_the_same_again_and_no_more(
    members: dict[str, Member], names: set[str], said: set[str]
) -> None:
    """As a turn that is asked again after a crash reads it: the same values, none finer than what was told."""
    variables = declared(*sorted(names))
    own = dict.fromkeys(said, "own")
    try:
        taken = read_context(render_dictionary(members).encode(), variables, own)
    except BadRequest:
        return

    assert read_context(taken.header.encode(), variables, own) == taken
    of_all = read_context(taken.header.encode(), VARIABLES, {}).header
    assert parse_dictionary(of_all) == parse_dictionary(taken.header)
    assert set(taken.values) <= names - said
    place = taken.values.get("place")
    if place is not None:
        assert members["location"].parameters["consent"] is True
        assert place.endswith(";consent")
        assert "52.52" not in place
    else:
        assert "location" not in taken.header


# --- at the desk --------------------------------------------------------------------------------

TEXT = "{{language}} | {{zone}} | {{zone.now}} | {{place}} | {{where}} | {{name}}"
FEATURE = Feature(instructions=TEXT, variables={**VARIABLES, "where": Variable("screen", default="start")})
CONFIG = Config(models={"fast": Model(["p/m"])}, features={"chat": FEATURE, "plain": Feature()})


def at_desk(
    header: str | None, request: Request, feature: str = "chat", *, at_s: float = 1_782_907_200.0, **options: Any
) -> tuple[Turn, Visit]:
    """A turn as its door begins it, and its visit."""
    headers = [(b"frontdesk-feature", feature.encode())]
    headers += [] if header is None else [(b"frontdesk-context", header.encode("latin-1"))]
    scope = {"type": "http", "method": "POST", "scheme": "http", "path": "/v1/responses", "headers": headers}
    visit = Visit(Caller("user", "sess_1", "u1"), Head(scope), b"", scope, nothing, nothing, **options)
    unused: Any = None
    desk = Desk(unused, unused, HandClock(at_s), Access(CONFIG), 1_000)
    return desk.begin("responses", visit, "fast", request, {}), visit


async def nothing(*_: Any) -> Any:
    raise AssertionError("nothing is read or sent")


def prompt(**variables: str) -> Prompt:
    return Prompt([Message("user", "Hi")], variables=variables)


def told_to_model(turn: Turn) -> str | None:
    Features(CONFIG.features).admit(turn)
    assert isinstance(turn.request, Prompt)
    return turn.request.instructions


def test_what_a_client_says_reaches_its_features_instructions() -> None:
    turn, visit = at_desk(HEADER.decode(), prompt(name="Ann"))

    berlin = "Wednesday, 2026-07-01, 14:00 (UTC+02:00)"
    assert told_to_model(turn) == f"de-DE | Europe/Berlin | {berlin} | 52.5,13.4 | cart | Ann"
    assert "52.52" not in str(visit.context)


def test_a_request_may_say_another_thing_than_its_client() -> None:
    turn, visit = at_desk(HEADER.decode(), prompt(name="Ann", zone="UTC", place="Wien;consent"))

    assert told_to_model(turn) == "de-DE | UTC | Wednesday, 2026-07-01, 12:00 (UTC) | Wien | cart | Ann"
    assert visit.context == 'locale="de-DE", screen="cart"'


@pytest.mark.parametrize("feature", ["plain", "unheard_of"])
def test_a_feature_without_variables_takes_nothing(feature: str) -> None:
    asked = prompt()
    turn, visit = at_desk(HEADER.decode(), asked, feature)

    assert turn.request is asked
    assert visit.context is None


def test_a_malformed_header_is_told_of_at_any_door() -> None:
    for request in (prompt(), EmbeddingRequest(["Hi"])):
        assert at_desk(HEADER.decode(), request, "plain")[0].request is request
        with pytest.raises(BadRequest, match="is no dictionary"):
            at_desk("locale=", request, "plain")


def test_values_that_do_not_fit_are_refused_where_all_are() -> None:
    turn, _ = at_desk('locale="de_DE", time_zone="UTC"', prompt(name="Ann"))

    with pytest.raises(BadRequest) as caught:
        told_to_model(turn)
    assert (caught.value.code, caught.value.param) == ("invalid_variable", "variables.language")


def test_a_turn_that_is_asked_again_after_a_crash_says_the_same() -> None:
    """Though the clock has gone on: it tells the time at which it was asked."""
    turn, visit = at_desk(HEADER.decode(), prompt(name="Ann"))
    row: Any = _Row(turn.id, int(turn.started_at * 1000))

    again, second = at_desk(visit.context, prompt(name="Ann"), at_s=turn.started_at + 86_400, adopts=row)

    assert told_to_model(again) == told_to_model(turn)
    assert second.context == visit.context


class _Row:
    """What of a kept turn's row the desk reads."""

    def __init__(self, turn_id: str, created_at_ms: int) -> None:
        self.id = turn_id
        self.created_at_ms = created_at_ms
