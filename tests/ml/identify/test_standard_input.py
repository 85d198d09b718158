"""What standard input holds: a photograph or lines that name some, however they come."""

import io
import os
from pathlib import Path

import pytest

from ml.errors import PhotoError
from ml.identify import standard_input
from ml.identify.photographs import Address
from ml.identify.standard_input import LONGEST_LINE, from_standard_input
from ml.serving import inputs
from tests.ml.specificity_fixtures import photograph_bytes


class Dripping(io.BytesIO):
    """Gives few bytes at a time, as a pipe may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(7 if size is None or size < 0 else min(7, size))


@pytest.mark.parametrize("stream", [io.BytesIO, Dripping])
def test_a_photograph_is_told_by_its_content(stream: type[io.BytesIO]) -> None:
    content = photograph_bytes(size=(400, 300))
    (photograph,) = from_standard_input(stream(content))
    assert (photograph.name, photograph.source) == ("-", content)


@pytest.mark.parametrize("stream", [io.BytesIO, Dripping])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_lines_name_photographs(stream: type[io.BytesIO], end: bytes, tmp_path: Path) -> None:
    names = [b"https://example.org/a.jpg", b"ki\xc5\xab.jpg", b"", b"plot 1/k\xe9a.jpg", b"w" * 300 + b".jpg"]
    found = list(from_standard_input(stream(end.join(names))))
    assert [os.fsencode(photograph.name) for photograph in found] == [name for name in names if name]
    assert isinstance(found[0].source, Address)
    assert [photograph.source for photograph in found[1:]] == [Path(photograph.name) for photograph in found[1:]]
    assert [each.name for each in from_standard_input(stream(str(tmp_path / "a\nb.jpg").encode() + b"\0c\0"))] == [
        str(tmp_path / "a\nb.jpg"),
        "c",
    ] or end != b"\0"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "standard input is empty"),
        (b"GIF89a" + bytes(300), "not a photograph in one of the formats .*: the file is GIF"),
        (b"%PDF-1.7 " + bytes(300), "the file is PDF"),
        (b"x" * (LONGEST_LINE + 1), "a line of more than 8,192 bytes names no photograph"),
    ],
)
def test_anything_else_has_an_error(content: bytes, reason: str) -> None:
    (photograph,) = from_standard_input(io.BytesIO(content))
    assert isinstance(photograph.source, PhotoError)
    with pytest.raises(PhotoError, match=reason):
        raise photograph.source


def test_no_more_is_read_than_a_photograph_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MAX_BYTES", 100_000)
    stream = io.BytesIO(photograph_bytes() + bytes(1_000_000))
    (photograph,) = from_standard_input(stream)
    assert "more bytes than the 100,000 that are read" in str(photograph.source)
    assert stream.tell() <= 100_001 + standard_input._CHUNK
