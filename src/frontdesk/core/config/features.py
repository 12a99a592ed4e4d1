"""What a feature may say. Which parameters there are is the wire's matter, and checked where the two meet."""

from __future__ import annotations

import re

from frontdesk.core.config.context import check_context
from frontdesk.core.config.problems import Place, Problems, check_number, check_reference, remedy_for, spelled
from frontdesk.core.config.shapes import FIELDS_OF_TYPE, Config, Feature, Model, Variable
from frontdesk.core.locality import TIMES
from frontdesk.core.templates import NAME, TemplateError, parse_template
from frontdesk.core.variables import ValueRefused, read_default

FEATURE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""What a request may name in the header Frontdesk-Feature."""

NO_FEATURE = "default"
"""What turns without a feature are labelled with, so that no feature can have this name."""

MAX_OUTPUT_TOKENS = 2**31 - 1
"""The longest answer that may be asked for."""

_MAX_CHARS = 1_000_000  # no instructions are longer with their values
_MAX_INSTRUCTIONS_CHARS = 64 * 1024
_MAX_TOLD_CHARS = 64


def check_features(problems: Problems, config: Config) -> None:
    """Check all features."""
    for name, feature in config.features.items():
        place: Place = ("features", name)
        if FEATURE_NAME.fullmatch(name) is None:
            words = "Requests name it in a header: letters, digits, '_', '.', '-', at most 64."
            problems.add(place, f"features has the name {name[:_MAX_TOLD_CHARS]!r}. {words}")
        if name == NO_FEATURE:
            words = "which is what requests without a feature are counted under. Choose another name"
            remedy = "and let default_feature name it, if it is for those."
            problems.add(place, f"features has the name {name!r}, {words}, {remedy}")
        _check_models(problems, place, feature, config.models)
        _check_instructions(problems, place, feature)
        for variable_name, variable in feature.variables.items():
            _check_variable(problems, (*place, "variables", variable_name), variable)
        check_number(problems, (*place, "max_output_tokens"), feature.max_output_tokens, 1, MAX_OUTPUT_TOKENS)
        check_context(problems, (*place, "context"), feature, config.models)


def _check_models(problems: Problems, place: Place, feature: Feature, models: dict[str, Model]) -> None:
    listed: Place = (*place, "models")
    if feature.models is not None and not feature.models:
        words = "nobody could use the feature. Name some; leave it out for all of them."
        problems.add(listed, f"{spelled(listed)} is empty: {words}")
    for position, name in enumerate(feature.models or ()):
        check_reference(problems, (*listed, position), name, models, "models", listed)
    named = list(models) if feature.models is None else feature.models
    kinds = {models[name].kind for name in named if name in models}
    if kinds and "chat" not in kinds:
        _refuse_what_is_for_chat(problems, place, feature)
    _check_default_model(problems, place, feature, models, chats="chat" in kinds)


def _check_default_model(
    problems: Problems, place: Place, feature: Feature, models: dict[str, Model], *, chats: bool
) -> None:
    default, here = feature.default_model, (*place, "default_model")
    if default is None or not check_reference(problems, here, default, models, "models"):
        return
    if feature.models is not None and default not in feature.models:
        words = f"which is not among its models: {', '.join(feature.models)}. Add it there, or name one of them."
        problems.add(here, f"{spelled(here)} is {default!r}, {words}")
    elif chats and models[default].kind != "chat":
        words = "which does not chat, as others of the feature do. Name one of these."
        problems.add(here, f"{spelled(here)} is {default!r}, {words}")


_FOR_CHAT = (
    "instructions",
    "variables",
    "max_output_tokens",
    "parameters",
    "ceilings",
    "response_format",
    "context",
)


def _refuse_what_is_for_chat(problems: Problems, place: Place, feature: Feature) -> None:
    for field in _FOR_CHAT:
        if getattr(feature, field):
            here = (*place, field)
            problems.add(here, f"{spelled(here)} means nothing: no model of this feature chats. Remove it.")


# --- instructions and their variables -----------------------------------------------------------


def _check_instructions(problems: Problems, place: Place, feature: Feature) -> None:
    here = (*place, "instructions")
    if feature.instructions is None:
        if feature.variables:
            words = "means nothing: the feature has no instructions to put them into. Write some, or remove it."
            problems.add((*place, "variables"), f"{spelled(place)}.variables {words}")
        return
    if not feature.instructions.strip():
        problems.add(here, f"{spelled(here)} is empty. Write a text or the path of a file; leave it out for none.")
    if len(feature.instructions) > _MAX_INSTRUCTIONS_CHARS:
        words = f"has {len(feature.instructions):,} characters. It may have at most {_MAX_INSTRUCTIONS_CHARS:,}."
        problems.add(here, f"{spelled(here)} {words}")
    try:
        names = parse_template(feature.instructions).names
    except TemplateError as error:
        problems.add(here, f"{spelled(here)}: {error}")
        return
    if not problems.is_lost((*place, "variables")):
        for name in names:
            _check_place_of_variable(problems, place, name, feature.variables)


def _check_place_of_variable(problems: Problems, place: Place, name: str, variables: dict[str, Variable]) -> None:
    whole, _, part = name.partition(".")
    if problems.is_lost((*place, "variables", whole, "type")):
        return
    variable = variables.get(whole)
    if variable is None:
        words = f"which is not among the feature's variables. {remedy_for(whole, variables)}"
    elif part and (variable.type != "time_zone" or part not in TIMES):
        parts = " and ".join(f"'{each}'" for each in TIMES)
        words = f"which is no part of a variable: only one of type 'time_zone' has some, which are {parts}."
    else:
        return
    here = (*place, "instructions")
    problems.add(here, f"{spelled(here)} has '{{{{{name}}}}}', {words}")


def _check_variable(problems: Problems, place: Place, variable: Variable) -> None:
    if NAME.fullmatch(str(place[-1])) is None:
        words = "is no name of a variable: a letter or '_', then letters, digits, '_', at most 54."
        problems.add(place, f"{spelled(place)} {words}")
    if problems.is_lost((*place, "type")):
        return
    for field in ("max_chars", "multiline", "min", "max", "choices"):
        if field not in FIELDS_OF_TYPE[variable.type] and (*place, field) in problems.lines.by_place:
            taken = ", ".join(("default", *FIELDS_OF_TYPE[variable.type]))
            words = f"means nothing to a variable of type {variable.type!r}. Remove it. This type takes: {taken}."
            problems.lose((*place, field), f"{spelled((*place, field))} {words}")
    check_number(problems, (*place, "max_chars"), variable.max_chars, 1, _MAX_CHARS)
    _check_bounds(problems, place, variable)
    _check_choices(problems, place, variable)
    is_readable = not any(problems.is_lost((*place, field)) for field in FIELDS_OF_TYPE[variable.type])
    if variable.default is None and variable.type == "location" and not problems.is_lost((*place, "default")):
        words = "is missing: nobody has to say where they are. Write what is told of who does not, as 'not known'."
        problems.add(place, f"{spelled(place)}.default {words}")
    if variable.default is None or not is_readable or (variable.type == "choice" and not variable.choices):
        return
    try:
        read_default(variable, variable.default)
    except ValueRefused as error:
        problems.add((*place, "default"), f"{spelled(place)}.default {error}")


def _check_bounds(problems: Problems, place: Place, variable: Variable) -> None:
    for field, value in (("min", variable.least), ("max", variable.most)):
        check_number(problems, (*place, field), value, -1e18, 1e18)
        if variable.type == "integer" and value is not None and abs(value) <= 1e18 and not value.is_integer():
            problems.add(
                (*place, field), f"{spelled((*place, field))} is {value:g}. It must be an integer, as its values."
            )
    if variable.least is not None and variable.most is not None and variable.least > variable.most:
        words = f"is {variable.least:g}, more than max, which is {variable.most:g}: no value would fit. Swap them."
        problems.add((*place, "min"), f"{spelled(place)}.min {words}")


def _check_choices(problems: Problems, place: Place, variable: Variable) -> None:
    here = (*place, "choices")
    if variable.type == "choice" and not variable.choices:
        problems.add(here, f"{spelled(here)} is empty. List the values that a request may send.")
    seen: set[str] = set()
    for position, choice in enumerate(variable.choices):
        if choice in seen:
            problems.add((*here, position), f"{spelled(here)} has {choice!r} twice. Keep one.")
        seen.add(choice)


def unused_variables(feature: Feature) -> list[str]:
    """The variables that are not in a feature's instructions, which must be a template."""
    used = {name.partition(".")[0] for name in parse_template(feature.instructions or "").names}
    return [name for name in feature.variables if name not in used]
