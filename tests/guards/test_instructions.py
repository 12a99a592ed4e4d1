"""The guard of instructions: no run of them passes, all else does at once, however the text is cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.guards.instructions import MASK, InstructionsFilter, InstructionsGuard
from frontdesk.turn.verbatim import Verbatim, fold
from tests.fakes import make_turn

INSTRUCTIONS = (
    'You are the front desk of ACME. Never mention the code word "swordfish 42" to anybody.\n\n'
    "- Refunds over 100 EUR need a manager.\n- Be kind, and say <b>please</b> — toujours, très bien."
)
SECRET = Verbatim(INSTRUCTIONS)
SECRETS = {
    "long": SECRET,
    "short": Verbatim("Be very kind to all."),
    "repeating": Verbatim("ab" * 40 + "  " + "ba " * 20),
    "escapes": Verbatim(r"Look into C:\new\table and say \"hi\" to \u00e9ric, always \\ twice."),
}


def passed(*pieces: str, secret: Verbatim = SECRET) -> str:
    guard = InstructionsFilter(secret)
    return "".join(guard.feed(piece) for piece in pieces) + guard.flush()


ANSWERS = [
    f"My instructions are: {INSTRUCTIONS} That is all.",
    INSTRUCTIONS.upper().replace("\n\n", "   "),
    json.dumps({"text": INSTRUCTIONS, "more": 1}),
    json.dumps({"text": INSTRUCTIONS}, ensure_ascii=False),
    json.dumps(json.dumps(INSTRUCTIONS)),
    f"{INSTRUCTIONS[:60]}, and then {INSTRUCTIONS[60:140]}; done",
    INSTRUCTIONS[5:90] + INSTRUCTIONS[5:90],
    INSTRUCTIONS[:31] + " and " + INSTRUCTIONS[40:71],
    "Nothing of this is secret.\\ \n\n \\u12",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_cut_at_any_place_changes_nothing(answer: str) -> None:
    whole = passed(answer)

    assert not SECRET.occurs_in(whole)
    for place in range(len(answer) + 1):
        assert passed(answer[:place], answer[place:]) == whole
    assert passed(*answer) == whole


@pytest.mark.parametrize(
    ("answer", "goes_out"),
    [
        (f"I was told: {INSTRUCTIONS} Fine?", f"I was told: {MASK} Fine?"),
        (f"I was told: {INSTRUCTIONS.upper()} Fine?", f"I was told: {MASK} Fine?"),
        (f'{{"told": {json.dumps(INSTRUCTIONS)}}}', f'{{"told": "{MASK}"}}'),
        (f"A{INSTRUCTIONS[10:42]}Z", f"A{MASK}Z"),
        (f"A{INSTRUCTIONS[10:41]}|", f"A{INSTRUCTIONS[10:41]}|"),
        (INSTRUCTIONS[5:45] + INSTRUCTIONS[5:45], MASK),
        (f"{INSTRUCTIONS[5:45]}|{INSTRUCTIONS[5:45]}", f"{MASK}|{MASK}"),
        ("", ""),
    ],
)
def test_runs_are_replaced_and_nothing_else(answer: str, goes_out: str) -> None:
    assert passed(answer) == goes_out


def test_what_cannot_become_a_run_goes_out_at_once() -> None:
    guard = InstructionsFilter(SECRET)

    assert guard.feed("Hello! Quick look") == "Hello! Quick loo"
    assert guard.feed(", you are the fr") == "k, "
    assert guard.feed("iend") == "you are the frie"
    assert guard.flush() == "nd"


def test_a_run_is_masked_as_soon_as_it_is_one() -> None:
    guard = InstructionsFilter(SECRET)

    assert guard.feed(INSTRUCTIONS[:31]) == ""
    assert guard.feed(INSTRUCTIONS[31]) == MASK
    assert guard.feed(INSTRUCTIONS[32:100]) == ""
    assert guard.feed("!!") == "!!"


def test_turns_without_instructions_are_not_guarded() -> None:
    guard, turn = InstructionsGuard(), make_turn()

    assert guard.open(turn) is None
    turn.instructions = "Be kind."
    assert guard.open(turn) is None
    turn.instructions = INSTRUCTIONS
    opened = guard.open(turn)
    assert opened is not None
    assert opened.feed(INSTRUCTIONS) == MASK


# --- against a slow definition --------------------------------------------------------------------


def withheld(text: str, secret_text: str) -> str:
    """Fold the text character by character, mark each piece that the secret holds, mask what is marked."""
    folded = fold(text)
    secret = fold(secret_text).text.strip()
    size = min(32, len(secret))
    marked = [False] * len(folded.text)
    for start in range(len(folded.text) - size + 1):
        if size >= 12 and folded.text[start : start + size] in secret:
            marked[start : start + size] = [True] * size
    told: list[str] = []
    for place, is_marked in enumerate(marked):
        if not is_marked:
            told.append(text[folded.raw_place(place) : folded.raw_place(place + 1)])
        elif place == 0 or not marked[place - 1]:
            told.append(MASK)
    return "".join(told)


TEXTS = {
    "long": INSTRUCTIONS,
    "short": "Be very kind to all.",
    "repeating": "ab" * 40 + "  " + "ba " * 20,
    "escapes": r"Look into C:\new\table and say \"hi\" to \u00e9ric, always \\ twice.",
}


def pieces_of(name: str) -> st.SearchStrategy[str]:
    text = TEXTS[name]
    spans = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(
        lambda ends: text[min(ends) : max(ends)]
    )
    written = spans | spans.map(str.upper) | spans.map(json.dumps) | spans.map(lambda span: " ".join(span.split()))
    return st.lists(written | st.text("ab \n\\nu0e9.", max_size=8) | st.just("Hello "), max_size=6).map("".join)


@pytest.mark.parametrize("name", TEXTS)
@given(data=st.data())
def test_any_cut_gives_what_the_definition_says(name: str, data: st.DataObject) -> None:
    text = data.draw(pieces_of(name))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))

    cut = passed(*(text[start:end] for start, end in pairwise([0, *cuts, len(text)])), secret=SECRETS[name])

    assert cut == withheld(text, TEXTS[name])


@pytest.mark.parametrize("name", TEXTS)
@given(data=st.data())
def test_what_is_held_could_still_become_a_run(name: str, data: st.DataObject) -> None:
    """Exactly that: with the right text to come, what is held is masked; and it is less than a run."""
    text = data.draw(pieces_of(name))
    guard = InstructionsFilter(SECRETS[name])
    out = guard.feed(text)
    held = passed(text, secret=SECRETS[name])[len(out) :]

    if "\\" in text[-13:]:
        return  # an escape that is not whole is held too
    folded, secret = fold(held).text, fold(TEXTS[name]).text.strip()
    assert len(folded) < 32
    assert folded in secret


@pytest.mark.parametrize("piece", ["you are the front desk ", "zq ", "- ", "\\n", "\\"])
def test_a_megabyte_holds_the_loop_for_a_moment(piece: str) -> None:
    """20 to 400 ms; looking into the instructions at each place took seconds."""
    text = piece * (1_000_000 // len(piece))

    assert passed(text).replace(MASK, "")[:5] in {text[:5], ""}
