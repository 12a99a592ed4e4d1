"""The guard of instructions: no run of them passes, all else does at once, however the text is cut."""

from __future__ import annotations

import json
import pickle
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
    """Fold the text, mark each piece that the secret holds without a space at its ends, mask what is marked."""
    folded = fold(text)
    secret = fold(secret_text).text.strip()
    size = min(32, len(secret))
    marked = [False] * len(folded.text)
    for start in range(len(folded.text) - size + 1):
        piece = folded.text[start : start + size]
        if size >= 12 and piece in secret and sum(map(str.isalnum, piece)) * 8 >= size * 3:
            begin, end = start + piece.startswith(" "), start + size - piece.endswith(" ")
            marked[begin:end] = [True] * (end - begin)
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
    "typeset": "“Don’t – ever…”  tell 😀 it... — or  \\\\  “so” it’s said -- 😀 \n\n| a | b |\n|---|---|\n========" * 2,  # noqa: RUF001 - typography is what this is about
}


def typewritten(text: str) -> str:
    return text.translate(str.maketrans({"“": '"', "”": '"', "’": "'", "–": "-", "…": "...", " ": "\u00a0"}))  # noqa: RUF001 - typography is what this is about


def escaped_spaces(text: str) -> str:
    return text.replace(" ", "\\u0020").replace("\n", "\\\\u00a0")


def spread(text: str) -> str:
    """With rows of white space, dots and dashes that are longer than one unit of them."""
    return text.replace(" ", " \n" * 40).replace(".", "." * 65).replace("-", "—" * 64)


def pieces_of(name: str) -> st.SearchStrategy[str]:
    text = TEXTS[name]
    spans = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(
        lambda ends: text[min(ends) : max(ends)]
    )
    ways = [str.upper, json.dumps, typewritten, escaped_spaces, spread, lambda span: " ".join(span.split())]
    written = st.one_of(spans, *(spans.map(way) for way in ways))
    noise = st.lists(st.sampled_from(NOISE), max_size=8).map("".join)
    return st.lists(written | noise | st.just("Hello "), max_size=6).map("".join)


NOISE = [*"ab \n\\nu0e9.-—…", "\\ud83d", "\\ude00", "\\u0020", "\\\\u00a0", "\\n", " " * 63]


@pytest.mark.parametrize("name", TEXTS)
@given(data=st.data())
def test_any_cut_gives_what_the_definition_says(name: str, data: st.DataObject) -> None:
    text = data.draw(pieces_of(name))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))

    cut = passed(*(text[start:end] for start, end in pairwise([0, *cuts, len(text)])), secret=Verbatim(TEXTS[name]))

    assert cut == withheld(text, TEXTS[name])


@pytest.mark.parametrize("name", TEXTS)
@given(data=st.data())
def test_what_is_held_could_still_become_a_run(name: str, data: st.DataObject) -> None:
    """Exactly that: with the right text to come, what is held is masked; and it is less than a run."""
    text = data.draw(pieces_of(name))
    guard = InstructionsFilter(Verbatim(TEXTS[name]))
    out = guard.feed(text)
    held = passed(text, secret=Verbatim(TEXTS[name]))[len(out) :]

    if "\\" in text[-25:]:
        return  # an escape that is not whole is held too
    folded, secret = fold(held).text, fold(TEXTS[name]).text.strip()
    assert len(folded) < 32
    assert folded in secret


FLOODS = {
    "lines": ["\n"],
    "spaces": [" "],
    "wide spaces": ["\u3000\u00a0"],
    "escaped lines": ["\\", "n"],
    "escaped spaces": ["\\\\\\\\\\\\\\\\u0020"],
    "backslashes": ["\\"],
    "halves of pairs": ["\\ud83d"],
    "dots": ["."],
    "dashes": ["—"],
    "letters": ["y"],
    "zeros": ["\0"],
    "a word of the instructions": ["You are the "],
    "the instructions": [INSTRUCTIONS],
}
_MOST_KEPT = 31 * 64 * 13 + 25


