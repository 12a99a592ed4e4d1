"""Reading: every value has its line, every key is known or told, and types decide how a scalar is read."""

from __future__ import annotations

import contextlib
import difflib
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.inspect import DictType, ListType, StructType, Type, UnionType

from frontdesk.core.config import Config, ConfigError, Retention, parse_config
from frontdesk.core.config.reading import LIMITS
from tests.core.config.problems import problems_of

KNOWN_HERE = (
    "database, valkey, cors, providers, models, default_model, features, default_feature, tiers, default_tier, "
    "rate_limits, budgets, prices, alerts, auth, trusted_proxies, clients, limits, files, batches, jobs, sync, live, "
    "titles, follow_ups, remember, retention, guards, hangup_drain_s, shutdown_grace_s"
)
KNOWN_OF_TIERS = (
    "models, features, requests_per_minute, tokens_per_minute, tokens_per_day, concurrent, concurrent_streams, budget, "
    "keep_days"
)


# --- keys -------------------------------------------------------------------------------------------

Way = tuple[str, ...]


def structs_of(kind: Type, way: Way) -> dict[Way, StructType]:
    """Every mapping of settings, by the way to it; '*' is any name, '[]' an item."""
    match kind:
        case StructType():
            found = {way: kind}
            for field in kind.fields:
                found |= structs_of(field.type, (*way, field.encode_name))
            return found
        case DictType():
            return structs_of(kind.value_type, (*way, "*"))
        case ListType():
            return structs_of(kind.item_type, (*way, "[]"))
        case UnionType():
            return {where: each for inner in kind.types for where, each in structs_of(inner, way).items()}
        case _:
            return {}


STRUCTS = structs_of(msgspec.inspect.type_info(Config), ())
KEYS = [(way, field.encode_name) for way, struct in STRUCTS.items() for field in struct.fields]


def written(way: Way, key: str) -> tuple[str, str, int]:
    """A text that has a key at a place, the place in words, and its line."""
    lines: list[str] = []
    place, pad, dash = "", "", ""
    for step in way:
        if step == "[]":
            place, dash, pad = f"{place}[0]", "- ", pad + "  "
            continue
        name = "name" if step == "*" else step
        lines.append(f"{pad[: len(pad) - len(dash)]}{dash}{name}:")
        place, pad, dash = f"{place}.{name}", pad + "  ", ""
    lines.append(f"{pad[: len(pad) - len(dash)]}{dash}{key}: 1")
    return "\n".join(lines), f"{place}.{key}".removeprefix("."), len(lines)


def test_every_mapping_of_settings_is_found_by_reflection() -> None:
    assert ("auth", "jwt", "[]", "claims") in STRUCTS
    assert ("features", "*", "variables", "*") in STRUCTS
    assert ("auth", "apps", "*", "attestation") in STRUCTS
    assert ("tiers", "*", "budget") in STRUCTS
    assert ("tiers", "*", "budget", "[]") in STRUCTS
    assert ("prices", "*", "changes", "[]") in STRUCTS
    assert len(KEYS) > 130


