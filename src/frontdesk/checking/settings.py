"""The settings that a command works with: environment and configuration, checked by what core cannot know as well.

Core knows neither the scripts of the scripted provider nor the parameters of Chat Completions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec.inspect import FloatType, IntType, UnionType

from frontdesk.checking.schemas import check_schema
from frontdesk.core.config import Config, Environment, Feature, development_config, load, read_environment
from frontdesk.core.config.problems import Lines, Place, Problems, remedy_for, spelled
from frontdesk.core.errors import BadRequest
from frontdesk.local.catalogue import known_model
from frontdesk.providers.scripted import ScriptedProvider
from frontdesk.turn.items import Prompt
from frontdesk.wire.openai_chat_shapes import ChatCompletionRequest, ChatPassed
from frontdesk.wire.reading import names_of
from frontdesk.wire.refusing import explained


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration that can be used. `instructions_from` are the files of instructions by their features."""

    config: Config
    environment: Environment
    is_development: bool
    lines: Lines = field(default_factory=Lines)
    instructions_from: Mapping[str, str] = field(default_factory=dict[str, str])


def read_settings(path: Path | None) -> Settings:
    """Read the configuration of `--config`, else of the environment, else that of development. Raises ConfigError."""
    environment = read_environment()
    path = path or environment.config_file
    if path is None:
        return Settings(development_config(environment), environment, is_development=True)
    loaded = load(path, checks=(refuse_unknown_scripts, check_parameters, refuse_missing_extras))
    return Settings(
        loaded.config,
        environment,
        is_development=False,
        lines=loaded.lines,
        instructions_from=loaded.instructions_from,
    )


def refuse_unknown_scripts(config: Config, problems: Problems) -> None:
    """Ask the scripted provider for every script that a route names."""
    scripted = ScriptedProvider()
    for name, model in config.models.items():
        for position, step in enumerate(model.steps if model.kind == "chat" else ()):
            for way in step:
                provider, _, script = way.partition("/")
                if provider not in config.providers or config.providers[provider].kind != "scripted":
                    continue
                try:
                    scripted.answer(Prompt([]), script)
                except BadRequest as error:
                    place = ("models", name, "route", position)
                    problems.add(place, f"models.{name}.route has {way!r}. {error.message}")


def refuse_missing_extras(config: Config, problems: Problems, is_there: Callable[[str], object] = find_spec) -> None:
    """Tell which packages a configuration needs that are not installed. `is_there` finds a module by its name."""
    needed = {
        "database": ("asyncpg", "postgresql") if config.database.startswith("postgres") else None,
        "valkey": ("valkey", "valkey") if config.valkey is not None else None,
    }
    for setting, named in needed.items():
        if named is not None and is_there(named[0]) is None:
            module, extra = named
            words = f"needs the package {module!r}, which is not installed here: pip install 'frontdesk[{extra}]'"
            problems.add((setting,), f"{setting} {words}")
    for name, provider in config.providers.items():
        known = known_model(provider.model or "") if provider.kind == "local" else None
        if known is not None and known.kind == "transcription" and is_there("faster_whisper") is None:
            place = ("providers", name, "model")
            words = "needs the package 'faster_whisper', which is not installed here: pip install 'frontdesk[whisper]'"
            problems.add(place, f"{spelled(place)} {words}")


# --- parameters ---------------------------------------------------------------------------------

_SETTING_OF: dict[str, str] = {
    "model": "default_model",
    "messages": "instructions",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "response_format",
}
_OF_REQUESTS = frozenset({"stream", "stream_options", "tools", "tool_choice", "metadata"})
_FREE = names_of(ChatPassed) | {"n", "reasoning_effort", "verbosity"}
_WITHOUT_CEILING = frozenset({"seed"})  # a number, and none that is more than another


