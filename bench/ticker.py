"""Moments at a fixed rate, kept to some tens of microseconds.

The event loop's own timers are whole milliseconds, which would be a good part of what is measured. A
timer of the kernel's is a file to be read: the loop waits for it as for a socket. Linux only.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_START_AFTER_S = 0.01


class _Moment(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Schedule(ctypes.Structure):
    _fields_ = (("every", _Moment), ("first", _Moment))


class Ticker:
    """Calls `tick(due)` for `count` moments, `every_s` apart, from 10 ms after `start`.

    `due` is when the moment was, on the clock of time.monotonic. Moments that were slept through are
    called together afterwards: none is left out.
    """

    def __init__(self, count: int, every_s: float, tick: Callable[[float], None]) -> None:
        self._left = count
        self._every_s = every_s
        self._tick = tick

    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.get_running_loop()
        self._due = time.monotonic() + _START_AFTER_S
        self._timer = _open_timer(self._due, self._every_s)
        self._loop.add_reader(self._timer, self._read)

    def stop(self) -> None:
        """End, if it has not ended by itself. May be called twice, and by a tick."""
        if self._timer >= 0:
            self._loop.remove_reader(self._timer)
            os.close(self._timer)
            self._timer = -1

    def _read(self) -> None:
        passed = min(int.from_bytes(os.read(self._timer, 8), "little"), self._left)
        self._left -= passed
        for _ in range(passed):
            if self._timer < 0:
                return
            self._tick(self._due)
            self._due += self._every_s
        if not self._left:
            self.stop()


def _open_timer(first: float, every_s: float) -> int:
    """Open a timer that becomes readable at each moment (timerfd_create(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    schedule = _Schedule(_moment(every_s), _moment(first))
    if timer < 0 or libc.timerfd_settime(timer, _TFD_TIMER_ABSTIME, ctypes.byref(schedule), None) < 0:
        raise OSError(ctypes.get_errno(), "no timer")
    return timer


def _moment(seconds: float) -> _Moment:
    whole = int(seconds)
    return _Moment(whole, round((seconds - whole) * 1e9))
