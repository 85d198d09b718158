"""Files of this machine: what is no photograph is known by its first bytes, what is no file is never read."""

import os
import socket
from pathlib import Path

import pytest

from ml.errors import PhotoError
from ml.serving import photograph_files
from ml.serving.photograph_files import (
    MAX_BYTES,
    SIGNATURE_BYTES,
    OtherFileError,
    files_below,
    looks_like_photograph,
    read_photograph,
)
from tests.ml.specificity_fixtures import photograph_bytes


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

    monkeypatch.setattr(photograph_files, "looks_like_photograph", counted)
    reason = refusal(film)
    assert reason == "not a photograph in one of the formats JPEG, PNG, WebP, AVIF: the file is MP4 video"
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
