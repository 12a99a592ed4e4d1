"""Forms with files: what browsers, curl and SDKs write is read, all else is a clear 400."""

from __future__ import annotations

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.providers.forms import FormWriter
from frontdesk.turn.items import Upload
from frontdesk.wire.multipart import Part, read_parts

TYPE = b"multipart/form-data; boundary=abc"


def form(*parts: str, end: str = "--abc--\r\n") -> bytes:
    return "".join(f"--abc\r\n{part}\r\n" for part in parts).encode() + end.encode()


def field(name: str, value: str = "v") -> str:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'


# --- what is read ---------------------------------------------------------------------------------


def test_texts_and_files_in_their_order() -> None:
    body = form(
        field("model", "m"),
        'Content-Disposition: form-data; name="file"; filename="a b.wav"\r\nContent-Type: audio/wav\r\n\r\n\r\n\r\n',
        field("model", ""),
    )

    assert read_parts(body, TYPE) == [
        Part("model", "m"),
        Part("file", Upload(b"\r\n\r\n", "a b.wav", "audio/wav")),
        Part("model", ""),
    ]


def test_what_the_official_clients_http_library_writes_is_read() -> None:
    request = httpx2.Request(
        "POST",
        "http://x.example/",
        data={"model": "m", "timestamp_granularities[]": ["word", "segment"]},
        files=[("image[]", ('q"uo\\te.png', b"one", "image/png")), ("image[]", ("ünï.png", b"two", "image/png"))],
    )

    parts = read_parts(request.read(), request.headers["content-type"].encode())

    assert parts == [
        Part("model", "m"),
        Part("timestamp_granularities[]", "word"),
        Part("timestamp_granularities[]", "segment"),
        Part("image[]", Upload(b"one", 'q"uo\\te.png', "image/png")),
        Part("image[]", Upload(b"two", "ünï.png", "image/png")),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "Screenshot 2026-11-23 at 7.34.12\u202fPM.png",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467.png",
        "a\u3000b.wav",
        "tab\tbed.wav",
    ],
    ids=["a Mac's", "joined", "wide blank", "tab"],
)
def test_names_of_files_as_people_have_them(name: str) -> None:
    upload = f'Content-Disposition: form-data; name="f"; filename="{name}"\r\n\r\nx'

    ((_, read),) = read_parts(form(upload), TYPE)

    assert read == Upload(b"x", name, "application/octet-stream")


def test_a_long_name_keeps_its_end_which_says_what_the_file_is() -> None:
    upload = f'Content-Disposition: form-data; name="f"; filename="{"x" * 250}.wav"\r\n\r\nx'

    ((_, read),) = read_parts(form(upload), TYPE)

    assert isinstance(read, Upload)
    assert read.filename == "x" * 196 + ".wav"


@pytest.mark.parametrize(
    "said",
    [
        "filename*=UTF-8''na%C3%AFve.wav",
        "filename=\"=?utf-8?B?bmHDr3ZlLndhdg==?=\"; filename*=utf-8''na%C3%AFve.wav",
        "filename*=UTF-8'en'na%C3%AFve.wav; filename=other.wav",
    ],
)
def test_a_name_in_the_spelling_of_mail_is_read(said: str) -> None:
    ((_, read),) = read_parts(form(f'Content-Disposition: form-data; name="f"; {said}\r\n\r\nx'), TYPE)

    assert read == Upload(b"x", "naïve.wav", "application/octet-stream")


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20).filter(
    lambda name: "\\" not in name and "%" not in name
)
VALUES = st.text(max_size=40) | st.builds(Upload, st.binary(max_size=200), NAMES, st.just("audio/x-any"))


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=5))
@example([("file", Upload(b"\r\n--", "a", "audio/x-any"))])
@example([("file", Upload(b"\r\n--frontdesk-", "a", "audio/x-any")), ("x", "\r\n")])
def test_what_we_write_ourselves_comes_back_whole(fields: list[tuple[str, str | Upload]]) -> None:
    writer = FormWriter()

    assert read_parts(b"".join(writer.pieces(fields)), writer.content_type.encode()) == [Part(*each) for each in fields]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"preamble\r\n" + form(field("a")), TYPE),
        (form(field("a")) + b"epilogue", TYPE),
        (form(field("a"), end="--abc--"), TYPE),
        (form(field("a")).replace(b"--abc\r\n", b"--abc \t\r\n"), TYPE),
        (form(field("a")), b'Multipart/Form-Data; charset=utf-8; Boundary="abc"'),
        (form("content-disposition: FORM-DATA; name=a\r\nX-Other: 1\r\n\r\nv"), TYPE),
        (form('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: binary\r\n\r\nv'), TYPE),
    ],
    ids=["preamble", "epilogue", "no last line end", "blanks", "quoted boundary", "unquoted name", "plain encoding"],
)
def test_what_the_rules_allow(body: bytes, content_type: bytes) -> None:
    assert read_parts(body, content_type) == [Part("a", "v")]


