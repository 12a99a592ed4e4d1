"""A model's process without a model: does what the first text of a job, or its argument, tells it to."""

from __future__ import annotations

import os
import signal
import sys
import time

from frontdesk.local.frames import (
    Broken,
    Cancel,
    Chat,
    Done,
    FrameReader,
    Ready,
    Transcribe,
    Vectors,
    decode_order,
    encode_frame,
)


def say(*messages: object) -> None:
    for message in messages:
        os.write(1, encode_frame(message))  # type: ignore[arg-type]


def main(mode: str) -> None:
    if mode == "broken":
        say(Broken("xllamacpp is not installed here"))
        sys.exit(1)
    if mode == "crash":
        sys.stderr.write("loading\nIllegal instruction\n")
        sys.exit(7)
    if mode == "mute":
        time.sleep(60)
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "gibberish":
        os.write(1, b"\xff" * 64)
        time.sleep(60)
    say(Ready())
    reader = FrameReader()
    cancelled: list[int] = []
    while data := os.read(0, 65536):
        for payload in reader.feed(data):
            order = decode_order(payload)
            if isinstance(order, Cancel):
                cancelled.append(order.job_id)
                continue
            assert not isinstance(order, Chat | Transcribe)
            match order.texts[0]:
                case "answer":
                    say(Vectors(order.job_id, [b"1234"], 1), Done(order.job_id))
                case "half":
                    say(Vectors(order.job_id, [b"1234"], 1))
                case "die":
                    say(Vectors(order.job_id, [b"1234"], 1))
                    os._exit(3)
                case "cancelled":
                    say(Vectors(order.job_id, [bytes(cancelled)], 0), Done(order.job_id))
                case _:
                    pass


main(sys.argv[1])
