"""A counting process without vocabularies: does what its argument, or the first text of a job, tells it to."""

from __future__ import annotations

import os
import sys
import time

from frontdesk.local.frames import Broken, Count, Counted, Done, Failed, FrameReader, Ready, decode_order, encode_frame


def say(*messages: object) -> None:
    for message in messages:
        os.write(1, encode_frame(message))  # type: ignore[arg-type]


def main(mode: str) -> None:
    if mode == "broken":
        say(Broken("no such vocabulary here"))
        sys.exit(1)
    if mode == "mute":
        time.sleep(60)
    say(Ready())
    reader = FrameReader()
    while data := os.read(0, 65536):
        for payload in reader.feed(data):
            order = decode_order(payload)
            if not isinstance(order, Count):
                continue
            match order.texts[0]:
                case b"silence":
                    pass
                case b"die":
                    os._exit(3)
                case b"fail":
                    say(Failed(order.job_id, is_refusal=False, code="model_failed", message="ValueError"))
                case _:
                    say(Counted(order.job_id, [len(text) for text in order.texts]), Done(order.job_id))


main(sys.argv[1])
