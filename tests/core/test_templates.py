"""Templates: values go in once and as they are; what is wrong is told with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.templates import TemplateError, parse_template


def test_names_are_told_once_in_order() -> None:
    assert parse_template("{{b}} and {{ a }} and {{b}} and {{b.c}}.").names == ("b", "a", "b.c")


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("Hello {{name}}!", "Hello Ann!"),
        ("{{name}}{{ name }}", "AnnAnn"),
        ("", ""),
        ("no places", "no places"),
        ("{{ zone.now }} {{zone}}", "noon UTC"),
        ('{"a": {"b": 1}} }} {', '{"a": {"b": 1}} }} {'),
        ('{"who": "{{name}}"}', '{"who": "Ann"}'),
        (r"write \{{name}} for {{name}}", "write {{name}} for Ann"),
        (r"\{{", "{{"),
        (r"\{\{", r"\{\{"),
    ],
)
def test_a_template_is_rendered(text: str, rendered: str) -> None:
    assert parse_template(text).render({"name": "Ann", "zone": "UTC", "zone.now": "noon"}) == rendered


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one\ntwo {{first name}}", "Line 2 has '{{first name}}', which is no variable"),
        ("{{}}", "Line 1 has '{{}}'"),
        ("{{zone.}}", "Line 1 has '{{zone.}}'"),
        ("{{zone.Now}}", "Line 1 has '{{zone.Now}}'"),
        ("{{zone.now.date}}", "Line 1 has '{{zone.now.date}}'"),
        ("a\r\n\n{{1st}}", "Line 3 has '{{1st}}'"),
        ("{{name", "Line 1 does not end '{{name'"),
        ("{{na\nme}}", "Line 1 does not end '{{na'"),
        ("{{name} }", "Line 1 does not end '{{name'"),
        ("{{{name}}}", "Line 1 does not end '{{'"),
        ("{{" + "x" * 55 + "}}", "Line 1 has '{{xxx"),
    ],
)
def test_what_is_no_template_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_template(text)

    assert str(caught.value).startswith(said)
    assert "Write a variable as '{{name}}', and a literal '{{' as '\\{{'." in str(caught.value)
    assert len(str(caught.value)) < 250


@given(st.lists(st.tuples(st.text(max_size=20), st.sampled_from(["a", "b", "long_name"])), max_size=6), st.text())
def test_values_stay_what_they_are(pieces: list[tuple[str, str]], value: str) -> None:
    """Whatever a value holds, places and backslashes included, it goes in once and is not read again."""
    words = [(text.replace("\\", "").replace("{", ""), name) for text, name in pieces]
    template = parse_template("".join(f"{text}{{{{{name}}}}}" for text, name in words))

    values = {"a": value, "b": "{{a}}", "long_name": "\\{{"}
    assert template.render(values) == "".join(text + values[name] for text, name in words)