@pytest.mark.parametrize(("way", "key"), KEYS, ids=[".".join((*way, key)) for way, key in KEYS])
@settings(max_examples=4)  # of each of some hundred keys
@given(data=st.data())
def test_a_misspelt_key_is_told_with_its_line_and_the_nearest(way: Way, key: str, data: st.DataObject) -> None:
    known = [field.encode_name for field in STRUCTS[way].fields]
    cut = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.sampled_from("aeixyz_"))
    misspelt = data.draw(st.sampled_from([key[:cut] + letter + key[cut:], key[:cut] + letter + key[cut + 1 :]]))
    if misspelt in known:
        return
    text, place, line = written(way, misspelt)
    nearest = difflib.get_close_matches(misspelt, known, n=1)
    remedy = f"Did you mean {nearest[0]!r}?" if nearest else f"Known here: {', '.join(known)}."

    assert f"line {line}: The setting {place!r} is unknown. {remedy}" in problems_of(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x-thing: 1", [f"line 1: The setting 'x-thing' is unknown. Known here: {KNOWN_HERE}."]),
        (
            "cache: {}\ntiers:\n  free:\n    models: []\n    budget: {usd: 1, x-cap: 2}\ndefault_tier: free",
            [
                "line 1: The setting 'cache' is not served by this version. Remove it: nothing would enforce it.",
                (
                    "line 4: tiers.free.models is empty: people of this tier could use no model. "
                    "Name some; leave it out for all of them."
                ),
                (
                    "line 5: The setting 'tiers.free.budget.x-cap' is unknown. "
                    "Known here: usd, per, degrade_at, when_spent."
                ),
            ],
        ),
        (
            "auth:\n  anonymous: true\n\n  anonymous: false",
            ["line 4: The setting 'auth.anonymous' is there twice, on lines 2 and 4. Keep one."],
        ),
        (
            "limits: {body_mb: 1, body_mb: 2}",
            ["line 1: The setting 'limits.body_mb' is there twice, both on line 1. Keep one."],
        ),
        (
            "cors: {}\ncors: {}\ncors: {}",
            [
                "line 2: The setting 'cors' is there twice, on lines 1 and 2. Keep one.",
                "line 3: The setting 'cors' is there twice, on lines 1 and 3. Keep one.",
            ],
        ),
        (
            "providers:\n  p: {kind: scripted}\n  'p': {kind: scripted}",
            ["line 3: The setting 'providers.p' is there twice, on lines 2 and 3. Keep one."],
        ),
        (
            "models: {}\nfeatures:\n  f:\n    response_format:\n      type: text\n      type: text",
            ["line 6: The setting 'features.f.response_format.type' is there twice, on lines 5 and 6. Keep one."],
        ),
        ("? [a]\n: 1", ["line 1: The configuration has a key that is no text."]),
        ("limits:\n  ? {a: 1}\n  : 1", ["line 2: limits has a key that is no text."]),
        (
            "tiers:\n  a: &a {requests_per_minute: 1}\n  b: {<<: *a, <<: *a}\ndefault_tier: a",
            ["line 3: '<<' is in tiers.b twice. Write one: <<: [*first, *second]."],
        ),
        ("limits: {<<: 5}", ["line 1: '<<' in limits takes another mapping, or a list of mappings."]),
        ("limits: &a\n  <<: *a", ["line 1: '<<' in limits takes another mapping, or a list of mappings."]),
    ],
)
def test_what_is_wrong_with_keys(text: str, told: list[str]) -> None:
    assert problems_of(text) == told


def test_long_keys_are_cut() -> None:
    (told,) = problems_of("k" * 500 + ": 1")

    assert told.startswith(f"line 1: The setting '{'k' * 64}…' is unknown.")


# --- merges and aliases -----------------------------------------------------------------------------


def test_merged_keys_give_way_to_the_mappings_own_and_to_earlier_ones() -> None:
    config = parse_config(
        "models:\n  m: {route: [s/echo]}\n"
        "providers: {s: {kind: scripted}}\n"
        "tiers:\n"
        "  a: &a {requests_per_minute: 1, models: [m]}\n"
        "  b: &b {requests_per_minute: 2}\n"
        "  c: {<<: [*b, *a]}\n"
        "  d: {requests_per_minute: 4, <<: *a}\n"
        "  e: &e {<<: *a}\n"
        "  f: {<<: *e, requests_per_minute: 6}\n"
        "default_tier: a",
        {},
    )

    assert {name: (tier.requests_per_minute, tier.models) for name, tier in config.tiers.items()} == {
        "a": (1, ["m"]),
        "b": (2, None),
        "c": (2, ["m"]),
        "d": (4, ["m"]),
        "e": (1, ["m"]),
        "f": (6, ["m"]),
    }


def test_what_is_merged_is_told_where_it_was_written() -> None:
    assert problems_of(
        "limits: {}\ntiers:\n  a: &a\n    requests_per_minute: 0\n    typo: 1\n  b:\n    <<: *a\ndefault_tier: b"
    ) == [
        "line 4: tiers.a.requests_per_minute is 0. It must be from 1 to 1000000.",
        "line 4: tiers.b.requests_per_minute is 0. It must be from 1 to 1000000.",
        f"line 5: The setting 'tiers.a.typo' is unknown. Known here: {KNOWN_OF_TIERS}.",
        f"line 5: The setting 'tiers.b.typo' is unknown. Known here: {KNOWN_OF_TIERS}.",
    ]


