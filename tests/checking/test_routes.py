"""What a route says and never does is told, with its place; a careful one leaves no doubt."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontdesk.checking.routes import doubts_about_routes
from frontdesk.core.config.problems import spelled
from tests.checking.loaded import settings_of

CAREFUL = """\
providers:
  openai: {kind: openai, api_key: sk-test-fake, first_event_s: 20}
  claude: {kind: anthropic, api_key: k-test-fake}
  gemini: {kind: gemini, api_key: k-test-fake}
  here: {kind: local, model: smollm2-135m}
models:
  fast: {route: [{openai/a: 9, openai/b: 1}, claude/c, here/smollm2-135m], hedge_after_s: 3}
  copied: {route: [openai/a], shadow: {to: claude/c, share: 0.1}}
  vectors: {route: [openai/e, gemini/e, here/minilm-l6-v2], kind: embeddings}
  ears: {route: [openai/w, here/whisper-tiny-en], kind: transcription}
files: {max_mb: 50, per_user_mb: 50}
"""


def told(folder: Path, text: str) -> list[str]:
    return [f"{spelled(place)}|{words}" for place, words in doubts_about_routes(settings_of(folder, text).config)]


def test_a_careful_configuration_leaves_no_doubt(tmp_path: Path) -> None:
    assert told(tmp_path, CAREFUL) == []


@pytest.mark.parametrize(
    ("old", "new", "doubt"),
    [
        (
            "[openai/w, here/whisper-tiny-en]",
            "[claude/c, openai/w]",
            (
                "models.ears.route[0]|models.ears.route has 'claude/c', which has no models of the kind "
                "'transcription', but of chat: it declines whatever is asked."
            ),
        ),
        (
            "here/minilm-l6-v2]",
            "here/smollm2-135m]",
            (
                "models.vectors.route[2]|models.vectors.route has 'here/smollm2-135m', which has no models of the kind "
                "'embeddings', but of chat: it declines whatever is asked."
            ),
        ),
        (
            "here/smollm2-135m], hedge",
            "openai/a], hedge",
            "models.fast.route[2]|models.fast.route has 'openai/a' twice: the second one changes nothing.",
        ),
        (
            "hedge_after_s: 3",
            "hedge_after_s: 20",
            (
                "models.fast.hedge_after_s|models.fast.hedge_after_s is 20, and the first attempt ends after 20 "
                "without a word (first_event_s): none is joined."
            ),
        ),
        (
            "{to: claude/c, share: 0.1}",
            "{to: openai/a}",
            (
                "models.copied.shadow.to|models.copied.shadow.to is 'openai/a', which answers already: "
                "it is asked and paid for twice."
            ),
        ),
        (
            "share: 0.1",
            "share: 0",
            "models.copied.shadow.share|models.copied.shadow.share is 0: nothing is copied.",
        ),
        (
            "first_event_s: 20",
            "first_event_s: 200",
            (
                "providers.openai.first_event_s|providers.openai.first_event_s is 200, more than idle_timeout_s, "
                "which is 120 and ends a silent provider before."
            ),
        ),
        (
            "max_mb: 50,",
            "max_mb: 60,",
            (
                "files.max_mb|files.max_mb is 60, more than files.per_user_mb, which is 50: "
                "nobody can upload so large a file."
            ),
        ),
    ],
)
def test_what_never_comes_about_is_told(tmp_path: Path, old: str, new: str, doubt: str) -> None:
    assert old in CAREFUL

    assert told(tmp_path, CAREFUL.replace(old, new, 1)) == [doubt]
