"""Raw downloads, copies of indices and packs: what is needed stays."""

import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.files import sha256_of, write_json
from pipeline.history.snapshots import Snapshot
from pipeline.paths import Paths
from pipeline.retention.stored_files import find_downloads, find_indices, find_packs, find_trees


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(data_root=tmp_path)


def archive(paths: Paths, name: str, *, age: int) -> Path:
    """An archive that was written so many days ago."""
    path = paths.downloads / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("meta.xml", name)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def going(paths: Paths, *, most: int = 1, named: frozenset[str] = frozenset()) -> dict[str, tuple[str, ...]]:
    removals, _ = find_downloads(paths, most=most, named=named)
    return {removal.name: removal.beside for removal in removals}


def test_the_current_the_newest_and_the_named_downloads_stay(paths: Paths) -> None:
    for age, key in enumerate(("new", "second", "named", "old", "current")):
        archive(paths, f"scope/{key}.zip", age=age)
    (paths.downloads / "scope" / "old.zip.validator").touch()
    record: dict[str, object] = {
        "mode": "download",
        "key": "current",
        "predicate": {},
        "checklist_key": None,
        "sha256": "s",
    }
    write_json(paths.current_download, record | {"archive": "downloads/scope/current.zip"})
    assert going(paths, named=frozenset({"named"})) == {
        "downloads/scope/second.zip": (),
        "downloads/scope/old.zip": ("downloads/scope/old.zip.validator",),
    }
    assert going(paths, most=2, named=frozenset({"named", "old"})) == {}


def test_searches_are_folders_and_archives_without_a_key_go_by_their_content(paths: Paths) -> None:
    for age, day in enumerate(("20260103", "20260102", "20260101")):
        pages = paths.downloads / f"search-abc-{day}" / "records.jsonl.gz"
        pages.parent.mkdir(parents=True)
        pages.touch()
        os.utime(pages, (1e9 - age, 1e9 - age))
    given = archive(paths, "archive-0123456789abcdef/archive.zip", age=10)
    old = {"downloads/search-abc-20260102", "downloads/search-abc-20260101"}
    assert going(paths).keys() == old | {"downloads/archive-0123456789abcdef/archive.zip"}
    named = frozenset({"search-abc-20260102", f"archive-{sha256_of(given)[:16]}"})
    assert going(paths, named=named).keys() == {"downloads/search-abc-20260101"}


def test_indices_of_the_last_two_snapshots_stay_and_so_do_their_downloads(paths: Paths) -> None:
    for number in (1, 2, 3):
        archive(paths, f"scope/key{number}.zip", age=9 - number)
        Snapshot(
            number=number, identity="i", key=f"key{number}", doi=None, created=None, recorded="2026-01-01",
            scope={}, photographs=1,
        ).write(paths)  # fmt: skip
        paths.snapshot_index(number).touch()
    assert [removal.name for removal in find_indices(paths)] == ["releases/1/index.parquet"]
    assert going(paths).keys() == {"downloads/scope/key1.zip"}
    assert paths.snapshot_record(1).exists()


def test_the_observations_of_a_tree_stay_that_a_kept_version_has(paths: Paths) -> None:
    write_json(paths.taxonomies_order, ["first", "second", "third", "fourth"])
    for tree in ("first", "second", "third", "fourth"):
        write_json(paths.kept_taxonomy(tree) / "contents.json", [f"content of {tree}"])
        (paths.kept_taxonomy(tree) / "observations.parquet").touch()
    gone = find_trees(paths, named={"content of first", ""})
    assert [removal.name for removal in gone] == ["taxonomies/second/observations.parquet"]


def test_packs_without_a_row_go_and_none_is_judged_without_an_index(paths: Paths) -> None:
    paths.training_photos.mkdir()
    for number in (0, 1, 2):
        (paths.training_photos / f"pack-{number:05d}.bin").write_bytes(b"12345")
    assert find_packs(paths) == []
    pq.write_table(pa.table({"pack": ["pack-00000.bin", "pack-00001.bin"]}), paths.pack_index)
    (removal,) = find_packs(paths)
    assert (removal.name, removal.bytes) == ("training_photos/pack-00002.bin", 5)