BILLION = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "text",
    [
        "features:\n  f:\n    parameters:\n      " + BILLION.replace("\n", "\n      "),
        "features:\n  f:\n    parameters:\n      "
        "a0: &a0 {x: 1}\n      "
        + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n      " for n in range(1, 12)),
    ],
)
def test_aliases_cannot_make_more_than_anybody_writes(text: str) -> None:
    began = time.monotonic()

    told = problems_of(text)

    assert told == ["The configuration has more than 100,000 values once its aliases are written out."]
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "features:\n  f:\n    parameters: &p\n      stop: *p",
            "line 4: features.f.parameters.stop is nested too deeply, or holds itself by an alias.",
        ),
        (
            "features:\n  f:\n    parameters: {stop: &s [*s]}",
            "line 3: features.f.parameters.stop[0] is nested too deeply, or holds itself by an alias.",
        ),
        ("auth: &a\n  apps: *a", "line 2: auth.apps is nested too deeply, or holds itself by an alias."),
        ("models: " + "[" * 5000, "The configuration is nested too deeply."),
    ],
)
def test_what_holds_itself_or_is_endlessly_deep(text: str, told: str) -> None:
    assert problems_of(text) == [told]


def test_depth_has_an_end_where_anything_goes() -> None:
    text = f"features: {{f: {{response_format: {'{a: ' * 80}1{'}' * 80}}}}}"

    assert any("is nested too deeply" in told for told in problems_of(text))


# --- no YAML ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "a: 1\nauth: [sk-hidden",
            (
                "line 2: The configuration is not valid YAML: while parsing a flow sequence, "
                "expected ',' or ']', but got '<stream end>'."
            ),
        ),
        ("a: b: sk-hidden", "line 1: The configuration is not valid YAML: mapping values are not allowed here."),
        (
            "limits:\n\tbody_mb: 1",
            (
                "line 2: The configuration is not valid YAML: while scanning for the next token, "
                "found character '\\t' that cannot start any token."
            ),
        ),
        ("a: *none", "line 1: The configuration is not valid YAML: found undefined alias 'none'."),
        (
            "a: 1\n---\nb: 1",
            (
                "line 2: The configuration is not valid YAML: expected a single document in the stream, "
                "but found another document."
            ),
        ),
        ("a: 1\nb: sk-hidden\x00", "line 2: The configuration is not valid YAML: it has a control character."),
        (
            "p: {api_key: ${KEY}}",
            (
                "line 1: The configuration is not valid YAML: while parsing a flow mapping, expected ',' or '}', "
                "but got '{'. Within { } and [ ] write ${NAME} in quotes."
            ),
        ),
        ("\n- a", "line 2: The configuration must be a mapping of settings."),
        ("text", "line 1: The configuration must be a mapping of settings."),
    ],
)
def test_what_is_no_yaml_is_told_without_its_text(text: str, told: str) -> None:
    assert problems_of(text) == [told]


# --- scalars ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("012", "012"),
        ("2024-01-01", "2024-01-01"),
        ("1.10", "1.10"),
        ("true", "true"),
        ("1:30", "1:30"),
        ("'~'", "~"),
        ("!!str 5", "5"),
        ("=", "="),
    ],
)
def test_where_a_text_belongs_a_scalar_is_what_was_written(text: str, value: str) -> None:
    config = parse_config(
        f"providers: {{s: {{kind: scripted}}}}\nmodels: {{m: {{route: [s/echo], title: {text}}}}}\n"
        f"tiers: {{{text}: {{}}}}\ndefault_tier: {text}",
        {},
    )

    assert config.models["m"].title == value
    assert list(config.tiers) == [value]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("hangup_drain_s: 5", 5.0),
        ("hangup_drain_s: 1e1", 10.0),
        ("hangup_drain_s: .5", 0.5),
        ("hangup_drain_s: 1_0.5", 10.5),
        ('hangup_drain_s: "${S}"', 7.5),
        ('hangup_drain_s: "${NONE:-8}"', 8.0),
        ("hangup_drain_s:", 10.0),
    ],
)
def test_numbers_are_read_as_people_write_them(setting: str, value: float) -> None:
    assert parse_config(setting, {"S": "7.5"}).hangup_drain_s == value


@pytest.mark.parametrize(("text", "value"), [("on", True), ("Yes", True), ("off", False), ("'${FLAG}'", True)])
def test_switches(text: str, value: bool) -> None:
    assert parse_config(f"auth: {{anonymous: {text}}}", {"FLAG": "true"}).auth.anonymous is value


