"""Forms as they are written for providers."""

from __future__ import annotations

from frontdesk.providers.forms import FormWriter
from frontdesk.turn.items import Upload


def written(*fields: tuple[str, object]) -> str:
    writer = FormWriter()
    boundary = writer.content_type.partition("boundary=")[2]
    return b"".join(writer.pieces(fields)).decode("latin-1").replace(boundary, "B")


def test_texts_numbers_and_switches() -> None:
    assert written(("a", "ü"), ("n", 2), ("f", 0.5), ("t", True)) == (
        '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nÃ¼\r\n'
        '--B\r\nContent-Disposition: form-data; name="n"\r\n\r\n2\r\n'
        '--B\r\nContent-Disposition: form-data; name="f"\r\n\r\n0.5\r\n'
        '--B\r\nContent-Disposition: form-data; name="t"\r\n\r\ntrue\r\n'
        "--B--\r\n"
    )


def test_lists_and_objects() -> None:
    said = written(("a", ["x", "y"]), ("o", {"type": "z"}))

    assert said.count('name="a[]"') == 2
    assert 'name="o[type]"\r\n\r\nz' in said


def test_a_files_name_and_type_cannot_break_its_head() -> None:
    sly = Upload(b"x", 'a"\r\nX-Sly: 1\r\n\r\nb', "audio/wav\r\nX-Sly: 1")

    said = written(("file", sly))

    assert said == (
        '--B\r\nContent-Disposition: form-data; name="file"; filename="a%22%0D%0AX-Sly: 1%0D%0A%0D%0Ab"\r\n'
        "Content-Type: application/octet-stream\r\n\r\nx\r\n--B--\r\n"
    )


def test_no_name_brings_a_character_that_no_header_has() -> None:
    said = written(("file", Upload(b"", "a\0\x1b\x7f\x85\tb", "audio/wav")))

    assert 'filename="ab"\r\n' in said


def test_a_file_is_not_copied() -> None:
    content = b"x" * 1000

    assert any(piece is content for piece in FormWriter().pieces([("file", Upload(content, "a", "audio/wav"))]))


def test_a_file_without_a_name_gets_one() -> None:
    assert 'filename="file"\r\nContent-Type: audio/wav\r\n' in written(("file", Upload(b"x", "", "audio/wav")))


def test_one_boundary_for_all_forms_of_a_writer_and_another_for_each_writer() -> None:
    writer, other = FormWriter(), FormWriter()

    assert writer.pieces([("a", "x")]) == writer.pieces([("a", "x")])
    assert writer.content_type != other.content_type
