"""Whisper on faster-whisper: a recording becomes text, a part of it at a time.

The recording is decoded here, bounded: a small file may hold hours of silence.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontdesk.local.frames import Done, Failed, Heard, Job, Listening, Segment, Transcribe, Word
from frontdesk.local.options import WorkerOptions
from frontdesk.local.worker import Send, Ticket

_SAMPLES_A_SECOND = 16_000
_LONGEST_S = 2 * 3600


def load(options: WorkerOptions) -> SpeechEngine:
    """Load the model out of the folder of its files."""
    faster_whisper: Any = importlib.import_module("faster_whisper")  # its types are incomplete
    model = faster_whisper.WhisperModel(
        str(Path(options.files[0]).parent),
        device="cpu",
        compute_type="int8",
        cpu_threads=options.threads,
        num_workers=options.slots,
        local_files_only=True,
    )
    return SpeechEngine(model, importlib.import_module("av"), options.slots)


class SpeechEngine:
    """A loaded Whisper."""

    def __init__(self, model: Any, av: Any, slots: int) -> None:
        self._model = model
        self._av = av
        self.parallel = slots

    def begin(self, job: Job, ticket: Ticket, send: Send) -> _SpeechWork:
        """Take a job."""
        assert isinstance(job, Transcribe)  # the server asks a model of speech for nothing else
        return _SpeechWork(self, job, ticket, send)

    def refusal(self, job: Transcribe) -> Failed | None:
        """Why this model cannot do it: one that was trained on English alone knows no other language."""
        known: list[str] = self._model.supported_languages
        if job.translates and not self._model.model.is_multilingual:
            words = "This model hears English alone and translates nothing. Ask for a transcription."
            return Failed(job.job_id, is_refusal=True, code="unsupported_language", message=words)
        if job.language is not None and job.language not in known:
            languages = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            words = f"This model does not hear the language {job.language!r}. It hears: {languages}."
            return Failed(job.job_id, is_refusal=True, code="unsupported_language", message=words)
        return None

    def samples(self, audio: bytes, ticket: Ticket) -> NDArray[np.float32] | None:
        """Decode a file to one channel; None where nobody wants it any more. Raises BadAudio."""
        pieces: list[NDArray[np.int16]] = []
        count = 0
        try:
            with self._av.open(io.BytesIO(audio), mode="r", metadata_errors="ignore") as container:
                resampler = self._av.AudioResampler(format="s16", layout="mono", rate=_SAMPLES_A_SECOND)
                for frame in self._frames(container):
                    if ticket.is_cancelled:
                        return None
                    for resampled in resampler.resample(frame):
                        pieces.append(resampled.to_ndarray().reshape(-1))
                        count += pieces[-1].size
                        if count > _LONGEST_S * _SAMPLES_A_SECOND:
                            raise BadAudio(f"is longer than {_LONGEST_S // 60} minutes. Cut it into shorter ones.")
        except (self._av.FFmpegError, ValueError, IndexError) as error:
            raise BadAudio(
                f"cannot be decoded ({type(error).__name__}). Send mp3, mp4, ogg, wav, webm or flac."
            ) from None
        if not count:
            raise BadAudio("has no sound in it.")
        samples = np.concatenate(pieces, dtype=np.float32)  # and then in place: two hours are 460 MB
        samples /= 32768
        return samples

    def hear(self, samples: NDArray[np.float32], job: Transcribe) -> tuple[Iterator[Any], str]:
        """Begin to listen: the segments as they are heard, and the language."""
        options = {} if job.temperature is None else {"temperature": job.temperature}
        segments, about = self._model.transcribe(
            samples,
            language=job.language,
            task="translate" if job.translates else "transcribe",
            initial_prompt=job.prompt,
            word_timestamps=job.wants_words,
            **options,
        )
        return iter(segments), about.language

    def _frames(self, container: Any) -> Iterator[Any]:
        """The frames that can be read: a damaged one is passed over, as players do."""
        for packet in container.demux(audio=0):
            try:
                yield from packet.decode()
            except self._av.FFmpegError:
                continue


class BadAudio(Exception):
    """What came is no recording that can be heard; the message goes on after "The file"."""


class _SpeechWork:
    """One recording, heard in parts."""

    def __init__(self, engine: SpeechEngine, job: Transcribe, ticket: Ticket, send: Send) -> None:
        self._engine = engine
        self._job = job
        self._ticket = ticket
        self._send = send
        self._segments: Iterator[Any] | None = None

    def step(self) -> bool:
        """Hear the next part."""
        if self._segments is None:
            self._segments = self._begin()
            return self._segments is None
        segment = next(self._segments, None)
        if self._ticket.is_cancelled:
            return True
        if segment is None:
            self._send(Done(self._job.job_id))
            return True
        self._send(Heard(self._job.job_id, _segment(segment)))
        return False

    def _begin(self) -> Iterator[Any] | None:
        job = self._job
        refusal = self._engine.refusal(job)
        if refusal is None:
            try:
                samples = self._engine.samples(job.audio, self._ticket)
            except BadAudio as error:
                refusal = Failed(job.job_id, is_refusal=True, code="invalid_audio", message=f"The file {error}")
            else:
                if samples is None:
                    return None
                segments, language = self._engine.hear(samples, job)
                self._send(Listening(job.job_id, samples.size / _SAMPLES_A_SECOND, language))
                return segments
        self._send(refusal)
        return None


def _segment(heard: Any) -> Segment:
    return Segment(
        float(heard.start),
        float(heard.end),
        heard.text,
        [int(token) for token in heard.tokens],
        float(heard.temperature),
        float(heard.avg_logprob),
        float(heard.compression_ratio),
        float(heard.no_speech_prob),
        [Word(each.word, float(each.start), float(each.end)) for each in heard.words or ()],
    )
