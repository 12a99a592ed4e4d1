"""Features: their models, instructions and variables fit together, or the misfit is told with its line."""

from __future__ import annotations

import pytest

from frontdesk.core.config import parse_config
from frontdesk.core.config.features import unused_variables
from tests.core.config.problems import problems_of

MODELS = """\
providers: {s: {kind: scripted}}
models: {fast: {route: [s/echo]}, best: {route: [s/echo]}, embed: {route: [s/x], kind: embeddings}}
"""


def feature(settings: str) -> str:
    """A configuration whose feature `f` has settings, from line 5 on."""
    lines = "".join(f"    {line}\n" for line in settings.split("\n"))
    return f"{MODELS}features:\n  f:\n{lines}"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            "models: [fast, fats]",
            "line 5: features.f.models names 'fats', which is not configured. Did you mean 'fast'?",
        ),
        (
            "models:\n- fast\n- nothing-like-it",
            "line 7: features.f.models names 'nothing-like-it', which is not configured. Known: fast, best, embed.",
        ),
        (
            "models: []",
            (
                "line 5: features.f.models is empty: nobody could use the feature. "
                "Name some; leave it out for all of them."
            ),
        ),
        (
            "default_model: fats",
            "line 5: features.f.default_model names 'fats', which is not configured. Did you mean 'fast'?",
        ),
        (
            "models: [fast]\ndefault_model: best",
            (
                "line 6: features.f.default_model is 'best', which is not among its models: fast. "
                "Add it there, or name one of them."
            ),
        ),
        (
            "models: [fast, embed]\ndefault_model: embed",
            (
                "line 6: features.f.default_model is 'embed', which does not chat, as others of the feature do. "
                "Name one of these."
            ),
        ),
        (
            "models: [embed]\ninstructions: Be brief.",
            "line 6: features.f.instructions means nothing: no model of this feature chats. Remove it.",
        ),
        (
            "models: [embed]\nmax_output_tokens: 5",
            "line 6: features.f.max_output_tokens means nothing: no model of this feature chats. Remove it.",
        ),
        (
            "models: [embed]\nceilings: {n: 1}",
            "line 6: features.f.ceilings means nothing: no model of this feature chats. Remove it.",
        ),
        ("max_output_tokens: 0", "line 5: features.f.max_output_tokens is 0. It must be from 1 to 2147483647."),
        (
            "instructions: '  '",
            "line 5: features.f.instructions is empty. Write a text or the path of a file; leave it out for none.",
        ),
        (
            f"instructions: {'x' * 65_537}",
            "line 5: features.f.instructions has 65,537 characters. It may have at most 65,536.",
        ),
        (
            "instructions: Hello {{name}}.",
            "line 5: features.f.instructions has '{{name}}', which is not among the feature's variables. Known: none.",
        ),
        (
            "instructions: |\n  Hello {{nmae}}.\nvariables: {name: {}}",
            (
                "line 5: features.f.instructions has '{{nmae}}', which is not among the feature's variables. "
                "Did you mean 'name'?"
            ),
        ),
        (
            "instructions: |\n  Hello\n  {{name.\nvariables: {name: {}}",
            (
                "line 5: features.f.instructions: Line 2 does not end '{{name.'. "
                "Write a variable as '{{name}}', and a literal '{{' as '\\{{'."
            ),
        ),
        (
            "variables: {name: {}}",
            (
                "line 5: features.f.variables means nothing: the feature has no instructions to put them into. "
                "Write some, or remove it."
            ),
        ),
    ],
)
def test_what_is_wrong_with_a_feature(settings: str, told: str) -> None:
    assert problems_of(feature(settings)) == [told]


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        (
            "no-name: {}",
            (
                "line 7: features.f.variables.no-name is no name of a variable: a letter or '_', then letters, digits, "
                "'_', at most 54."
            ),
        ),
        (
            "v: {type: txt}",
            (
                "line 7: features.f.variables.v.type is 'txt'. "
                "It must be one of boolean, choice, integer, locale, location, number, screen, text, time_zone. "
                "Did you mean 'text'?"
            ),
        ),
        (
            "v: {type: location}",
            (
                "line 7: features.f.variables.v.default is missing: nobody has to say where they are. "
                "Write what is told of who does not, as 'not known'."
            ),
        ),
        (
            "v: {type: location, default: 10115 Berlin}",
            (
                "line 7: features.f.variables.v.default is no coarse place. It must be a latitude and a longitude "
                "rounded to 0.1 degree, as '52.5,13.4', or the name of a place, without digits."
            ),
        ),
        (
            "v: {type: time_zone, default: Berlin}",
            (
                "line 7: features.f.variables.v.default is 'Berlin'. It must be a time zone that this server knows, as "
                "'Europe/Berlin'."
            ),
        ),
        (
            "v: {type: locale, max_chars: 5}",
            (
                "line 7: features.f.variables.v.max_chars means nothing to a variable of type 'locale'. Remove it. "
                "This type takes: default."
            ),
        ),
        ("v: {max_chars: 0}", "line 7: features.f.variables.v.max_chars is 0. It must be from 1 to 1000000."),
        (
            "v:\n    max_chars: 3\n    default: four",
            "line 9: features.f.variables.v.default is a text of 4 characters. It may have at most 3.",
        ),
        (
            "v: {type: choice}",
            "line 7: features.f.variables.v.choices is empty. List the values that a request may send.",
        ),
        ("v: {type: choice, choices: [a, b, a]}", "line 7: features.f.variables.v.choices has 'a' twice. Keep one."),
        (
            "v: {type: choice, choices: [a, b], default: c}",
            "line 7: features.f.variables.v.default is 'c'. It must be one of 'a', 'b'.",
        ),
        (
            "v: {type: integer, min: 5, max: 3}",
            "line 7: features.f.variables.v.min is 5, more than max, which is 3: no value would fit. Swap them.",
        ),
        (
            "v: {type: integer, min: 0.5}",
            "line 7: features.f.variables.v.min is 0.5. It must be an integer, as its values.",
        ),
        (
            "v: {type: number, max: .inf}",
            "line 7: features.f.variables.v.max is inf. It must be from -1e+18 to 1e+18.",
        ),
        (
            "v: {type: integer, max: 3, default: 4}",
            "line 7: features.f.variables.v.default is 4. It must be at most 3.",
        ),
        ("v: {type: number, default: x}", "line 7: features.f.variables.v.default is 'x'. It must be a number."),
        (
            "v: {type: boolean, default: maybe}",
            "line 7: features.f.variables.v.default is 'maybe'. It must be 'true' or 'false'.",
        ),
        (
            "v: {choices: [a]}",
            (
                "line 7: features.f.variables.v.choices means nothing to a variable of type 'text'. Remove it. "
                "This type takes: default, max_chars, multiline."
            ),
        ),
        (
            "v: {type: boolean, max: 3}",
            (
                "line 7: features.f.variables.v.max means nothing to a variable of type 'boolean'. Remove it. "
                "This type takes: default."
            ),
        ),
        (
            "v: {type: integer, multiline: true}",
            (
                "line 7: features.f.variables.v.multiline means nothing to a variable of type 'integer'. Remove it. "
                "This type takes: default, min, max."
            ),
        ),
    ],
)
def test_what_is_wrong_with_a_variable(variable: str, told: str) -> None:
    name = variable.partition(":")[0]
    instructions = "Hello {{v}}." if name == "v" else "Hello."

    assert problems_of(feature(f"instructions: {instructions}\nvariables:\n  {variable}")) == [told]