def test_a_boundary_inside_of_a_file_that_is_not_at_a_lines_beginning_is_content() -> None:
    upload = 'Content-Disposition: form-data; name="f"; filename="f"\r\n\r\nx--abc\r\n--abd\r\n'

    assert read_parts(form(upload), TYPE) == [
        Part("f", Upload(b"x--abc\r\n--abd\r\n", "f", "application/octet-stream"))
    ]


# --- what is not ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", [None, b"", b"application/json", b"multipart/mixed; boundary=abc", b"text/plain"]
)
def test_what_is_no_form(content_type: bytes | None) -> None:
    with pytest.raises(BadRequest) as refused:
        read_parts(form(field("a")), content_type)

    assert refused.value.code == "invalid_content_type"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (form(field("a")), b"multipart/form-data"),
        (form(field("a")), b"multipart/form-data; boundary="),
        (form(field("a")), b"multipart/form-data; boundary=" + b"a" * 71),
        (b"", TYPE),
        (b"nothing here", TYPE),
        (b"--abc", TYPE),
        (form(field("a"), end=""), TYPE),
        (form(field("a")).replace(b"--abc\r\n", b"--abcd\r\n", 1), TYPE),
        (form("\r\nv"), TYPE),
        (form("Content-Disposition: form-data\r\n\r\nv"), TYPE),
        (form('Content-Disposition: attachment; name="a"\r\n\r\nv'), TYPE),
        (form('Content-Disposition: form-data; name="a"'), TYPE),
        (form("no colon\r\n\r\nv"), TYPE),
        (form('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\ndg=='), TYPE),
        (form('Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"\r\n\r\nv'), TYPE),
        (form(field("a" * 201)), TYPE),
        (form(field("a\tb")), TYPE),
        (form(f"X: {'y' * 9000}\r\n{field('a')}"), TYPE),
        (form(field("a")).replace(b"\r\n\r\nv", b"\r\n\r\n\xff"), TYPE),
        (form(*[field(f"f{n}") for n in range(65)]), TYPE),
    ],
)
def test_what_cannot_be_read_is_the_callers_matter(body: bytes, content_type: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read_parts(body, content_type)

    assert refused.value.code == "invalid_form"
    assert len(refused.value.message) < 300


@given(noise=st.binary(max_size=300), is_inside=st.booleans())
def test_no_bytes_break_it(*, noise: bytes, is_inside: bool) -> None:
    body = form(field("a")).replace(b"\r\n\r\nv", b"\r\n\r\n" + noise) if is_inside else b"--abc\r\n" + noise

    try:
        parts = read_parts(body, TYPE)
    except BadRequest:
        return
    assert parts


@pytest.mark.parametrize("cut", range(0, 140, 1))
def test_a_form_that_was_cut_is_never_taken_for_whole(cut: int) -> None:
    whole = form(field("a"), 'Content-Disposition: form-data; name="f"; filename="f"\r\n\r\nbytes')
    if cut >= len(whole) - 2:  # the last line end may be missing
        return

    with pytest.raises(BadRequest):
        read_parts(whole[:cut], TYPE)
