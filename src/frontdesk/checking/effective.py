"""A configuration as it is effective, for people to read: without secrets and without the texts of instructions."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from frontdesk.checking.settings import Settings
from frontdesk.core.config import (
    FIELDS_OF_KIND,
    FIELDS_OF_STRATEGY,
    FIELDS_OF_TYPE,
    Alerts,
    Attestation,
    Context,
    Feature,
    Issuer,
    Provider,
    Retention,
    Variable,
)


def effective(settings: Settings) -> dict[str, Any]:
    """The settings by their names; what says nothing is left out. It is itself a configuration."""
    tree = _shown(settings.config)
    for name in ("database", "valkey"):
        if name in tree:
            tree[name] = without_password(tree[name])
    for name, path in settings.instructions_from.items():
        tree["features"][name]["instructions"] = path
    return tree


def without_password(url: str) -> str:
    """An address whose password is not shown, before its host or, as drivers take it, among what follows."""
    url = re.sub(r"(?<=://)([^:@/]*):[^@/]*@", r"\1:…@", url)
    return re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1…", url)


def without_query(url: str) -> str:
    """An address without what follows its path, which may be a key."""
    address, mark, _ = url.partition("?")
    return f"{address}?..." if mark else address


def without_path(url: str) -> str:
    """An address without what follows its host, which may be a key."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.partition('/')[0].partition('?')[0]}/..."


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
    if not isinstance(struct, Retention):  # of which null is a value
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
        case Context(strategy=strategy):
            shown = _only(shown, *FIELDS_OF_STRATEGY[strategy])
        case Variable(type=kind):
            shown = _only(shown, "type", "default", *FIELDS_OF_TYPE[kind])
        case Issuer(jwks_url=str(url)) | Attestation(jwks_url=str(url)):
            shown["jwks_url"] = without_query(url)
        case Alerts(webhook=webhook, secret=secret):
            shown |= {} if webhook is None else {"webhook": without_path(webhook)}
            shown |= {} if secret is None else {"secret": _NOT_SHOWN}
        case _:
            pass
    return shown


_NOT_SHOWN = "(set, and not shown here)"  # long enough for a secret, so that what is shown can be read again


def _only(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in names}
