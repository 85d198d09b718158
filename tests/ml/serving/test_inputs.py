"""Photographs as callers hand them over: every form that is meant is taken, every other refused by name.

Files of this machine: what is no photograph is known by its first bytes, what is no file is never read.
"""

import base64
import io
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from ml.errors import PhotoError
from ml.serving import inputs
from ml.serving.inputs import (
    MAX_BYTES,
    SIGNATURE_BYTES,
    OtherFileError,
    RequestError,
    content_of,
    files_below,
    looks_like_photograph,
    photographs_of,
    read_photograph,
)
from tests.ml.specificity_fixtures import photograph_bytes

JPEG = photograph_bytes()
TEXT = base64.b64encode(JPEG).decode()


def tiny(form: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (1, 1)).save(stream, format=form)
    return stream.getvalue()


FORMS = {
    "standard": TEXT,
    "without padding": TEXT.rstrip("="),
    "for addresses": base64.urlsafe_b64encode(JPEG).decode(),
    "for addresses, without padding": base64.urlsafe_b64encode(JPEG).decode().rstrip("="),
    "in lines": base64.encodebytes(JPEG).decode(),
    "in lines of Windows": base64.encodebytes(JPEG).decode().replace("\n", "\r\n"),
    "among blanks": f"  {TEXT}\n\n",
    "data address": f"data:image/jpeg;base64,{TEXT}",
    "data address with parameters": f"data:image/jpeg;name=kea.jpg;base64,{TEXT}",
    "data address in capitals": f"DATA:image/jpeg;BASE64,{TEXT}",
    "data address, escaped": f"data:image/jpeg;base64,{quote(TEXT, safe='')}",
    "data address without base64": f"data:image/jpeg,{quote(JPEG)}",
}


@pytest.mark.parametrize("form", FORMS)
def test_text_is_base64_of_any_usual_form(form: str) -> None:
    assert content_of(FORMS[form], paths=False) == JPEG


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("paths", [True, False])
def test_a_small_photograph_is_not_taken_for_a_path(form: str, *, paths: bool) -> None:
    content = tiny(form)
    assert content_of(base64.b64encode(content).decode(), paths=paths) == content


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview, np.bytes_])
def test_bytes_are_themselves(form: Any) -> None:  # noqa: ANN401
    assert content_of(form(JPEG), paths=False) == JPEG


def test_a_path_is_read_for_callers_of_this_process_alone(tmp_path: Path) -> None:
    path = tmp_path / "kea.jpg"
    path.write_bytes(JPEG)
    for named in (path, str(path)):
        assert content_of(named, paths=True) == JPEG
        with pytest.raises(PhotoError):
            content_of(named, paths=False)


@pytest.mark.parametrize("name", ["photo123", "a" * 4, "kea"])
def test_a_path_that_could_be_base64_is_a_path_where_a_file_is_called_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(JPEG)
    monkeypatch.chdir(tmp_path)
    assert content_of(name, paths=True) == JPEG


@pytest.mark.parametrize("there", ["/etc/passwd", "/proc/kmsg", "/dev/zero", "/etc", "/proc/self/environ"])
def test_a_request_does_not_tell_what_there_is_on_this_machine(there: str) -> None:
    reasons = []
    for path in (there, there[:-1] + "_"):
        with pytest.raises(PhotoError) as refused:
            content_of(path, paths=False)
        reasons.append(str(refused.value))
    assert reasons[0] == reasons[1]
    assert there not in reasons[0]


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1/photo.jpg", "https://example.org/a", "file:///etc/passwd", "FILE:/etc/passwd", "s3://a/b"],
)
@pytest.mark.parametrize("paths", [True, False])
def test_addresses_are_not_fetched(address: str, *, paths: bool) -> None:
    with pytest.raises(PhotoError, match="addresses are not"):
        content_of(address, paths=paths)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "there is no photograph"),
        (float("nan"), "there is no photograph"),
        (7, "must be base64 text, not a value of type int"),
        ([1, 2], "not a value of type list"),
        ("", "the text is empty"),
        (" " * 1_000_000, "the text is empty"),
        ("not base64!", "not base64 text"),
        ("abcde", "not base64 text"),
        ("data:image/jpeg;base64", "not base64 text"),
        ("data:image/jpeg;base64,\ud800", "not base64 text"),
        ("kea\ud800", "not base64 text"),
        ("kea\0.jpg", "not base64 text"),
        (base64.b64encode(b"text, no photograph").decode(), "not a photograph in one of the formats"),
        (base64.b64encode(TEXT.encode()).decode(), "not a photograph in one of the formats"),
    ],
)
@pytest.mark.parametrize("paths", [True, False])
def test_what_is_no_photograph_is_refused(item: object, reason: str, *, paths: bool) -> None:
    if paths:
        reason = reason.replace("not base64 text", "neither an existing file nor base64 text").replace(
            "must be base64 text", "must be bytes, base64 text or a path"
        )
    with pytest.raises(PhotoError, match=reason):
        content_of(item, paths=paths)


class Frame:
    """As much of a data frame as is read of one."""

    def __init__(self, columns: list[str], rows: list[list[object]]) -> None:
        self.columns = columns
        self.iloc = np.array(rows, dtype=object)


