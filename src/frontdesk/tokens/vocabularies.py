"""By which vocabulary a model reads, and what its provider writes around what it is told.

    scripted     a word is one, and nothing is around it     counted here
    OpenAI       the vocabularies that it publishes          counted in a process of its own
    local        the one in the model's own file             the same
    all others   not known

What is around is OpenAI's own account of its chat models; of calls it gives none. A model's first route counts, as in
`requests`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from frontdesk.core.config import Config
from frontdesk.core.config import Provider as ProviderConfig
from frontdesk.local.models import find_model
from frontdesk.local.vocabularies import FROM_FILE
from frontdesk.tokens.encodings import encoding_of

Counts = Callable[[str], int]


class Framing(msgspec.Struct, frozen=True):
    """What a provider writes around what it is told, in tokens.

    Of a request, of each message, answer, call and output, and of tools together; what is said where nobody gives
    instructions (`uninstructed`); what a picture is, and a small one (`detail` low). Where it `names_calls`, their
    names are read, where it `reads_raw` all that is no text.
    """

    request: int = 3
    message: int = 4
    answer: int = 4
    tools: int = 12
    uninstructed: int = 0
    call: int = 8
    output: int = 8
    picture: int = 765
    small_picture: int = 85
    names_calls: bool = True
    reads_raw: bool = True


class Vocabulary(msgspec.Struct, frozen=True):
    """How a model reads. It is counted `here`, or elsewhere by its `name`; "" is the name of what is not known."""

    name: str
    framing: Framing
    here: Counts | None = None

    @property
    def is_known(self) -> bool:
        """Whether its tokens can be counted."""
        return self.name != ""


def vocabularies_of(config: Config, home: Path) -> dict[str, Vocabulary]:
    """The vocabulary of each configured model. Local ones have their files at `home`."""
    return {name: _vocabulary(config, model.routes[0], home) for name, model in config.models.items()}


def _vocabulary(config: Config, route: str, home: Path) -> Vocabulary:
    provider, _, model = route.partition("/")
    settings = config.providers.get(provider)
    match None if settings is None else settings.kind:
        case "scripted":
            return _WORDS
        case "openai":
            # A model of another server may have the name of one of OpenAI's, and a tokenizer of its own.
            encoding = encoding_of(model)
            return UNKNOWN if encoding is None else Vocabulary(encoding, Framing())
        case "local":
            assert settings is not None  # it has a kind
            return _local(settings, provider, model, home)
        case _:
            return UNKNOWN


def _local(settings: ProviderConfig, provider: str, model: str, home: Path) -> Vocabulary:
    path = Path(settings.path) if settings.path is not None and model == (settings.model or provider) else None
    found = find_model(model, home, path=path)
    if found is None or found.kind != "chat":
        return UNKNOWN
    return Vocabulary(f"{FROM_FILE}{found.files[0]}", _CHATML)


def _words(text: str) -> int:
    return len(text.split())


_WORDS = Vocabulary(
    "words",
    Framing(0, 0, 0, 0, call=0, output=0, picture=85, small_picture=85, names_calls=False, reads_raw=False),
    _words,
)
UNKNOWN = Vocabulary("", Framing())
"""That of a model of which nothing is known."""
# <|im_start|>user\n ... <|im_end|>\n, and <|im_start|>assistant\n: what most templates of small models look like. The
# rest is what `providers.local` writes itself.
_CHATML = Framing(request=4, message=5, answer=6, tools=60, uninstructed=13, call=14, output=10)
