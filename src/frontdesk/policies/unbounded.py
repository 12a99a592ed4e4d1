"""What a request may not bring under a budget: parameters of which nobody here knows what they make it cost.

Those pass that only say how an answer is written, so that its tokens are all that it costs, and `max_output_tokens`
and `n` say how many they may be. All others may have a provider do, or charge, more: search the web, try several
models, write drafts, take other words for a length. Users may only send them where a feature lets them, and its
operator may still want a budget to hold. What the feature says itself is the operator's own matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontdesk.core.errors import Forbidden
from frontdesk.policies.dialects import DIALECTS, EMBEDDINGS_PARAMETERS, MEDIA_PARAMETERS
from frontdesk.turn.items import EmbeddingRequest, Prompt, Request

# What other servers take besides: how the next token is chosen, where an answer ends, what shape it has, how much is
# thought within its length.
_OF_OTHER_SERVERS = frozenset(
    {
        "bad_words",
        "chat_template_kwargs",
        "dynatemp_exponent",
        "dynatemp_range",
        "enable_thinking",
        "grammar",
        "guided_choice",
        "guided_grammar",
        "guided_json",
        "guided_regex",
        "ignore_eos",
        "include_reasoning",
        "include_stop_str_in_output",
        "input_type",
        "min_p",
        "min_tokens",
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "prompt_mode",
        "random_seed",
        "reasoning",
        "reasoning_format",
        "repeat_last_n",
        "repeat_penalty",
        "repetition_penalty",
        "safe_prompt",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "stop_token_ids",
        "structured_outputs",
        "thinking",
        "top_a",
        "top_k",
        "truncate",
        "typical_p",
    }
)
_DRAFTS = "prediction"  # what of it is not used is charged all the same
_BOUNDED: frozenset[str] = frozenset(
    {name for dialect in DIALECTS.values() for name in (*dialect.parameters, *dialect.implied) if name != _DRAFTS}
    | EMBEDDINGS_PARAMETERS.keys()
    | {"frequency_penalty", "presence_penalty", "modalities"}
    | _OF_OTHER_SERVERS
)


def refuse_unbounded(request: Request, decided: Mapping[str, Any]) -> None:
    """Raise Forbidden for a parameter with which a provider may charge more than is counted here.

    `decided` are the feature's own, which pass as they are.
    """
    parameters: Mapping[str, Any] = request.parameters
    is_media = not isinstance(request, Prompt | EmbeddingRequest)
    bounded = MEDIA_PARAMETERS[type(request)].keys() if is_media else _BOUNDED
    if not parameters or parameters.keys() <= bounded:
        return
    for name in sorted(parameters.keys() - bounded):
        value = parameters[name]
        if value is not None and (name not in decided or decided[name] != value):
            raise Forbidden(
                f"{name[:64]!r} may make this request cost more than can be told beforehand, and a budget applies to "
                "it. Leave it out.",
                code="not_under_a_budget",
                param=name[:64],
            )
