"""Which post a process has, and that of one that is alone."""

from __future__ import annotations

import sys

import pytest

from frontdesk.core.clock import SystemClock
from frontdesk.core.config.problems import ConfigError
from frontdesk.sharing.post import Alone, Post, make_post
from frontdesk.sharing.valkey import ValkeyPost


async def test_a_process_that_is_alone_hears_nothing_and_says_so() -> None:
    came: list[bytes] = []
    post: Post = Alone("one")
    post.listen("tests", came.append)
    await post.start()
    post.send("one", "tests", b"hello")
    post.move("two")
    await post.close()

    assert (post.me, post.is_well, came) == ("two", False, [])


def test_with_the_address_of_a_valkey_it_is_asked_and_without_nobody_is() -> None:
    assert isinstance(make_post(None, "one", SystemClock()), Alone)
    post = make_post("valkey://valkey.example:6379/0", "one", SystemClock())

    assert isinstance(post, ValkeyPost)
    assert post.me == "one"


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "frontdesk.sharing.valkey", None)

    with pytest.raises(ConfigError, match=r"pip install 'frontdesk\[valkey\]'"):
        make_post("valkey://valkey.example:6379/0", "one", SystemClock())
