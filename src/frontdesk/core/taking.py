"""What is taken for some work, and given back where that fails."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def given_back(give_back: Callable[[], object]) -> Generator[None]:
    """Call `give_back` where the block raises, whatever that is, a cancellation too; not where it is done."""
    try:
        yield
    except BaseException:
        give_back()
        raise
