"""The figures: a load each, what is read of it, and what is wanted. README.md says what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from bench.contenders import DIRECT, PASSTHROUGH
from bench.load import Load
from bench.metric import Metric, Target
from bench.percentile import percentile
from bench.processes import Memory
from bench.rounds import Memories, Sample
from bench.script import Script


@dataclass(frozen=True, slots=True)
class Figure:
    """One load for everybody, in so many laps of so many rounds.

    `skips_direct` where only a server has something to show.
    """

    name: str
    title: str
    load: Load
    rounds: int
    metrics: tuple[Metric, ...]
    laps: int = 1
    skips_direct: bool = False

    def quick(self) -> Figure:
        """The same with less of everything: to see that it runs, not to quote."""
        load = self.load
        most = max(1, load.requests // 5)
        title = f"{self.title} (quick: {most} requests a lap)"
        return replace(
            self, title=title, rounds=2, laps=1, load=replace(load, requests=most, at_once=min(load.at_once, most))
        )


def cpu_us(sample: Sample) -> float | None:
    """CPU of the server a request, in µs."""
    return None if sample.cpu_s is None else sample.cpu_s / sample.load.requests * 1e6


def cpu_us_a_chunk(sample: Sample) -> float | None:
    """CPU of the server a chunk, in µs, all that a stream costs shared out among its chunks."""
    cost = cpu_us(sample)
    return None if cost is None else cost / sample.load.script.chunks


def whole_ms(part: float) -> Callable[[Sample], float | None]:
    """A percentile of the time to the whole answer, in ms."""
    return lambda sample: _percentile_ms(sample.outcome.whole_s, part)


def first_word_ms(part: float) -> Callable[[Sample], float | None]:
    """A percentile of the time to the first word, in ms."""
    return lambda sample: _percentile_ms(sample.outcome.first_word_s, part)


def late_ms(part: float) -> Callable[[Sample], float | None]:
    """A percentile of how much longer than the pace a word was waited for, in ms."""

    def late(sample: Sample) -> float | None:
        gap_ms = _percentile_ms(sample.outcome.gap_s, part)
        return None if gap_ms is None else gap_ms - sample.load.script.pace_ms

    return late


def failures(sample: Sample) -> float:
    """How many questions were not answered, or wrongly."""
    return sample.outcome.failures


def kb_a_stream(kind: Callable[[Memory], int]) -> Callable[[Sample], float | None]:
    """What a stream adds to the server's memory, in kB."""

    def added_kb(sample: Sample) -> float | None:
        memory = sample.memory
        return None if memory is None else (kind(memory.most) - kind(memory.before)) / sample.load.at_once

    return added_kb


def resident_mb(when: Callable[[Memories], Memory]) -> Callable[[Sample], float | None]:
    """Resident memory of the server, in MB."""
    return lambda sample: None if sample.memory is None else when(sample.memory).resident_kb / 1024


def _percentile_ms(times_s: Iterable[float], part: float) -> float | None:
    times = list(times_s)
    return percentile(times, part) * 1000 if times else None


_FAILURES = Metric("failures", "", "added", failures, Target(0))


def _crowd(streams: int) -> Figure:
    return Figure(
        f"crowd-{streams}",
        f"{streams} streams at once, 8 chunks a second each",
        Load(Script(60, pace_ms=125), is_streaming=True, requests=streams, at_once=streams, spread_s=2.0),
        rounds=3,
        metrics=(
            _FAILURES,
            Metric("first word p50", "ms", "added", first_word_ms(0.5)),
            Metric("first word p99", "ms", "added", first_word_ms(0.99), Target(25, DIRECT)),
            Metric("chunk late p50", "ms", "added", late_ms(0.5)),
            Metric("chunk late p99", "ms", "added", late_ms(0.99)),
            Metric("CPU a chunk", "µs", "ratio", cpu_us_a_chunk),
            Metric("resident a stream", "kB", "ratio", kb_a_stream(lambda memory: memory.resident_kb), Target(25)),
            Metric("anonymous a stream", "kB", "ratio", kb_a_stream(lambda memory: memory.anonymous_kb)),
        ),
    )


FIGURES = (
    Figure(
        "cpu-answer",
        "A whole answer of 40 words, 16 clients",
        Load(Script(40), is_streaming=False, requests=500),
        rounds=6,
        laps=6,
        metrics=(_FAILURES, Metric("CPU an answer", "µs", "ratio", cpu_us, Target(1.75, PASSTHROUGH))),
        skips_direct=True,
    ),
    Figure(
        "cpu-stream",
        "A stream of 100 chunks without gaps, 16 clients",
        Load(Script(100), is_streaming=True, requests=150),
        rounds=6,
        laps=6,
        metrics=(_FAILURES, Metric("CPU a stream", "µs", "ratio", cpu_us, Target(1.45, PASSTHROUGH))),
        skips_direct=True,
    ),
    Figure(
        "cpu-paced",
        "A stream of 100 chunks, 20 ms apart, 256 clients",
        Load(Script(100, pace_ms=20), is_streaming=True, requests=768, at_once=256, spread_s=2.0),
        rounds=5,
        metrics=(_FAILURES, Metric("CPU a stream", "µs", "ratio", cpu_us, Target(1.35, PASSTHROUGH))),
        skips_direct=True,
    ),
    Figure(
        "latency-answer",
        "Whole answers of 40 words, 500 a second by the clock",
        Load(Script(40), is_streaming=False, requests=3000, at_once=64, rate_per_s=500),
        rounds=7,
        metrics=(
            _FAILURES,
            Metric("whole answer p50", "ms", "added", whole_ms(0.5)),
            Metric("whole answer p99", "ms", "added", whole_ms(0.99), Target(3, DIRECT)),
        ),
    ),
    Figure(
        "latency-stream",
        "Streams of 20 chunks without gaps, 500 a second by the clock",
        Load(Script(20), is_streaming=True, requests=3000, at_once=64, rate_per_s=500),
        rounds=7,
        metrics=(
            _FAILURES,
            Metric("first word p50", "ms", "added", first_word_ms(0.5)),
            Metric("first word p99", "ms", "added", first_word_ms(0.99), Target(3, DIRECT)),
            Metric("whole stream p50", "ms", "added", whole_ms(0.5)),
            Metric("whole stream p99", "ms", "added", whole_ms(0.99)),
        ),
    ),
    _crowd(512),
    _crowd(2000),
    Figure(
        "memory",
        "Resident memory, before and after whole answers to 64 clients",
        Load(Script(40), is_streaming=False, requests=20_000, at_once=64),
        rounds=3,
        metrics=(
            _FAILURES,
            Metric("idle", "MB", "ratio", resident_mb(lambda memory: memory.idle), Target(75)),
            Metric("after the load", "MB", "ratio", resident_mb(lambda memory: memory.after)),
        ),
        skips_direct=True,
    ),
)
