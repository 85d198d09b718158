"""What the steps before training leave behind: raw answers of GBIF, copies of indices, trees, packs, features."""

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.archive.citation import read_provenance
from pipeline.dataset.pack import INDEX
from pipeline.errors import ArchiveError
from pipeline.files import remembered_sha256
from pipeline.gbif.source import SourceRecord
from pipeline.history.class_maps import forgettable
from pipeline.history.snapshots import KEPT, read_snapshots
from pipeline.pages.figures import PREVIEW
from pipeline.paths import Paths
from pipeline.retention.removals import Kept, Kind, Removal
from pipeline.retention.sizes import last_written, size_of

BESIDE: Final = (".validator", ".sha256.json")
"""Endings of files that are about the archive beside them."""
DAY: Final = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One raw answer of GBIF: an archive, or the folder with the records of a search."""

    path: Path
    keys: frozenset[str]
    """What it may be called in tags: GBIF's key, or a hash of the content."""
    written: float


def find_downloads(paths: Paths, *, most: int, named: Collection[str]) -> tuple[list[Removal], list[Kept]]:
    """The raw answers that go, and those that stay.

    The current one stays, the newest, those that the last snapshots were indexed from, and those that are named.

    Args:
        paths: The files of the scope.
        most: How many of the newest stay.
        named: Download keys of model versions that stay, and of the configuration.
    """
    record = SourceRecord.read_file(paths.current_download)
    current = None if record is None else paths.data_root / record.archive
    lately = {snapshot.key for snapshot in read_snapshots(paths)[-KEPT:]}
    removals, kept = [], []
    answers = sorted(_answers(paths), key=lambda answer: answer.written, reverse=True)
    for place, answer in enumerate(answers):
        name = str(answer.path.relative_to(paths.data_root))
        if current is not None and (answer.path == current or answer.path in current.parents):
            kept.append(Kept(name=name, reason="the tables are built from it"))
        elif answer.keys & set(named):
            kept.append(Kept(name=name, reason="a model version that stays, or the configuration, names it"))
        elif place < most:
            kept.append(Kept(name=name, reason=f"one of the newest {most}"))
        elif answer.keys & lately:
            kept.append(Kept(name=name, reason=f"one of the last {KEPT} snapshots was indexed from it"))
        else:
            beside = [path for path in _beside(answer.path) if path.exists()]
            removals.append(
                Removal(
                    kind=Kind.DOWNLOAD,
                    name=name,
                    bytes=size_of(answer.path) + sum(map(size_of, beside)),
                    reason=f"older than the newest {most}, and no version that stays names it",
                    beside=tuple(str(path.relative_to(paths.data_root)) for path in beside),
                )
            )
    return removals, kept


def _answers(paths: Paths) -> Iterator[Answer]:
    for folder in sorted(paths.downloads.glob("*")):
        if folder.name.startswith("search-"):
            yield Answer(path=folder, keys=frozenset({folder.name}), written=last_written(folder))
        elif folder.is_dir():
            for archive in sorted(folder.glob("*.zip")):
                yield Answer(path=archive, keys=_keys(archive), written=archive.stat().st_mtime)


def _keys(archive: Path) -> frozenset[str]:
    """Keys of an archive: its name, where it is a GBIF download, else what `pipeline.gbif.source` calls it."""
    if archive.name != "archive.zip":
        return frozenset({archive.stem})
    keys = {f"archive-{remembered_sha256(archive)[:16]}"}
    try:
        keys.add(read_provenance(archive).key or "")
    except ArchiveError:
        # It does not say how it is called, and nobody names it so.
        return frozenset(keys)
    return frozenset(keys - {""})


def _beside(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{ending}") for ending in BESIDE]


def find_indices(paths: Paths) -> list[Removal]:
    """Copies of indices that no comparison needs any more; the records of all snapshots stay."""
    numbers = [snapshot.number for snapshot in read_snapshots(paths)]
    old = [paths.snapshot_index(number) for number in numbers[:-KEPT]]
    return [
        _removal(paths, Kind.INDEX, path, f"only the last {KEPT} snapshots are compared")
        for path in old
        if path.exists()
    ]


def find_trees(paths: Paths, *, named: Collection[str]) -> list[Removal]:
    """What occurrences were called under earlier trees; the trees themselves are small and stay.

    Args:
        paths: The files of the scope.
        named: The tags `naturewatch.taxonomy_hash` of the model versions that stay: a refresh may go on from them.
    """
    reason = "neither the present tree nor the last one, and no version that stays has it"
    return [_removal(paths, Kind.TREE, path, reason) for path in forgettable(paths, named=named)]


def find_packs(paths: Paths) -> list[Removal]:
    """Packs that the index does not name; without an index none is judged, since a first build may have been killed."""
    if not paths.pack_index.exists():
        return []
    named = set(pc.unique(pq.read_table(paths.pack_index, columns=["pack"])["pack"]).to_pylist())
    # What is packed next is appended to the last one, which is empty before the first photograph.
    return [
        _removal(paths, Kind.PACK, path, f"{INDEX} names no photograph in it")
        for path in sorted(paths.training_photos.glob("pack-*.bin"))
        if path.name not in named
    ]


def find_old_files(paths: Paths, *, now: dt.datetime, feature_days: int, log_days: int) -> list[Removal]:
    """Features that nobody read for so long, old logs but the newest, and previews of pictures that are gone."""
    moment = now.timestamp()
    features = [path for path in sorted(paths.features.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    logs = sorted(paths.logs.glob("*.log"), key=lambda path: (path.stat().st_mtime, path.name))
    previews = [
        path
        for path in sorted(paths.reports.rglob(f"*-{PREVIEW}.png"))
        if not path.with_name(f"{path.name.removesuffix(f'-{PREVIEW}.png')}.png").exists()
    ]
    return [
        *(
            _removal(paths, Kind.FEATURES, path, f"not read for {feature_days} days")
            for path in features
            if moment - path.stat().st_mtime > feature_days * DAY
        ),
        *(
            _removal(paths, Kind.LOG, path, f"older than {log_days} days")
            for path in logs[:-1]
            if moment - path.stat().st_mtime > log_days * DAY
        ),
        *(_removal(paths, Kind.PREVIEW, path, "its picture is gone") for path in previews),
    ]


def _removal(paths: Paths, kind: Kind, path: Path, reason: str) -> Removal:
    return Removal(kind=kind, name=str(path.relative_to(paths.data_root)), bytes=size_of(path), reason=reason)
