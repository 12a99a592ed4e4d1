"""A configuration's text becomes values of the settings' types, and every value has its line.

The shapes decide how a scalar is read: where a text belongs, `no`, `012` and `2024-01-01` are texts as they
are written, whatever YAML 1.1 makes of them. What cannot be read is told; the reading goes on with
something of its type, so that all problems are told at once. Settings without a value count as left out,
but for those that limit: a list whose items are commented out must not become no limit. Where a null is a value
of its own it must be written.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import yaml
from msgspec.inspect import (
    AnyType,
    BoolType,
    DictType,
    Field,
    FloatType,
    IntType,
    ListType,
    LiteralType,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
)

from frontdesk.core.config.problems import ConfigError, Place, Problem, Problems, remedy_for, spelled
from frontdesk.core.config.shapes import (
    App,
    Attestation,
    ClaimNames,
    Config,
    Context,
    Feature,
    Issuer,
    Model,
    Provider,
    RateLimit,
    Retention,
    Tier,
    Variable,
)

# Names of the contract that this version does not serve. Accepting them would promise a limit or a
# protection that nothing enforces.
NOT_YET = frozenset({"cache"})
# Left out, these limit nothing, or allow all there is. Of a key that stands there empty nobody knows which
# of the two was meant.
LIMITS: Mapping[type, frozenset[str]] = {
    Config: frozenset({"budgets", "features", "rate_limits", "tiers"}),
    Feature: frozenset({"models", "max_output_tokens", "ceilings", "keep_days"}),
    Context: frozenset({"tokens"}),
    Variable: frozenset({"min", "max"}),
    Tier: frozenset(
        {
            "models",
            "features",
            "requests_per_minute",
            "tokens_per_minute",
            "tokens_per_day",
            "concurrent",
            "concurrent_streams",
            "budget",
            "keep_days",
        }
    ),
    RateLimit: frozenset(
        {"requests_per_minute", "tokens_per_minute", "tokens_per_day", "concurrent", "concurrent_streams"}
    ),
    Provider: frozenset({"slots"}),
    Model: frozenset({"max_output_tokens"}),
    Issuer: frozenset({"algorithms", "require"}),
    ClaimNames: frozenset({"features"}),
    App: frozenset({"attestation"}),
    Attestation: frozenset({"algorithms", "subject"}),
    Retention: frozenset({"responses_days", "conversations_days", "turns_days", "alerts_days"}),
}
# Of these a null that is written (`null`, `~`) says for ever; a key that stands there empty says nothing.
WITHOUT_END: Mapping[type, frozenset[str]] = {Retention: LIMITS[Retention]}
SECRET_FIELDS = frozenset({"api_key", "database", "secret", "valkey", "webhook"})
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASS|PWD|CREDENTIAL", re.IGNORECASE)

# Aliases make few lines many values: nine lines of nine aliases each are 387 million.
_MAX_VALUES = 100_000
_MAX_DEPTH = 64
_MAX_TOLD_CHARS = 64


def read_settings(
    text: str, shape: type[msgspec.Struct], variables: Mapping[str, str], problems: Problems
) -> dict[str, Any]:
    """Read a configuration's text; what is wrong with it joins `problems`, as do the lines of all places.

    Raises ConfigError where the text is no YAML, no mapping, or too large once its aliases are written out.
    """
    root = _composed(text, problems.lines.file)
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise _refused("The configuration must be a mapping of settings.", problems.lines.file, _line(root))
    kind = msgspec.inspect.type_info(shape)
    assert isinstance(kind, StructType)
    try:
        return _Reader(variables, problems).struct(root, kind, ())
    except _TooLarge:
        raise _refused(
            f"The configuration has more than {_MAX_VALUES:,} values once its aliases are written out.",
            problems.lines.file,
        ) from None


def line_at(text: str, position: int) -> int:
    r"""The line of a character, as editors count: \n, \r\n and \r end one."""
    return sum(1 for _ in _LINE_END.finditer(text, 0, position)) + 1


def is_unicode(text: str) -> bool:
    """Whether a text has whole characters only. Python reads bytes of the environment that are no UTF-8 as halves."""
    return _HALF.search(text) is None


_LINE_END = re.compile(r"\r\n?|\n")
_UNSEEN_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    """Counts lines as editors do, and reads the escapes of JSON as JSON does.

    To YAML 1.1, U+0085, U+2028 and U+2029 end a line as well. JSON writes characters beyond U+FFFF as two
    escapes (RFC 8259 §7), which PyYAML leaves two halves.
    """

    def __init__(self, text: str) -> None:
        self._line_ends = [end.end() for end in _LINE_END.finditer(text)]
        super().__init__(text)

    def get_mark(self) -> yaml.Mark:
        mark = super().get_mark()
        mark.line = bisect_right(self._line_ends, mark.index)
        return mark

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        node.value = _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), node.value)
        return node


def _composed(text: str, file: str | None) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        # Not its own words: they quote the line, which may hold a key.
        said = ", ".join(words for words in (error.context, error.problem) if words)
        line = error.problem_mark.line + 1 if error.problem_mark else None
        first = error.context_mark.line + 1 if error.context_mark else line
        hint = _hint(_LINE_END.split(text), first or 1, line) if line else ""
        raise _refused(f"The configuration is not valid YAML: {said}.{hint}", file, line) from None
    except yaml.reader.ReaderError as error:
        line = line_at(text, error.position)
        raise _refused("The configuration is not valid YAML: it has a control character.", file, line) from None
    except RecursionError:
        raise _refused("The configuration is nested too deeply.", file) from None


def _hint(lines: list[str], first: int, last: int) -> str:
    """What may be the reason that some lines are no YAML."""
    for number in range(first, last + 1):
        unseen = _UNSEEN_LINE_ENDS.search(lines[number - 1])
        if unseen:
            words = f"Line {number} has the character U+{ord(unseen[0]):04X}, which ends a line of YAML and a comment"
            return f" {words}. Remove it."
    return " Within { } and [ ] write ${NAME} in quotes." if "${" in lines[last - 1] else ""


def _refused(message: str, file: str | None, line: int | None = None) -> ConfigError:
    problem = Problem(message, (), file, line)
    return ConfigError(str(problem), [problem])


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


class _TooLarge(Exception):
    """There are more values than anybody writes."""


class _Entry:
    """A key of a mapping, and its value. The line is where one looks for it: a long value's key, a short value."""

    __slots__ = ("key_line", "line", "value")

    def __init__(self, key: yaml.Node, value: yaml.Node) -> None:
        self.value = value
        self.key_line = _line(key)
        self.line = _line(value if isinstance(value, yaml.ScalarNode) else key)