def test_an_enumeration_may_have_what_yaml_takes_for_a_switch() -> None:
    assert parse_config("guards: {credentials: off}", {}).guards.credentials == "off"


def test_a_claim_that_is_required_keeps_its_type() -> None:
    config = parse_config(
        "auth:\n  jwt:\n    - issuer: i\n      audience: 12345\n      jwks_url: https://i.example/keys\n"
        "      require: {verified: true, level: 3, hd: app.example, code: '3', day: 2024-01-01, env: '${E}'}",
        {"E": "5"},
    )

    (issuer,) = config.auth.jwt
    assert issuer.audience == "12345"
    assert issuer.require == {
        "verified": True,
        "level": 3,
        "hd": "app.example",
        "code": "3",
        "day": "2024-01-01",
        "env": "5",
    }


def test_anything_is_read_as_json_has_it() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"on": {"enum": ["a", 1, 2.5, True, None]}},
        "required": ["on"],
    }
    text = msgspec.json.encode({"features": {"f": {"response_format": schema}}}).decode()

    assert parse_config(text, {}).features["f"].response_format == schema


def test_sections_and_settings_without_a_value_count_as_left_out() -> None:
    text = "auth:\nmodels:\ncors:\n  origins:\nlimits:\n  body_mb:\ntiers:\n  free:\ndefault_tier: free"

    config = parse_config(text, {})

    assert (config.auth, config.models, config.cors.origins) == (Config().auth, {}, [])
    assert (config.limits.body_mb, config.tiers["free"].models) == (20.0, None)


def test_a_limit_without_a_value_is_told() -> None:
    """Whose items are commented out, or which a merge takes back: nobody knows whether all or none was meant."""
    text = (
        "features: {f: {models: ~}}\n"
        "tiers:\n"
        "  free: &free\n"
        "    models: null\n"
        "    features:\n"
        "    # - f\n"
        "    requests_per_minute: 5\n"
        "  paid: {<<: *free, models: [m], requests_per_minute: }\n"
        "default_tier: free\n"
        "models: {m: {route: [s/echo]}}\n"
        "providers: {s: {kind: scripted}}\n"
        "budgets:\n"
        "# - {scope: app, usd: 100}\n"
    )

    assert problems_of(text) == [
        f"line {line}: {place} is empty, and would count as no limit. Write {wanted}, or remove the key."
        for line, place, wanted in (
            (1, "features.f.models", "a list of texts"),
            (4, "tiers.free.models", "a list of texts"),
            (5, "tiers.free.features", "a list of texts"),
            (5, "tiers.paid.features", "a list of texts"),
            (8, "tiers.paid.requests_per_minute", "an integer"),
            (12, "budgets", "a list of mappings"),
        )
    ]


@pytest.mark.parametrize("said", ["null", "~", "Null"])
def test_null_says_for_ever_where_that_can_be(said: str) -> None:
    config = parse_config(f"retention:\n  responses_days: {said}\n  alerts_days: {said}\n  events_hours: {said}", {})

    assert config.retention == Retention(responses_days=None, alerts_days=None, events_hours=24)
    assert problems_of("retention:\n  responses_days:\n  turns_days: # 30") == [
        f"line {line}: retention.{name} is empty, and would count as no limit. "
        "Write a number, null for ever, or remove the key."
        for line, name in ((2, "responses_days"), (3, "turns_days"))
    ]


@pytest.mark.parametrize(("way", "key"), KEYS, ids=[".".join((*way, key)) for way, key in KEYS])
def test_every_setting_either_limits_or_is_left_out_where_it_is_empty(way: Way, key: str) -> None:
    """The documentation says of each limit that leaving it out means all, any, or no limit."""
    text, place, line = written(way, key)
    text = text.removesuffix(" 1")
    field = next(field for field in STRUCTS[way].fields if field.encode_name == key)

    try:
        parse_config(text, {})
        told: list[str] = []
    except ConfigError as error:
        told = [str(problem) for problem in error.problems]

    is_limit = key in LIMITS.get(STRUCTS[way].cls, ())
    assert any(each.startswith(f"line {line}: {place} is empty, and would count as") for each in told) == is_limit
    assert is_limit == (spelled_in_docs(way, key) in DOCUMENTED_LIMITS)
    assert is_limit or field.required or not any(each.startswith(f"line {line}: {place} is empty. ") for each in told)


def spelled_in_docs(way: Way, key: str) -> str:
    return ".".join((*way, key)).replace("*", "NAME").replace(".[]", "[]")


