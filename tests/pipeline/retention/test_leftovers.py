"""What killed runs left is found by its name, and left alone while its writer lives."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from ml.files import replacing
from pipeline.files import atomic_path, work_folder, write_json
from pipeline.paths import Paths
from pipeline.retention.leftovers import find_leftovers, is_locked


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return Paths(data_root=tmp_path / "data")


def found(paths: Paths) -> set[str]:
    return {removal.name for removal in find_leftovers(paths)}


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_every_name_of_a_half_written_file_is_known(paths: Paths) -> None:
    """The writers themselves make the names; what they leave when they are killed is a copy here."""
    for place in (paths.table("split"), paths.model("baseline", "a" * 16) / "history.parquet"):
        with atomic_path(place) as partial:
            partial.write_bytes(b"half")
            left = partial.parent.with_name(partial.parent.name.replace(".partial", "1.partial"))
            put(left / partial.name)
            partial.write_bytes(b"whole")
    for place in (paths.model("baseline", "a" * 16) / "weights.safetensors", paths.features / "f.safetensors"):
        with replacing(place) as partial:
            partial.write_bytes(b"whole")
            put(partial.with_name(f"{partial.name.removesuffix('.partial')}.7.partial"))
    for earlier in (".photos.spill-123", ".split.parquet.abc.partial", "photos.spill-9/part"):
        put(paths.tables / earlier)
    names = {Path(name).name for name in found(paths)}
    assert {".photos.spill-123", ".split.parquet.abc.partial", "photos.spill-9"} <= names
    assert len(names) == 7
    assert {"split.parquet", "history.parquet", "weights.safetensors", "f.safetensors"}.isdisjoint(names)


def test_what_a_live_writer_holds_is_no_leftover(paths: Paths) -> None:
    with atomic_path(paths.table("split")) as partial, work_folder(paths.work("photos")) as folder:
        put(folder / "t.parquet")
        partial.write_bytes(b"half")
        assert is_locked(partial.parent)
        assert not found(paths)
    put(paths.work("photos") / "t.parquet")
    assert found(paths) == {"work/photos"}


def test_a_download_is_resumed_as_long_as_it_is_the_one_that_was_asked_for(paths: Paths) -> None:
    folder = paths.downloads / "scope"
    write_json(folder / "request.json", {"key": "new"})
    fresh, other = put(folder / "new.zip.partial"), put(folder / "old.zip.partial")
    put(folder / "old.zip.partial.validator")
    assert found(paths) == {"downloads/scope/old.zip.partial", "downloads/scope/old.zip.partial.validator"}
    long_ago = time.time() - 8 * 86_400
    os.utime(fresh, (long_ago, long_ago))
    other.unlink()
    assert "downloads/scope/new.zip.partial" in found(paths)


def test_a_finished_training_needs_no_checkpoint_and_an_unfinished_one_does(paths: Paths) -> None:
    finished, unfinished = paths.model("baseline", "a" * 16), paths.model("baseline", "b" * 16)
    for folder in (finished, unfinished):
        put(folder / "checkpoints" / "latest.pt", b"12345")
        put(folder / "head.safetensors")
    put(finished / "result.json")
    those = find_leftovers(paths)
    assert {each.name for each in those} == {
        f"models/baseline/{'a' * 16}/checkpoints",
        f"models/baseline/{'a' * 16}/head.safetensors",
    }
    assert sum(each.bytes for each in those) == 6
    assert {each.reason for each in those} == {"its training is finished"}


def test_what_duckdb_left_of_a_process_that_has_ended_goes(paths: Paths, tmp_path: Path) -> None:
    mine, gone = (tmp_path / "tmp" / f"naturewatch-{number}-{'0' * 32}" for number in (os.getpid(), 2**22 + 1))
    put(mine / "block")
    put(gone / "block")
    put(tmp_path / "tmp" / "naturewatch-abc" / "somebody's")
    assert found(paths) == {str(gone)}
