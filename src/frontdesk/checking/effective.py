"""A configuration as it is effective, for people to read: without secrets and without the texts of instructions."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from frontdesk.checking.settings import Settings
from frontdesk.core.config import FIELDS_OF_KIND, FIELDS_OF_TYPE, Attestation, Feature, Issuer, Provider, Variable


def effective(settings: Settings) -> dict[str, Any]:
    """The settings by their names; what says nothing is left out. It is itself a configuration."""
    tree = _shown(settings.config)
    tree["database"] = without_password(tree["database"])
    for name, path in settings.instructions_from.items():
        tree["features"][name]["instructions"] = path
    return tree


def without_password(url: str) -> str:
    """An address whose password is not shown."""
    return re.sub(r"(?<=://)([^:@/]*):[^@/]*@", r"\1:…@", url)


def without_query(url: str) -> str:
    """An address without what follows its path, which may be a key."""
    address, mark, _ = url.partition("?")
    return f"{address}?..." if mark else address


def _shown(value: Any) -> Any:
    match value:
        case msgspec.Struct():
            return _fields(value)
        case dict():
            return {name: _shown(each) for name, each in cast("dict[str, Any]", value).items()}
        case list():
            return [_shown(each) for each in cast("list[Any]", value)]
        case _:
            return value


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    names = zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True)
    shown = {name: _shown(getattr(struct, field)) for name, field in names}
    shown = {name: value for name, value in shown.items() if value not in (None, {}, [])}
    match struct:
        case Provider(kind=kind):
            shown = _only(shown, "kind", *FIELDS_OF_KIND[kind])
            if "api_key" in shown:
                shown["api_key"] = "(set)"
            if "base_url" in shown:
                shown["base_url"] = without_password(shown["base_url"])
        case Feature(instructions=str(text)):
            shown["instructions"] = f"({len(text)} characters)"
        case Variable(type=kind):
            shown = _only(shown, "type", "default", *FIELDS_OF_TYPE[kind])
        case Issuer(jwks_url=str(url)) | Attestation(jwks_url=str(url)):
            shown["jwks_url"] = without_query(url)
        case _:
            pass
    return shown


def _only(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in names}