@pytest.mark.parametrize("name", ["a b", "-a", "ä", "''", "x" * 65])
def test_a_feature_must_be_a_name_that_a_header_can_carry(name: str) -> None:
    (told,) = problems_of(f"features:\n  {name}: {{}}")

    assert told.startswith("line 2: features has the name ")
    assert told.endswith(" Requests name it in a header: letters, digits, '_', '.', '-', at most 64.")


def test_no_feature_is_called_as_what_has_none() -> None:
    assert problems_of("features:\n  chat: {}\n  default: {}") == [
        (
            "line 3: features has the name 'default', which is what requests without a feature are counted under. "
            "Choose another name, and let default_feature name it, if it is for those."
        )
    ]


def test_the_default_feature_must_be_one() -> None:
    assert problems_of("features: {chat: {}}\ndefault_feature: chta") == [
        "line 2: default_feature names 'chta', which is not configured. Did you mean 'chat'?"
    ]


def test_a_good_feature_with_everything() -> None:
    config = parse_config(
        feature(
            "models: [fast, best]\n"
            "default_model: best\n"
            "instructions: '{{who}} {{age}} {{level}} {{is_new}} {{tone}} \\{{literal'\n"
            "variables:\n"
            "  who: {max_chars: 20, multiline: true, default: you}\n"
            "  age: {type: integer, min: 0, max: 150}\n"
            "  level: {type: number, min: 0.5, default: 1.5}\n"
            "  is_new: {type: boolean, default: no}\n"
            "  tone: {type: choice, choices: [kind, curt], default: kind}\n"
            "client_may: [images, json_schema]\n"
            "max_output_tokens: 800\n"
            "parameters: {temperature: 0.5}\n"
            "ceilings: {temperature: 1}\n"
            "response_format: {type: text}"
        ).replace("default: no", "default: false"),
        {},
    )

    f = config.features["f"]
    assert (f.default_model, f.max_output_tokens, f.variables["is_new"].default) == ("best", 800, "false")
    assert unused_variables(f) == []


PARTS = "only one of type 'time_zone' has some, which are 'now' and 'date'."


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (
            "{{v.noon}}",
            [f"line 5: features.f.instructions has '{{{{v.noon}}}}', which is no part of a variable: {PARTS}"],
        ),
        (
            "{{n.now}}",
            [f"line 5: features.f.instructions has '{{{{n.now}}}}', which is no part of a variable: {PARTS}"],
        ),
        (
            "{{w.now}}",
            [
                (
                    "line 5: features.f.instructions has '{{w.now}}', which is not among the feature's variables. "
                    "Known: v, n."
                )
            ],
        ),
    ],
)
def test_only_a_time_zone_has_parts(place: str, told: list[str]) -> None:
    text = f"instructions: '{place}'\nvariables:\n  v: {{type: time_zone}}\n  n: {{}}"

    assert problems_of(feature(text)) == told


def test_a_part_of_what_has_an_unknown_type_is_not_told_as_well() -> None:
    (told,) = problems_of(feature("instructions: '{{v.now}}'\nvariables: {v: {type: zone}}"))

    assert "features.f.variables.v.type is 'zone'" in told


def test_a_variable_is_used_by_its_parts() -> None:
    text = "instructions: '{{a.date}}'\nvariables: {a: {type: time_zone}, b: {type: time_zone}}"

    assert unused_variables(parse_config(feature(text), {}).features["f"]) == ["b"]


def test_variables_that_the_instructions_do_not_have() -> None:
    config = parse_config(feature("instructions: Hello {{a}}.\nvariables: {a: {}, b: {}, c: {}}"), {})

    assert unused_variables(config.features["f"]) == ["b", "c"]


def test_a_feature_of_embeddings_may_name_a_default_and_let_people_send_parameters() -> None:
    config = parse_config(feature("models: [embed]\ndefault_model: embed\nclient_may: [parameters]"), {})

    f = config.features["f"]
    assert (f.default_model, f.client_may) == ("embed", ["parameters"])