ROWS = [
    [cell.strip() for cell in line.split("|")[1:3]]
    for line in (Path(__file__).parents[3] / "docs/configuration.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]
DOCUMENTED_LIMITS = {name.strip("`") for name, default in ROWS if default.startswith(("all", "any", "no limit"))} | {
    "features",
    "tiers",
    "tiers.NAME.budget",
    "providers.NAME.slots",
    "rate_limits",
    "budgets",
    "auth.apps.NAME.attestation",
    "retention.responses_days",
    "retention.conversations_days",
    "retention.turns_days",
    "retention.alerts_days",
}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("limits: 5", "limits is 5. It must be a mapping of settings: body_mb, header_timeout_s, "),
        ("limits: [1]", "limits is a list. It must be a mapping of settings: "),
        ("models: fast", "models is 'fast'. It must be a mapping."),
        ("cors: {origins: https://a.example}", "cors.origins is 'https://a.example'. It must be a list of texts."),
        ("cors: {origins: [[a]]}", "cors.origins[0] is a list. It must be a text."),
        ("cors: {origins: [~]}", "cors.origins[0] is empty. It must be a text."),
        ("limits: {body_mb: '5'}", "limits.body_mb is '5'. It must be a number. Write it without quotes."),
        ("limits: {body_mb: many}", "limits.body_mb is 'many'. It must be a number."),
        ("limits: {body_mb: true}", "limits.body_mb is true. It must be a number."),
        ("limits: {body_mb: 0x10}", "limits.body_mb is 0x10. It must be a number."),
        (
            "auth: {anonymous_sessions_per_hour: 1.5}",
            "auth.anonymous_sessions_per_hour is 1.5. It must be an integer.",
        ),
        (
            "tiers: {t: {tokens_per_day: 99999999999999999999}}\ndefault_tier: t",
            "tiers.t.tokens_per_day is 99999999999999999999. It must be an integer. 18 digits are the most.",
        ),
        ("auth: {anonymous_sessions_per_hour: 012}", "auth.anonymous_sessions_per_hour is 012. It must be an integer."),
        ("auth: {anonymous: 1}", "auth.anonymous is 1. It must be true or false."),
        (
            'auth: {anonymous: "yes"}',
            "auth.anonymous is 'yes'. It must be true or false. Write it without quotes.",
        ),
        ("guards: {credentials: mark}", "It must be one of mask, off, refuse. Did you mean 'mask'?"),
        ("guards: {credentials: }\nhangup_drain_s: {}", "hangup_drain_s is a mapping. It must be a number."),
        ("providers: {p: }", "providers.p.kind is missing. It must be one of anthropic, azure-openai, "),
        ("providers: {p: {kind: ~}}", "providers.p.kind is empty. It must be one of anthropic, azure-openai, "),
        ("models: {m: {}}", "models.m.route is missing. It must be a list of texts."),
        ("default_model: {a: 1}", "default_model is a mapping. It must be a text."),
        ("default_model: !env X", "default_model has the tag '!env', which is not read. Leave it out."),
        ("default_model: !!binary eA==", "default_model has the tag '!!binary', which is not read. Leave it out."),
        ("features: {f: {ceilings: {n: many}}}", "features.f.ceilings.n is 'many'. It must be a number."),
        ("features: {f: {client_may: [toolz]}}", "features.f.client_may[0] is 'toolz'. It must be one of "),
        ("features: {f: {parameters: {seed: .nan}}}", "features.f.parameters.seed is nan, which JSON has not."),
        (
            "features: {f: {parameters: {seed: 012}}}",
            (
                "features.f.parameters.seed is 012. It must be true or false or an integer or a number or a text. "
                "Write it in quotes if it is a text."
            ),
        ),
        (
            "auth: {jwt: [{issuer: i, audience: {a: 1}, jwks_url: 'https://i.example'}]}",
            "auth.jwt[0].audience is a mapping. It must be a text or a list of texts.",
        ),
        ("auth: {jwt: {}}", "auth.jwt is a mapping. It must be a list of mappings."),
        (
            "tiers: {t: {budget: 5}}\ndefault_tier: t",
            (
                "tiers.t.budget is 5. It must be a mapping of settings: usd, per, degrade_at, when_spent "
                "or a list of mappings."
            ),
        ),
        ("tiers: {t: {budget: [5]}}\ndefault_tier: t", "tiers.t.budget[0] is 5. It must be a mapping of settings: usd"),
        (
            "tiers: {t: {budget: [{per: day}]}}\ndefault_tier: t",
            "tiers.t.budget[0].usd is missing. It must be a number.",
        ),
        (
            "budgets: [{scope: app, usd: 1, per: week}]",
            "budgets[0].per is 'week'. It must be one of day, month, total.",
        ),
        ("prices: {p/m: 0.5}", "prices.p/m is 0.5. It must be a mapping of settings: input, output, cached"),
        ("hangup_drain_s: " + "9" * 5000, "hangup_drain_s is inf. It must be from 0 to 86400."),
    ],
)
def test_a_value_of_another_type(text: str, told: str) -> None:
    (problem,) = problems_of(text)

    assert told in problem