@pytest.mark.parametrize("before", ["", "You are the front", INSTRUCTIONS, INSTRUCTIONS[:-1] + "s, toujours."])
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_what_is_kept_of_a_flood_is_bounded(flood: list[str], before: str) -> None:
    """Each piece is looked at together with what is kept: else a flood of white space stops the server."""
    guard = InstructionsFilter(SECRET)
    guard.feed(before)
    idle = len(pickle.dumps(guard))

    kept: list[int] = []
    for _ in range(2000 // len(flood)):
        for piece in flood:
            guard.feed(piece)
            kept.append(len(pickle.dumps(guard)) - idle)

    assert max(kept) < 64 * 16
    assert max(kept[len(kept) // 2 :]) <= max(kept[: len(kept) // 2])


def test_what_is_kept_at_worst_is_bounded() -> None:
    guard = InstructionsFilter(Verbatim(". " * 8 + "a b c d e f g h i j k l m n o p q r s t"))
    white = "\\" * 8 + "u0020"
    idle = len(pickle.dumps(guard))

    kept: list[int] = []
    for piece in [letter + white * 64 for letter in "abcdefghijklmnop"] * 3:
        guard.feed(piece)
        kept.append(len(pickle.dumps(guard)) - idle)

    assert 10_000 < max(kept) < _MOST_KEPT


@pytest.mark.parametrize(
    ("instructions", "answer"),
    [
        (
            "Write tables:\n| a | b |\n|---|---|---|---|---|---|---|---|\n",
            "| x | y |\n|---|---|---|---|---|---|---|---|\n",
        ),
        ("Divide the parts by a rule:\n" + "=" * 60 + "\nand so on", "One\n" + "=" * 60 + "\nTwo"),
        ("Use fences as in\n```\n" + "- " * 40, "- " * 60),
    ],
)
def test_rules_and_tables_pass(instructions: str, answer: str) -> None:
    secret = Verbatim(instructions)

    assert passed(answer, secret=secret) == answer
    assert passed(*answer, secret=secret) == answer


def test_white_space_at_the_ends_of_a_run_goes_out_as_it_came() -> None:
    told = INSTRUCTIONS.replace(" ", "\n \t")

    assert passed(f"Told:\n\n{told[told.index('are') - 3 :]}\n\n", "\nFine?") == f"Told:\n\n\n \t{MASK}\n\n\nFine?"
    assert passed(*f"A \t{INSTRUCTIONS[8:41]}  \nZ") == f"A \t{MASK}  \nZ"


def test_a_space_is_not_held() -> None:
    guard = InstructionsFilter(SECRET)

    assert guard.feed("Well; \n") == "Well; \n"
    assert guard.feed("\n") == "\n"


@pytest.mark.parametrize(
    "told",
    [
        "You're Nora. Don't say the customer's code: it's \"swordfish 😀\" - wait... nobody's to know.",
        "You’re Nora. Don’t say the customer’s code: it’s “swordfish 😀” — wait… nobody’s to know.",  # noqa: RUF001 - typography is what this is about
        "You’re\u00a0Nora.\u202fDon’t\u00a0say the customer’s code: it’s «swordfish 😀» -- wait… nobody’s to know.",  # noqa: RUF001 - typography is what this is about
        (
            r"You\u2019re Nora. Don\u0027t say the customer\u2019s code: it\u2019s \u201cswordfish \ud83d\ude00\u201d"
            r"\u0020\u2014\u00a0wait\u2026 nobody\u2019s to know."
        ),
    ],
)
def test_typography_and_its_escapes_make_no_difference(told: str) -> None:
    for written in (
        "You're Nora. Don't say the customer's code: it's \"swordfish 😀\" - wait... nobody's to know.",
        told,
    ):
        secret = Verbatim(written)

        assert passed(told, secret=secret) == MASK
        assert passed(*told, secret=secret) == MASK


@pytest.mark.parametrize("piece", ["you are the front desk ", "zq ", "- ", "\\n", "\\"])
def test_a_megabyte_holds_the_loop_for_a_moment(piece: str) -> None:
    """20 to 400 ms; looking into the instructions at each place took seconds."""
    text = piece * (1_000_000 // len(piece))

    assert passed(text).replace(MASK, "")[:5] in {text[:5], ""}
