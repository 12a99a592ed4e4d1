"""Directives: one vocabulary, read or refused with the nearest word."""

from __future__ import annotations

from itertools import islice

import pytest

from frontdesk.core.errors import BadRequest
from frontdesk.providers.directives import Direction, Directives, Fault, UsageTold, read_direction, read_model


@pytest.mark.parametrize(
    ("text", "script", "expected"),
    [
        ("echo", "echo", Directives()),
        ("words-200:ttft=300,pace=20", "words-200", Directives(ttft=0.3, pace=0.02)),
        ("ttft=300, fault=429", None, Directives(ttft=0.3, fault=(Fault("429"),))),
        (":dribble", None, Directives(dribble=0.0)),
        ("crlf", None, Directives(crlf=True)),
        ("echo:crlf,comments=true", "echo", Directives(crlf=True, comments=True)),
        ("echo: fault=error@3  fault=cut@900", "echo", Directives(fault=(Fault("error", 3), Fault("cut", 900)))),
        ("fault=reset@headers", None, Directives(fault=(Fault("reset", 0),))),
        ("fault=cut", None, Directives(fault=(Fault("cut"),))),
        ("length=+10", None, Directives(length=10)),
        ("length=-3", None, Directives(length=-3)),
        ("usage=missing", None, Directives(usage=UsageTold("missing"))),
        ("usage=1/2/3", None, Directives(usage=UsageTold("false", (1, 2, 3, 0)))),
        ("ttft=1,ttft=2", None, Directives(ttft=0.002)),
    ],
)
def test_directives_are_read(text: str, script: str | None, expected: Directives) -> None:
    direction = read_direction(text)

    assert (direction.script, direction.read()) == (script, expected)


@pytest.mark.parametrize("name", ["llama3:8b", "ft:gpt-4o:acme::abc", "words-3", "a,b", "x=y"])
def test_a_models_name_without_directives_is_a_name(name: str) -> None:
    assert read_model(name) == Direction(name)


def test_a_models_name_with_directives() -> None:
    assert read_model("gpt-5:pace=3,crlf") == Direction("gpt-5", {"pace": ("3",), "crlf": ("",)})


def test_what_is_said_later_goes_before() -> None:
    first, later = read_direction("echo:ttft=1,fault=500"), read_direction("fault=429,pace=2")

    assert later.over(first) == Direction("echo", {"ttft": ("1",), "fault": ("429",), "pace": ("2",)})


def test_directions_are_written_as_they_are_read() -> None:
    for text in ("echo", "echo:ttft=1,crlf", "fault=500,fault=cut@3"):
        assert str(read_direction(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo:tfft=3", "no directive 'tfft'. Did you mean 'ttft'? Known: ttft, pace, "),
        ("echo:zzz", "no directive 'zzz'. Known: ttft, "),
        ("fault=resett", "no fault 'resett'. Did you mean 'reset'?"),
        ("pace=-1", "directive 'pace' cannot be '-1'. It is the milliseconds between two chunks"),
        ("cutsize=", "directive 'cutsize' cannot be ''"),
        ("usage=1", "directive 'usage' cannot be '1'"),
        (f"usage=1/{2**63 + 1}", "directive 'usage' cannot be"),
        ("framing=chunk", "directive 'framing' cannot be 'chunk'. It is chunked, length or close."),
        ("crlf=no", "directive 'crlf' cannot be 'no'. It takes no value."),
        ("read-rate=fast", "directive 'read-rate' cannot be 'fast'"),
        ("retry-after-date=Monday", "directive 'retry-after-date' cannot be 'Monday'"),
        ("fault=700", "status '700' cannot be"),
        ("fault=500@3", "status '500@3' cannot be"),
        ("fault=garbage@3", "fault 'garbage' takes no '@3'"),
    ],
)
def test_what_cannot_be_is_told(text: str, said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_direction(text)

    assert said in caught.value.message


def test_every_directive_says_what_it_means() -> None:
    """A wrong value of any directive is explained, not stumbled over."""
    for name in Directives.__struct_fields__:
        directive = name.replace("_", "-")
        if directive in ("retry-after", "retry-after-ms"):
            continue  # sent on as they are
        with pytest.raises(BadRequest):
            read_direction(f"{directive}=?")


def test_pauses_come_from_the_seed() -> None:
    even = Directives(ttft=0.3, pace=0.02)
    assert list(islice(even.pauses(), 3)) == [0.3, 0.02, 0.02]
    assert list(islice(Directives().pauses(0.05), 2)) == [0.05, 0.05]

    jittery = Directives(ttft=0.3, pace=0.02, jitter=0.05, seed=7)
    first = list(islice(jittery.pauses(), 50))
    assert first == list(islice(jittery.pauses(), 50))
    assert 0.25 <= first[0] <= 0.35
    assert all(0 <= pause <= 0.07 for pause in first[1:])
    assert len(set(first)) > 20
