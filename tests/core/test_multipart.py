"""Forms, as clients send them: read alike wherever they are cut, and refused where they are none."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.core.multipart import MultipartReader, PartBegan, PartEnded, boundary_of

BOUNDARY = b"----WebKitFormBoundaryABC"
FORM = (
    b"a preamble\r\n"
    b"------WebKitFormBoundaryABC\r\n"
    b'Content-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b"------WebKitFormBoundaryABC  \r\n"
    b'content-disposition: form-data; name="file"; filename="a %22b\\"\xc3\xbc.jsonl"\r\n'
    b"Content-Type: application/jsonl; charset=utf-8\r\n\r\n"
    b"\r\n--not the boundary\r\n------WebKitFormBoundaryAB\r\n\r\r\n\n\r\n"
    b"------WebKitFormBoundaryABC\r\n"
    b"Content-Disposition: form-data; name=empty; filename=\r\n\r\n\r\n"
    b"------WebKitFormBoundaryABC--\r\nan epilogue\r\n------WebKitFormBoundaryABC\r\n"
)
PARTS = [
    (PartBegan("purpose", None, None), b"batch"),
    (
        PartBegan("file", 'a "b"ü.jsonl', "application/jsonl; charset=utf-8"),
        b"\r\n--not the boundary\r\n------WebKitFormBoundaryAB\r\n\r\r\n\n",
    ),
    (PartBegan("empty", "", None), b""),
]


def read(pieces: list[bytes], boundary: bytes = BOUNDARY) -> list[tuple[PartBegan, bytes]]:
    reader = MultipartReader(boundary)
    parts: list[tuple[PartBegan, bytes]] = []
    is_open = False
    for piece in pieces:
        for found in reader.feed(piece):
            match found:
                case PartBegan():
                    assert not is_open
                    is_open = True
                    parts.append((found, b""))
                case PartEnded():
                    assert is_open
                    is_open = False
                case bytes():
                    assert is_open
                    parts[-1] = (parts[-1][0], parts[-1][1] + found)
    reader.finish()
    assert not is_open
    return parts


@pytest.mark.parametrize("cut", range(len(FORM) + 1))
def test_a_form_is_the_same_wherever_it_is_cut(cut: int) -> None:
    assert read([FORM[:cut], FORM[cut:]]) == PARTS


def test_a_form_may_come_byte_by_byte() -> None:
    assert read([FORM[place : place + 1] for place in range(len(FORM))]) == PARTS


@given(
    contents=st.lists(
        st.binary(max_size=60) | st.sampled_from([b"\r\n", b"\r\n--x", b"--x--", b"\r\n--xy"]), max_size=4
    ),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_whatever_was_written_is_read(contents: list[bytes], cuts: list[int]) -> None:
    boundary = b"x9"
    contents = [content for content in contents if b"\r\n--x9" not in b"\r\n" + content]
    form = b"".join(
        b'--x9\r\ncontent-disposition: form-data; name="%d"\r\n\r\n%b\r\n' % (number, content)
        for number, content in enumerate(contents)
    )
    form += b"--x9--"
    places = sorted({0, len(form), *(cut for cut in cuts if cut < len(form))})

    parts = read([form[start:end] for start, end in itertools.pairwise(places)], boundary)

    assert parts == [(PartBegan(str(number), None, None), content) for number, content in enumerate(contents)]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("filename*=UTF-8''na%C3%AFve.txt", "naïve.txt"),
        ("filename=\"=?utf-8?B?bmHDr3ZlLnR4dA==?=\"; filename*=utf-8'en'na%C3%AFve.txt", "naïve.txt"),
        ('filename="C:\\Files\\a.txt"', "C:\\Files\\a.txt"),
        ('filename="a\N{IDEOGRAPHIC SPACE}b.txt"', "a\N{IDEOGRAPHIC SPACE}b.txt"),
    ],
)
def test_names_as_clients_spell_them(said: str, name: str) -> None:
    form = f'--x\r\nContent-Disposition: form-data; name="f"; {said}\r\n\r\n\r\n--x--'

    assert read([form.encode()], b"x") == [(PartBegan("f", name, None), b"")]


def test_what_comes_is_passed_on_at_once_but_for_what_may_be_a_boundary() -> None:
    reader = MultipartReader(b"x")
    reader.feed(b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n')

    (passed,) = reader.feed(b"z" * 100_000)

    assert len(passed) == 100_000 - len(b"\r\n--x") + 1


@pytest.mark.parametrize("length", range(len(FORM) - len(b"--\r\nan epilogue\r\n------WebKitFormBoundaryABC\r\n")))
def test_half_a_form_is_none(length: int) -> None:
    with pytest.raises(BadRequest):
        read([FORM[:length]])


@pytest.mark.parametrize(
    "form",
    [
        b"--x\r\n\r\nno name\r\n--x--",
        b'--x\r\nContent-Disposition: attachment; name="a"\r\n\r\nnot of a form\r\n--x--',
        b"--x\r\nContent-Disposition: form-data\r\n\r\nno name\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name=""\r\n\r\nan empty one\r\n--x--',
        b'--x\r\nContent-Disposition: form-data; name="a\tb"\r\n\r\nno name\r\n--x--',
        b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\nno name\r\n--x--' % (b"a" * 201),
        b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: a/b\nX-Other: c\r\n\r\n\r\n--x--',
        b'--x\r\nContent-Disposition: form-data; name="a"\r\nno colon\r\n\r\n\r\n--x--',
        b'--x\r\nContent-Disposition: form-data; name="a"\r\ncontent-disposition: form-data; name="b"\r\n\r\n\r\n--x--',
        b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--x--',
        b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nnot UTF-8\r\n--x--',
        b'--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\nanother boundary\r\n--xx--',
        b"--x\r\n" + b"a: b\r\n" * 4000,
        b'--x\r\nX: %b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n--x--' % (b"y" * 9000),
        b"--x" + b" " * 40_000,
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 101 + b"--x--",
        b"",
    ],
)
def test_what_is_no_form_is_refused(form: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read([form], b"x")

    assert refused.value.code == "invalid_form"


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'Multipart/Form-Data; charset=utf-8; BOUNDARY="a b:c"', b"a b:c"),
        (b"multipart/form-data; boundary=" + b"a" * 70, b"a" * 70),
    ],
)
def test_the_boundary_is_read(content_type: bytes, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        b"application/json",
        b"multipart/form-data",
        b"multipart/mixed; boundary=a",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=" + b"a" * 71,
    ],
)
def test_other_types_are_refused(content_type: bytes | None) -> None:
    with pytest.raises(BadRequest) as refused:
        boundary_of(content_type)

    is_form = content_type is not None and content_type.startswith(b"multipart/form-data")
    assert refused.value.code == ("invalid_form" if is_form else "invalid_content_type")