@pytest.mark.parametrize(
    "data",
    [
        ["a", "b"],
        ("a", "b"),
        np.array(["a", "b"]),
        np.array(["a", "b"], dtype=object),
        np.array([["a"], ["b"]]),
        [["a"], ["b"]],
        {"image": ["a", "b"]},
        {"b64": ["a", "b"]},
        {"id": [1, 2], "image": ["a", "b"]},
        [{"image": "a"}, {"image": "b"}],
        [{"id": 1, "image": "a"}, {"image": "b", "id": 2}],
        [{"b64": "a"}, "b"],
        Frame(["id", "image"], [[1, "a"], [2, "b"]]),
        Frame(["photo"], [["a"], ["b"]]),
        (item for item in ("a", "b")),
    ],
)
def test_lists_and_tables_hold_a_photograph_per_row(data: object) -> None:
    assert photographs_of(data) == ["a", "b"]


@pytest.mark.parametrize("data", [[], {}, np.array([]), Frame([], []), {"image": []}])
def test_nothing_is_no_photograph(data: object) -> None:
    assert photographs_of(data) == []


@pytest.mark.parametrize("data", ["a", b"a", bytearray(b"a"), Path("a")])
def test_one_photograph_needs_no_list(data: object) -> None:
    assert photographs_of(data) == [data]
    assert photographs_of({"image": data}) == [data]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "as a list or a table, not as null"),
        (7, "as a list or a table, not as a value of type int"),
        (np.zeros((8, 8, 3), dtype=np.uint8), "an array of numbers is no photograph"),
        (Frame(["id", "photo"], [[1, "a"]]), "of 2 columns none is called image"),
        (Frame(["image", "image"], [["a", "b"]]), "2 columns are called image"),
        ({"id": [1], "photo": ["a"]}, "of 2 columns none is called image"),
        ({"image": {"0": "a"}}, "must be a list, not an object"),
        (["a", {"id": 1, "photo": "b"}], "photograph 1: of 2 columns none is called image"),
    ],
)
def test_what_holds_no_photographs_is_refused(data: object, reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        photographs_of(data)


def refusal(path: Path) -> str:
    with pytest.raises(PhotoError) as refused:
        read_photograph(path)
    return str(refused.value)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_photograph_is_read_whole(form: str, tmp_path: Path) -> None:
    content = photograph_bytes(form=form)
    (tmp_path / "named.txt").write_bytes(content)
    assert read_photograph(tmp_path / "named.txt") == content


def test_of_a_film_the_first_bytes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\0\0\0\x18ftypmp42")
    os.truncate(film, 3_000_000_000)  # a hole takes no room
    given: list[int] = []

    def counted(content: bytes) -> bool:
        given.append(len(content))
        return looks_like_photograph(content)

    monkeypatch.setattr(inputs, "looks_like_photograph", counted)
    reason = refusal(film)
    assert reason == "not a photograph in one of the formats JPEG, PNG, WebP, AVIF, HEIC: the file is MP4 video"
    assert given == [SIGNATURE_BYTES]


def test_a_file_larger_than_any_photograph_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    path.write_bytes(photograph_bytes())
    os.truncate(path, MAX_BYTES + 1)
    assert refusal(path) == "200,000,001 bytes are more than the 200,000,000 that are read"


def test_special_files_are_never_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tmp_path)  # the address of a socket must be short
        listener.bind("socket")
        assert refusal(tmp_path / "pipe") == "a pipe, not a photograph"
        assert refusal(tmp_path / "socket") == "a socket, not a photograph"
    assert refusal(tmp_path) == "a folder, not a photograph"
    assert refusal(Path("/dev/zero")) == "a device, not a photograph"
    # A file by its mode, and read from for good.
    assert refusal(Path("/proc/kmsg")) == "the file is empty"


def test_what_is_not_there_is_told_by_the_true_reason(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "round.jpg").symlink_to(tmp_path / "round.jpg")
    (tmp_path / "kea.jpg").write_bytes(b"")
    assert refusal(tmp_path / "absent.jpg") == "there is no such file"
    assert refusal(tmp_path / "link.jpg") == "there is no such file"
    assert refusal(tmp_path / ("long" * 100)) == "the name is too long for a file"
    assert refusal(tmp_path / "kea.jpg" / "other.jpg") == "cannot read it (Not a directory)"
    assert "symbolic links" in refusal(tmp_path / "round.jpg")
    assert refusal(Path("kea\0.jpg")) == "no file can have this name"
    assert refusal(tmp_path / "kea.jpg") == "the file is empty"


def test_a_folder_stands_for_the_photographs_below_it(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/2.png", "a/1", "c/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(photograph_bytes())
    (tmp_path / "notes.txt").write_text("no photograph")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    below = list(files_below(tmp_path))
    assert [path for path, _ in below] == sorted(path for path, _ in below)
    found = [path for path, problem in below if problem is None]
    assert found == [tmp_path / name for name in ("a/1", "a/2.png", "b.jpg", "c/.hidden")]
    others = [path for path, problem in below if isinstance(problem, OtherFileError)]
    assert others == [tmp_path / name for name in ("a/back", "empty.jpg", "notes.txt")]


def test_a_folder_that_cannot_be_listed_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "kea.jpg").write_bytes(photograph_bytes())
    listed = Path.iterdir

    def refuses(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refuses)
    (closed, reason), (kea, fine) = files_below(tmp_path)
    assert (closed, str(reason)) == (tmp_path / "closed", "this account may not read it")
    assert (kea, fine) == (tmp_path / "kea.jpg", None)