def test_lost_values_cause_no_further_problems() -> None:
    """Of a configuration with many holes only the holes are told."""
    text = """
providers: {p: 5, o: {kind: lokal}}
models: {fast: {route: 5}, slow: {rout: [p/x]}, best: {route: [p/x, o/y]}, none: 7}
default_model: none
features: {chat: {models: [fast, none], instructions: [], variables: 5}}
tiers: 5
default_tier: free
auth: {jwt: [{issuer: [], audience: {}, jwks_url: {}}, {issuer: a, audience: b, jwks_url: 'https://a.example'}]}
"""

    assert [told.split(" is ")[0].split(": ", 1)[1] for told in problems_of(text)] == [
        "providers.p",
        "providers.o.kind",
        "models.fast.route",
        "The setting 'models.slow.rout'",
        "models.none",
        "features.chat.instructions",
        "features.chat.variables",
        "tiers",
        "auth.jwt[0].issuer",
        "auth.jwt[0].audience",
        "auth.jwt[0].jwks_url",
    ]


# --- the environment --------------------------------------------------------------------------------


def test_a_variable_that_is_not_set() -> None:
    assert problems_of('cors:\n  origins: ["${A}", "${B:-https://b.example}"]\ndefault_tier: "${C}-${D}"') == [
        (
            "line 2: cors.origins[0] reads ${A}, which is not set in the environment. "
            "Set it, or write ${A:-} to allow it empty."
        ),
        (
            "line 3: default_tier reads ${C}, which is not set in the environment. "
            "Set it, or write ${C:-} to allow it empty."
        ),
        (
            "line 3: default_tier reads ${D}, which is not set in the environment. "
            "Set it, or write ${D:-} to allow it empty."
        ),
    ]


HIDDEN = "hidden-in-the-environment"


@pytest.mark.parametrize(
    "setting",
    [
        'providers: {p: {kind: openai, api_key: "${X}\\n-"}}',
        'providers: {p: {kind: "${X}"}}',
        'providers: {p: {kind: local, threads: "${X}", model: m}}',
        'providers: {p: {kind: openai-compatible, base_url: "${API_KEY}"}}',
        'database: "${X}"',
        'database: "sqlite://${X}"',
        'database: "mysql://u:${X}@h/n"',
        'default_model: "${API_KEY}"',
        'default_model: "${X}"\nproviders: {p: {kind: openai, api_key: "${X}"}}',
        'guards: {credentials: "${X}"}',
        'limits: {body_mb: "${X}"}',
        'cors: {origins: ["${MY_TOKEN}"]}',
        'cors: {origins: "${X}"}',
        'features: {f: {parameters: {"${X}": 1}, models: ["${DB_PASSWORD}"]}}',
    ],
)
def test_what_the_environment_keeps_secret_is_never_told(setting: str) -> None:
    """Where it may be a secret by its place or its name, and where nobody knows what it is."""
    variables: dict[str, str] = dict.fromkeys(("X", "API_KEY", "MY_TOKEN", "DB_PASSWORD"), HIDDEN)

    assert HIDDEN not in "\n".join(problems_of(setting, variables))


def test_secrets_in_the_file_are_not_told_either() -> None:
    told = "\n".join(
        problems_of(
            "database: {url: hidden}\n"
            "providers:\n"
            "  a: {kind: openai, api_key: [hidden]}\n"
            "  b: {kind: openai, api_kee: hidden}\n"
            "  c: {kind: openai, api_key: !key hidden}\n"
            "  d: {kind: openai-compatible, base_url: 'http://u:hid/den@h/v1'}\n"
            "  e: {kind: openai-compatible, base_url: 'u:hidden@h/v1'}\n"
            "auth: {jwt: [{issuer: i, audience: a, jwks_url: 'http://u:hidden@h.example/?k=hidden'}]}\n"
        )
    )

    assert "hidden" not in told
    assert "den@" not in told