class _Reader:
    """Reads nodes of YAML by the types that they should have."""

    def __init__(self, variables: Mapping[str, str], problems: Problems) -> None:
        self._variables = variables
        self._problems = problems
        self._left = _MAX_VALUES
        self._around: set[int] = set()  # the nodes that hold the one being read

    def struct(self, node: yaml.Node, kind: StructType, place: Place) -> dict[str, Any]:
        """Return the fields of a mapping of settings. A node without a value has none."""
        if not isinstance(node, yaml.MappingNode) and not _is_null(node):
            self._lose(place, node, kind)
            return _stand_in(kind)
        fields = {field.encode_name: field for field in kind.fields}
        values: dict[str, Any] = {}
        meant: set[str] = set()
        for key, entry in self._entries(node, place).items():
            field = fields.get(key)
            if field is None:
                meant.add(self._refuse_key(key, entry, fields, place))
                continue
            self._problems.lines.by_place[(*place, key)] = entry.line
            if field.required or not _is_null(entry.value):
                values[key] = self._value(entry.value, field.type, (*place, key))
            elif key in WITHOUT_END.get(kind.cls, ()) and entry.value.value:
                values[key] = None
            elif key in LIMITS.get(kind.cls, ()):
                wanted = _wanted(field.type)
                is_endless = key in WITHOUT_END.get(kind.cls, ())
                self._refuse_empty((*place, key), f"{wanted}, null for ever" if is_endless else wanted)
        for field in fields.values():
            if field.required and field.encode_name not in values:
                values[field.encode_name] = _stand_in(field.type)
                self._miss(field, place, is_misspelt=field.encode_name in meant)
        return values

    def _value(self, node: yaml.Node, kind: Type, place: Place) -> Any:
        self._count(place)
        kinds = kind.types if isinstance(kind, UnionType) else (kind,)
        if _is_null(node) and any(isinstance(each, NoneType) for each in kinds):
            return None
        for each in kinds:
            match each:
                case StructType() if isinstance(node, yaml.MappingNode) or not _has_list(kinds):
                    return self._inside(node, place, lambda each=each: self.struct(node, each, place))
                case DictType() if isinstance(node, yaml.MappingNode):
                    return self._inside(node, place, lambda each=each: self._dict(node, each, place))
                case ListType() if isinstance(node, yaml.SequenceNode):
                    return self._inside(node, place, lambda each=each: self._list(node, each, place))
                case AnyType():
                    return self._inside(node, place, lambda: self._json(node, place))
                case _:
                    pass
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, kinds, kind, place)
        self._lose(place, node, kind)
        return _stand_in(kind)

    def _dict(self, node: yaml.Node, kind: DictType, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, entry in self._entries(node, place).items():
            self._problems.lines.by_place[(*place, key)] = entry.line
            values[key] = self._value(entry.value, kind.value_type, (*place, key))
        return values

    def _list(self, node: yaml.Node, kind: ListType, place: Place) -> list[Any]:
        values: list[Any] = []
        for position, item in enumerate(node.value):
            self._problems.lines.by_place[(*place, position)] = _line(item)
            values.append(self._value(item, kind.item_type, (*place, position)))
        return values

    def _json(self, node: yaml.Node, place: Place) -> Any:
        """Any value that JSON has."""
        if isinstance(node, yaml.MappingNode):
            return self._dict(node, _OF_ANY, place)
        if isinstance(node, yaml.SequenceNode):
            return self._list(node, _LIST_OF_ANY, place)
        if _is_null(node) or not isinstance(node, yaml.ScalarNode):
            return None
        value = self._scalar(node, _JSON_SCALARS, _JSON_SCALAR, place)
        if isinstance(value, float) and not math.isfinite(value):
            self._problems.lose(place, f"{spelled(place)} is {value:g}, which JSON has not. Write a number.")
            return _stand_in(FloatType())
        return value

    def _inside(self, node: yaml.Node, place: Place, read: Callable[[], Any]) -> Any:
        """Read what a node holds, unless that is the node itself again, by an alias."""
        if id(node) in self._around or len(place) > _MAX_DEPTH:
            self._problems.lose(place, f"{spelled(place)} is nested too deeply, or holds itself by an alias.")
            return {} if isinstance(node, yaml.MappingNode) else []
        self._around.add(id(node))
        try:
            return read()
        finally:
            self._around.remove(id(node))

    def _count(self, place: Place) -> None:
        self._left -= 1
        if self._left < 0:
            raise _TooLarge(spelled(place))

    # --- mappings -------------------------------------------------------------------------------

    def _entries(self, node: yaml.Node, place: Place) -> dict[str, _Entry]:
        """The entries of a mapping. What `<<` merges comes first, and gives way to the mapping's own."""
        name = spelled(place) or "The configuration"
        own: dict[str, _Entry] = {}
        merged: dict[str, _Entry] = {}
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            self._count(place)
            if not isinstance(key, yaml.ScalarNode):
                self._problems.add(place, f"{name} has a key that is no text.", _line(key))
            elif not is_unicode(key.value):
                words = f"has a key with {_half_of(key.value)}"
                self._problems.add(place, f"{name} {words}", _line(key))
            elif key.tag == _MERGE and not merged:
                merged = self._merged(value, place)
            elif key.value in own or key.tag == _MERGE:
                self._tell_twice(key, own, place)
            else:
                own[key.value] = _Entry(key, value)
        return merged | own

    def _merged(self, node: yaml.Node, place: Place) -> dict[str, _Entry]:
        """The entries of one mapping, or of several: then those of the earlier ones hold."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        entries: dict[str, _Entry] = {}
        for source in reversed(sources):
            if isinstance(source, yaml.MappingNode) and id(source) not in self._around:
                entries |= self._inside(source, place, lambda source=source: self._entries(source, place))
            else:
                words = f"'<<' in {spelled(place) or 'the configuration'} takes another mapping, or a list of mappings."
                self._problems.add(place, words, _line(source))
        return entries

    def _tell_twice(self, key: yaml.ScalarNode, own: Mapping[str, _Entry], place: Place) -> None:
        if key.tag == _MERGE:
            words = f"'<<' is in {spelled(place) or 'the configuration'} twice. Write one: <<: [*first, *second]."
        else:
            first, line = own[key.value].key_line, _line(key)
            lines = f"on lines {first} and {line}" if first != line else f"both on line {line}"
            words = f"The setting {spelled((*place, key.value))!r} is there twice, {lines}. Keep one."
        self._problems.add(place, words, _line(key))

    def _refuse_key(self, key: str, entry: _Entry, known: Iterable[str], place: Place) -> str:
        """Tell an unknown key; returns the known one that was meant, if any."""
        here = (*place, key)
        name = spelled(here) if len(key) <= _MAX_TOLD_CHARS else f"{spelled((*place, key[:_MAX_TOLD_CHARS]))}…"
        if (f"{place[0]}.{key}" if place else key) in NOT_YET:
            words = f"The setting {name!r} is not served by this version. Remove it: nothing would enforce it."
            self._problems.add(here, words, entry.key_line)
            return ""
        remedy = remedy_for(key, known).replace("Known:", "Known here:")
        self._problems.add(here, f"The setting {name!r} is unknown. {remedy}", entry.key_line)
        return remedy.split("'")[1] if remedy.startswith("Did you mean") else ""

    def _refuse_empty(self, place: Place, wanted: str) -> None:
        words = f"Write {wanted}, or remove the key."
        self._problems.lose(place, f"{spelled(place)} is empty, and would count as no limit. {words}")

    def _miss(self, field: Field, place: Place, *, is_misspelt: bool) -> None:
        here = (*place, field.encode_name)
        if is_misspelt:  # which is told already
            self._problems.pass_over(here)
        else:
            self._problems.lose(here, f"{spelled(here)} is missing. It must be {_wanted(field.type)}.")

    # --- scalars --------------------------------------------------------------------------------

    def _scalar(self, node: yaml.ScalarNode, kinds: Iterable[Type], kind: Type, place: Place) -> Any:
        if node.tag not in _TAGS:
            tag = node.tag.replace(_YAML, "!!")
            self._problems.lose(place, f"{spelled(place)} has the tag {tag!r}, which is not read. Leave it out.")
            return _stand_in(kind)
        if not is_unicode(node.value):
            self._problems.lose(place, f"{spelled(place)} has {_half_of(node.value)}")
            return _stand_in(kind)
        text, names = self._with_environment(node, place)
        if text is None:
            return _stand_in(kind)
        # The environment has only texts: what they are follows from where they stand.
        tag = _STR if names or node.tag == _TIMESTAMP else node.tag
        is_plain = bool(names) or (node.style is None and tag != _NULL)
        for value in _readings(text, tag, kinds, is_plain=is_plain):
            return value
        is_quoted = not is_plain and any(True for _ in _readings(text, _STR, kinds, is_plain=True))
        hint = " Write it without quotes." if is_quoted else ""
        if is_plain and not names and any(isinstance(each, StrType) for each in kinds):
            hint = " Write it in quotes if it is a text."
        elif _LONG_INTEGER.fullmatch(text) and any(isinstance(each, IntType) for each in kinds):
            hint = " 18 digits are the most."
        elif node.tag in (_INT, _FLOAT) and isinstance(kind, ListType) and isinstance(kind.item_type, FloatType):
            hint = f" Write [{node.value}]."
        self._lose(place, node, kind, names, hint)
        return _stand_in(kind)

    def _with_environment(self, node: yaml.ScalarNode, place: Place) -> tuple[str | None, list[str]]:
        """A text with what `${NAME}` reads, and the names that it read; None where one is not set."""
        names: list[str] = []
        missing: list[str] = []

        def replaced(match: re.Match[str]) -> str:
            found = self._variables.get(match["name"], match["default"])
            if found is None:  # pyright: ignore[reportUnnecessaryComparison] - a group that did not match is None
                missing.append(match["name"])
                return ""
            names.append(match["name"])
            return found

        text = _VARIABLE.sub(replaced, node.value)
        for name in missing:
            words = f"Set it, or write ${{{name}:-}} to allow it empty."
            self._problems.add(
                place, f"{spelled(place)} reads ${{{name}}}, which is not set in the environment. {words}"
            )
        if missing:
            self._problems.pass_over(place)
            return None, names
        if not is_unicode(text):  # what Python makes of bytes that are no UTF-8
            read = " and ".join(f"${{{name}}}" for name in names if not is_unicode(self._variables.get(name, "")))
            self._problems.lose(
                place, f"{spelled(place)} reads {read}, which is not UTF-8 in the environment. Set it anew."
            )
            return None, names
        for name in names:
            if place[-1] in SECRET_FIELDS or _SECRET_NAME.search(name):
                self._problems.keep_secret(self._variables.get(name, ""), f"${{{name}}}")
        return text, names

    def _lose(self, place: Place, node: yaml.Node, kind: Type, names: Iterable[str] = (), hint: str = "") -> None:
        """Tell a value of the wrong type. Those of secrets and of the environment are not shown."""
        read = ", ".join(f"${{{name}}}" for name in names)
        told = f"what {read} says" if read else _told(node, is_secret=place[-1] in SECRET_FIELDS)
        remedy = f"It must be {_wanted(kind)}.{hint}"
        choices = list(_choices(kind))
        if choices and not read and isinstance(node, yaml.ScalarNode):
            nearest = remedy_for(node.value, choices)
            remedy += f" {nearest}" if nearest.startswith("Did you mean") else ""
        self._problems.lose(place, f"{spelled(place)} is {told}. {remedy}")


_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_YAML = "tag:yaml.org,2002:"
_MERGE, _STR, _NULL = f"{_YAML}merge", f"{_YAML}str", f"{_YAML}null"
_BOOL, _INT, _FLOAT, _TIMESTAMP = f"{_YAML}bool", f"{_YAML}int", f"{_YAML}float", f"{_YAML}timestamp"
_TAGS = frozenset({_STR, _NULL, _BOOL, _INT, _FLOAT, _TIMESTAMP, f"{_YAML}value", _MERGE})

_ANY = AnyType()
_OF_ANY = DictType(StrType(), _ANY)
_LIST_OF_ANY = ListType(_ANY)
_JSON_SCALARS = (BoolType(), IntType(), FloatType(), StrType())
_JSON_SCALAR = UnionType(_JSON_SCALARS)

_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]{0,17})")
_LONG_INTEGER = re.compile(r"[-+]?[1-9][0-9_]{18,}")
_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9_]*)(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)


def _readings(text: str, tag: str, kinds: Iterable[Type], *, is_plain: bool) -> Iterator[Any]:
    """Yield what a scalar may be read as, the best first; nothing where it fits none of the types."""
    types = {type(each) for each in kinds}
    is_only_text = StrType in types and not types & {BoolType, IntType, FloatType}
    is_text = tag not in (_BOOL, _INT, _FLOAT, _NULL)
    if BoolType in types and (tag == _BOOL or (is_plain and StrType not in types)) and text.lower() in _BOOLEANS:
        yield _BOOLEANS[text.lower()]
    if IntType in types and (tag == _INT or (is_plain and StrType not in types)) and _INTEGER.fullmatch(text):
        yield int(text.replace("_", ""))
    if FloatType in types and (tag in (_INT, _FLOAT) or (is_plain and StrType not in types)):
        if _NUMBER.fullmatch(text):
            yield float(text.replace("_", ""))
        elif _SPECIAL.fullmatch(text):
            yield float(text.replace(".", ""))
    for each in kinds:
        if isinstance(each, LiteralType) and text in each.values:
            yield text
    if StrType in types and (is_only_text or is_text) and tag != _NULL:
        yield text


def _half_of(text: str) -> str:
    """Tell the first half of a character in a text that has one."""
    half = _HALF.search(text)
    return f"{ascii(half and half[0])[1:-1]}, half a character without the other. Write the character itself."


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL


def _has_list(kinds: Iterable[Type]) -> bool:
    return any(isinstance(each, ListType) for each in kinds)


def _stand_in(kind: Type) -> Any:
    """Something of a type, for what could not be read."""
    match kind:
        case StructType():
            return {field.encode_name: _stand_in(field.type) for field in kind.fields if field.required}
        case UnionType():
            return _stand_in(kind.types[0])
        case LiteralType():
            return kind.values[0]
        case DictType():
            return {}
        case ListType():
            return []
        case BoolType():
            return False
        case IntType() | FloatType():
            return 0
        case StrType():
            return ""
        case _:
            return None


def _told(node: yaml.Node, *, is_secret: bool) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if _is_null(node) or not isinstance(node, yaml.ScalarNode):
        return "empty"
    if is_secret or len(node.value) > _MAX_TOLD_CHARS:
        return f"a text of {len(node.value)} characters"
    return node.value if node.style is None and node.tag in (_BOOL, _INT, _FLOAT) else repr(node.value)


def _wanted(kind: Type) -> str:
    """A type in words."""
    match kind:
        case StructType():
            return f"a mapping of settings: {', '.join(field.encode_name for field in kind.fields)}"
        case UnionType():
            return " or ".join(_wanted(each) for each in kind.types if not isinstance(each, NoneType))
        case LiteralType():
            return f"one of {', '.join(map(str, _choices(kind)))}"
        case DictType():
            return "a mapping"
        case ListType():
            return f"a list of {_wanted_many(kind.item_type)}"
        case BoolType():
            return "true or false"
        case IntType():
            return "an integer"
        case FloatType():
            return "a number"
        case _:
            return "a text"


def _wanted_many(kind: Type) -> str:
    match kind:
        case StructType():
            return "mappings"
        case LiteralType():
            return ", ".join(_choices(kind))
        case FloatType():
            return "numbers"
        case _:
            return "texts"


def _choices(kind: Type) -> Iterator[str]:
    """Yield the values of an enumeration; of a list or a union, those inside."""
    match kind:
        case LiteralType():
            yield from map(str, kind.values)
        case UnionType():
            for each in kind.types:
                yield from _choices(each)
        case _:
            pass
