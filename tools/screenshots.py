"""Make the pictures of the chat page in docs/images/, by driving the built page in Chromium.

    python -m tools.screenshots [FOLDER]

The server is a real one with the scripted provider, which answers with the last message it is given.
So that the answers are worth looking at, each question is exchanged on its way for the words to say.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.journeys.acts import ask, choose, line, see, state
from tests.journeys.desk import PAGE, ROOT, Desk, chromium, launch, open_desk

MODELS = {"fast": "echo", "best": "slow-40", "local": "error-500"}
DEVICES: dict[str, dict[str, Any]] = {
    "phone": {
        "viewport": {"width": 360, "height": 740},
        "is_mobile": True,
        "has_touch": True,
        "device_scale_factor": 2,
    },
    "desktop": {"viewport": {"width": 1280, "height": 800}, "device_scale_factor": 1.5},
}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# The page greets by the hour; a picture should not change with the clock.
MORNING = dt.datetime(2026, 5, 4, 9, 30)  # noqa: DTZ001  local time of whoever runs this

QUESTION = "Compare train, car and plane for a trip of 600 km in a table"
ANSWER = """Each has its day. For 600 km the **train** is usually the calmest choice, the *plane* is quicker only on \
paper, and the car is the freest.

| | Train | Car | Plane |
|---|---:|---:|---:|
| Door to door | 4 h 30 | 6 h 15 | 4 h 10 |
| Cost | €79 | €96 | €140 |
| CO₂ | 19 kg | 98 kg | 148 kg |

To try other speeds, with `extra` for the way to the station:

```python
def hours(km, speed, extra):
    return km / speed + extra
```
"""
FOLLOW_UP = "And by bicycle?"
SPOKEN = {
    QUESTION: ANSWER,
    FOLLOW_UP: "By bicycle it is **five calm days** of 120 km each, and by far the finest of the four.",
}


def main() -> int:
    """Make every picture. Returns the exit code."""
    path = chromium()
    if path is None or not PAGE.is_file():
        print("This needs Chromium (apt-get install chromium) and the built page (npm --prefix web run build).")
        return 1
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/images"
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        open_desk(Path(scratch), models=MODELS) as desk,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright, path)
        for device in DEVICES:
            for scheme in SCHEMES:
                for name in _pictures(browser, desk, device, scheme, folder):
                    print(name)
        browser.close()
    return 0


def _pictures(
    browser: Browser, desk: Desk, device: str, scheme: Literal["light", "dark"], folder: Path
) -> Iterator[str]:
    def taken(name: str) -> str:
        page.evaluate("document.activeElement?.blur()")
        page.screenshot(path=folder / f"chat-{device}-{scheme}-{name}.png")
        return f"chat-{device}-{scheme}-{name}.png"

    with _page(browser, desk, device, scheme) as page:
        yield taken("empty")

        ask(page, QUESTION, "best")
        see(page, "To try other")
        yield taken("writing")

        state(page, "Done")
        yield taken("done")

        ask(page, FOLLOW_UP, "local")
        see(page, "Could not be answered")
        yield taken("failed")

        choose(page, "fast")
        page.get_by_role("button", name="Try again").click()
        state(page, "Done")
        page.context.set_offline(True)
        line(page, "Offline.")
        ask(page, "The train it is, then.")
        state(page, "Saved on this device")
        yield taken("offline")


@contextmanager
def _page(browser: Browser, desk: Desk, device: str, scheme: Literal["light", "dark"]) -> Generator[Page]:
    context = browser.new_context(**DEVICES[device], color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.clock.set_fixed_time(MORNING)
    page.route("**/v1/responses", _say_what_is_scripted)
    page.goto(desk.url)
    page.get_by_text("Ready").wait_for()
    yield page
    context.close()


def _say_what_is_scripted(route: Route) -> None:
    body = json.loads(route.request.post_data or "{}")
    question = body["input"][-1]
    question["content"] = SPOKEN.get(question["content"], question["content"])
    route.continue_(post_data=json.dumps(body))


if __name__ == "__main__":
    sys.exit(main())
