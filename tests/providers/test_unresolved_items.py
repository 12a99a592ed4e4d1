"""Items that mean something only here go to no provider: whatever dialect would say them refuses them by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest
from frontdesk.local.catalogue import Sampling
from frontdesk.providers.anthropic_dialect import encode_messages
from frontdesk.providers.chat_dialect import encode_chat
from frontdesk.providers.gemini_dialect import encode_gemini
from frontdesk.providers.gemini_profiles import gemini_profile
from frontdesk.providers.local import read_prompt
from frontdesk.providers.profiles import COMPATIBLE, OPENAI
from frontdesk.providers.responses_dialect import encode_responses
from frontdesk.turn.items import Compaction, Message, Prompt, Reference
from frontdesk.turn.screening import screened_request
from frontdesk.turn.sizes import texts_in

ENCODERS: dict[str, Callable[[Prompt], Any]] = {
    "chat": lambda prompt: encode_chat(prompt, "m", OPENAI),
    "compatible": lambda prompt: encode_chat(prompt, "m", COMPATIBLE),
    "responses": lambda prompt: encode_responses(prompt, "m", OPENAI),
    "anthropic": lambda prompt: encode_messages(prompt, "m"),
    "gemini": lambda prompt: encode_gemini(prompt, "m", gemini_profile("m")),
    "local": lambda prompt: read_prompt(prompt, Sampling(temperature=0, top_p=1)),
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(
    ("item", "kind"), [(Reference("msg_1"), "'item_reference'"), (Compaction("sealed"), "'compaction'")]
)
def test_what_nothing_was_put_in_the_place_of_is_refused(name: str, item: Reference | Compaction, kind: str) -> None:
    prompt = Prompt([Message("user", "x"), item, Message("user", "y")], dialect="responses")

    with pytest.raises(BadRequest) as caught:
        ENCODERS[name](prompt)

    assert kind in caught.value.message
    assert "sealed" not in caught.value.message
    assert (caught.value.code, caught.value.param) == ("unsupported_item", "input")


@pytest.mark.parametrize("item", [Reference("msg_1"), Compaction("sealed")])
def test_they_have_no_words_of_their_own(item: Reference | Compaction) -> None:
    with_item, without = Prompt([Message("user", "x"), item]), Prompt([Message("user", "x")])
    seen: list[str] = []

    def screen(text: str) -> str:
        seen.append(text)
        return text

    assert screened_request(with_item, screen) == with_item
    assert seen == ["x"]
    assert texts_in(with_item)[0] == texts_in(without)[0]
