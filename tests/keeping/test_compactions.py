"""Summaries that their owner carries: for nobody else, from nowhere else, the same in all processes."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.files.owner import Owner
from frontdesk.keeping.compactions import Compactions, anonymous_owner_in
from frontdesk.keeping.store.secrets import compaction_secret
from frontdesk.storage.database import Database

ADA = Owner("acme", "ada", "")
SECRET = b"s" * 32


def compactions(secret: bytes = SECRET) -> Compactions:
    made = Compactions()
    made.use(secret)
    return made


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=200))
def test_its_owner_s_opens_in_every_process(summary: str) -> None:
    sealed = compactions().seal(ADA, "resp_1", summary)

    assert compactions().open_compaction(ADA, sealed) == summary
    assert compactions().seal(ADA, "resp_1", summary) == sealed


@pytest.mark.parametrize(
    "owner",
    [Owner("other", "ada", ""), Owner("acme", "bob", ""), Owner("acme", "", "ada"), Owner("acme", "ada", "key")],
)
def test_another_s_is_none(owner: Owner) -> None:
    sealed = compactions().seal(ADA, "resp_1", "what was said")

    assert compactions().open_compaction(owner, sealed) is None


def test_an_anonymous_persons_says_whose_it_is_and_opens_for_nobody_who_says_otherwise() -> None:
    ann = Owner("acme", "anon_1", "")
    sealed = compactions().seal(ann, "resp_1", "what was said")

    assert anonymous_owner_in(sealed) == "anon_1"
    assert compactions().open_compaction(ann, sealed) == "what was said"
    forged = sealed.replace("anon_1", "anon_2")
    for owner in (ann, ADA, Owner("acme", "anon_2", "")):
        assert compactions().open_compaction(owner, forged) is None
    assert compactions().open_compaction(ADA, sealed) is None
    for nobodys in (compactions().seal(ADA, "resp_1", "what was said"), "", "fdc1.", "fdc1.ada.x", "anon_1.x"):
        assert anonymous_owner_in(nobodys) is None


def test_what_was_not_sealed_here_is_none() -> None:
    sealed = compactions().seal(ADA, "resp_1", "what was said")

    for foreign in ("", "gAAAAAB", sealed[:-4], sealed.removeprefix("fdc1."), f"{sealed}AAAA", f"{sealed}é"):
        assert compactions().open_compaction(ADA, foreign) is None
    assert compactions(b"t" * 32).open_compaction(ADA, sealed) is None
    assert Compactions().open_compaction(ADA, sealed) is None


async def test_all_processes_have_one_secret(database: Database) -> None:
    first, *others = await asyncio.gather(*(compaction_secret(database) for _ in range(5)))

    assert len(first) == 32
    assert set(others) == {first} == {await compaction_secret(database)}
