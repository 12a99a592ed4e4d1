"""What a person can be called."""

from __future__ import annotations

import re

import pytest

from frontdesk.accounts.people import check_name, is_name
from frontdesk.core.errors import BadRequest


@pytest.mark.parametrize("name", ["u1", "a/b", "...", ".a", "a.", "../x", "./", "%2e%2e", "x" * 128])
def test_what_a_path_can_carry_is_a_name(name: str) -> None:
    assert is_name(name)
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 129, "a\nb", "\ud800"])
def test_what_no_path_can_carry_is_none_and_told_why(name: str) -> None:
    assert not is_name(name)
    words = "'user' must be 1 to 128 printable characters, and neither '.' nor '..'."
    with pytest.raises(BadRequest, match=re.escape(words)) as caught:
        check_name(name)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "user")