def _shape_of(*names: str) -> type[msgspec.Struct]:
    """The shape of some fields of a request."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(ChatCompletionRequest)}
    return msgspec.defstruct("Parameters", [(name, fields[name], None) for name in names])


def check_parameters(config: Config, problems: Problems) -> None:
    """Check what features say in the spelling of Chat Completions: defaults, ceilings, the format of answers."""
    shape = _shape_of(*sorted(_FREE))
    ranges = {
        field.encode_name: kind
        for field in msgspec.structs.fields(shape)
        if field.name not in _WITHOUT_CEILING and (kind := _number_type(field.type)) is not None
    }
    formats = _shape_of("response_format")
    for name, feature in config.features.items():
        place: Place = ("features", name)
        for parameter, value in feature.parameters.items():
            _check_parameter(problems, (*place, "parameters", parameter), value, shape)
        for parameter in feature.ceilings:
            _check_ceiling(problems, (*place, "ceilings", parameter), feature, ranges, shape)
        if feature.parameters.get("top_logprobs") and not feature.parameters.get("logprobs"):
            here = (*place, "parameters", "top_logprobs")
            problems.add(here, f"{spelled(here)} needs logprobs: true beside it.")
        if feature.response_format is not None:
            _convert(problems, place, {"response_format": feature.response_format}, formats)
            _check_format(problems, (*place, "response_format"), feature.response_format)


def _check_format(problems: Problems, place: Place, response_format: Mapping[str, Any]) -> None:
    """Check the schema of a format. Its other fields are read as those of requests are."""
    named = response_format.get("json_schema")
    schema = cast("Mapping[str, Any]", named).get("schema") if isinstance(named, dict) else None
    if isinstance(schema, dict):
        check_schema(problems, (*place, "json_schema", "schema"), schema)


def _check_parameter(problems: Problems, place: Place, value: Any, shape: type[msgspec.Struct]) -> None:
    name = str(place[-1])
    if name in _SETTING_OF:
        instead = spelled((*place[:-2], _SETTING_OF[name]))
        problems.add(place, f"{spelled(place)} has a setting of its own: write {instead}.")
    elif name in _OF_REQUESTS:
        problems.add(place, f"{spelled(place)} is the request's to say. Remove it.")
    elif name not in _FREE:
        problems.add(place, f"{spelled(place)} is no parameter of Chat Completions. {remedy_for(name, sorted(_FREE))}")
    elif value is None:
        problems.add(place, f"{spelled(place)} is empty. Write a value, or leave it out.")
    else:
        _convert(problems, place[:-1], {name: value}, shape)


def _check_ceiling(
    problems: Problems,
    place: Place,
    feature: Feature,
    ranges: Mapping[str, IntType | FloatType],
    shape: type[msgspec.Struct],
) -> None:
    name = str(place[-1])
    ceiling = feature.ceilings[name]
    if name in ("max_tokens", "max_completion_tokens"):
        instead = spelled((*place[:-2], "max_output_tokens"))
        problems.add(place, f"{spelled(place)} has a setting of its own: write {instead}.")
        return
    if name not in ranges:
        words = f"is no parameter that has a ceiling. {remedy_for(name, sorted(ranges))}"
        problems.add(place, f"{spelled(place)} {words}")
        return
    if not math.isfinite(ceiling):
        words = "It must be a number; leave it out for no ceiling."
        problems.add(place, f"{spelled(place)} is {ceiling:g}. {words}")
        return
    is_whole = isinstance(ranges[name], IntType) and ceiling.is_integer()
    _convert(problems, place[:-1], {name: int(ceiling) if is_whole else ceiling}, shape)
    default = feature.parameters.get(name)
    if isinstance(default, int | float) and default > ceiling:
        words = f"is {ceiling:g}, less than the feature's own default, which is {default:g}. Change one of them."
        problems.add(place, f"{spelled(place)} {words}")


def _convert(problems: Problems, place: Place, fields: dict[str, Any], shape: type[msgspec.Struct]) -> None:
    """Tell what does not fit; `place` holds the fields."""
    try:
        msgspec.convert(fields, shape)
    except msgspec.ValidationError as error:
        refusal = explained(error, fields, shape, spelled(place))
        way = (refusal.param or "").removeprefix(f"{spelled(place)}.").split(".")
        problems.add((*place, *way), refusal.message)


def _number_type(kind: Any) -> IntType | FloatType | None:
    """The type of a parameter that is a number, or null."""
    read = msgspec.inspect.type_info(kind)
    types = read.types if isinstance(read, UnionType) else (read,)
    return next((each for each in types if isinstance(each, IntType | FloatType)), None)