# --- characters and lines ---------------------------------------------------------------------------


def test_the_two_escapes_of_json_are_one_character() -> None:
    text = msgspec.json.encode(
        {"features": {"f": {"response_format": {"\U0001f600": "\U0001f600 \U00010000"}}}}
    ).decode()
    escaped = text.replace("\U0001f600", "\\ud83d\\ude00").replace("\U00010000", "\\uD800\\uDC00")

    assert escaped.isascii()
    assert parse_config(escaped, {}) == parse_config(text, {})


HALF = "half a character without the other. Write the character itself."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (r'"\ud83d x"', rf"features.f.instructions has \ud83d, {HALF}"),
        (r'"\ude00\ud83d"', rf"features.f.instructions has \ude00, {HALF}"),
        (r'"${X:-\udc00}"', rf"features.f.instructions has \udc00, {HALF}"),
        ('"${BYTES}"', "features.f.instructions reads ${BYTES}, which is not UTF-8 in the environment. Set it anew."),
        (
            r'"\ud83d${BYTES}"',
            rf"features.f.instructions has \ud83d, {HALF}",
        ),
        (
            '"${BYTES} ${GOOD} ${TOKEN}"',
            (
                "features.f.instructions reads ${BYTES} and ${TOKEN}, which is not UTF-8 in the environment. "
                "Set it anew."
            ),
        ),
    ],
)
def test_half_a_character_is_told(text: str, told: str) -> None:
    variables = {"BYTES": os.fsdecode(b"\xff"), "GOOD": "\U0001f600", "TOKEN": os.fsdecode(b"secret\xfe")}

    assert problems_of(f"features:\n  f:\n    instructions: {text}", variables) == [f"line 3: {told}"]


def test_half_a_character_in_a_key_is_told() -> None:
    assert problems_of('features:\n  f:\n    response_format:\n      "\\ud83d": 1\n      type: text') == [
        f"line 4: features.f.response_format has a key with \\ud83d, {HALF}"
    ]
    assert problems_of('models: {}\n"\\udc00": 1') == [f"line 2: The configuration has a key with \\udc00, {HALF}"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "lines",
    [
        ["cors: {}", "", "modles: 1"],
        ['default_model: "a\u2028b\u2029c\x85d"', "models: {d: {}}", "modles: 1"],
        ["models:", "  # one", "modles: 1"],
    ],
)
def test_lines_are_those_of_editors(end: str, lines: list[str]) -> None:
    told = problems_of(end.join(lines))

    assert told[-1].startswith("line 3: The setting 'modles' is unknown.")


@pytest.mark.parametrize(("char", "name"), [("\x85", "U+0085"), ("\u2028", "U+2028"), ("\u2029", "U+2029")])
def test_what_ends_a_comment_unseen_is_told(char: str, name: str) -> None:
    """To YAML 1.1 the rest of the comment is no comment, while editors show one line."""
    (told,) = problems_of(f"cors: {{}}\n# a{char}b\nmodels: {{}}")

    assert told.startswith("line 3: The configuration is not valid YAML: while scanning a simple key")
    assert told.endswith(f" Line 2 has the character {name}, which ends a line of YAML and a comment. Remove it.")


def test_a_control_character_is_told_at_its_line() -> None:
    assert problems_of("cors: {}\r\rmodels: {}\r\n# \0") == [
        "line 4: The configuration is not valid YAML: it has a control character."
    ]


@given(st.text(max_size=200))
def test_no_text_breaks_the_reading(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse_config(text, {})


NAMES = sorted({key for _, key in KEYS} | {"name", "chat", "free"})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        ["openai", "scripted", "s/echo", "text", "https://a.example", "${X}", "${NONE}", "{{name}}", "x.md"]
    ),
)
TREES = st.dictionaries(
    st.sampled_from(Config.__struct_fields__),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
        max_leaves=20,
    ),
)


@settings(max_examples=300)
@given(TREES)
def test_no_tree_of_settings_breaks_the_reading(tree: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):
        parse_config(yaml.safe_dump(tree), {"X": "1"})
