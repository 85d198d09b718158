"""Folders of trainings, calibrations and candidates: which of them something that stays was made with.

Each says in its documents what it belongs to: the dataset version, and the folders that it was made from. So nobody has
to know how hashes are made, and folders of earlier versions are understood, too.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.paths import Paths
from pipeline.retention.removals import Kind, Removal
from pipeline.retention.sizes import last_written, size_of
from pipeline.tracking import tags as version_tags

DOCUMENTS: Final = ("spec.json", "result.json", "inputs.json")
DATASET: Final = "naturewatch.dataset_version"
"""The tag of a run that names the dataset version; a model version calls it `version_tags.DATA_VERSION`."""
_REFERENCE: Final = re.compile(r"(?:(?:models|evaluation)/\w+|release)/[0-9a-f]{16}(?![0-9a-f])")
_HASH: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What one folder says of itself."""

    name: str
    """Below the data root: `models/baseline/<hash>`, `evaluation/baseline/<hash>` or `release/<hash>`."""
    dataset: str | None
    """The dataset version; None where it does not say."""
    written: float
    """When its newest file was written, in seconds since 1970."""
    made_from: frozenset[str] = field(default=frozenset())
    """The names of folders that its documents mention."""

    @property
    def kind(self) -> Kind:
        """What it holds."""
        return {"models": Kind.TRAINING, "evaluation": Kind.CALIBRATION, "release": Kind.CANDIDATE}[
            self.name.partition("/")[0]
        ]


def read_folders(paths: Paths) -> list[Folder]:
    """All folders of trainings, calibrations and candidates."""
    places = [*paths.data_root.glob("models/*/*"), *paths.data_root.glob("evaluation/*/*"), *paths.release.glob("*")]
    found = [_read(paths, place) for place in sorted(places) if place.is_dir() and not place.name.startswith(".")]
    return [folder for folder in found if _REFERENCE.fullmatch(folder.name)]


def mentioned(document: Path) -> frozenset[str]:
    """The folders that a document mentions; none where it cannot be read."""
    try:
        return frozenset(_REFERENCE.findall(document.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return frozenset()


def hashes_in(text: str) -> frozenset[str]:
    """The hashes of specifications in a text: a tag, or a whole document."""
    return frozenset(_HASH.findall(text))


def needed_folders(
    folders: Collection[Folder],
    *,
    versions: Mapping[str, str],
    dataset: str | None,
    next_release: Collection[str],
    since: float,
) -> dict[str, str]:
    """The folders that stay: name -> why.

    Args:
        folders: All there are.
        versions: The hashes in the tags of the versions that stay, with the number of the version.
        dataset: The present dataset version.
        next_release: The hashes in the record of what is released next.
        since: Folders that were written later stay, in seconds since 1970.
    """
    known = {folder.name: folder for folder in folders}
    needed: dict[str, str] = {}
    for name, folder in known.items():
        own = name.rpartition("/")[2]
        if own in versions:
            needed[name] = f"version {versions[own]}"
        elif own in next_release:
            needed[name] = "it is released next"
        elif folder.dataset is None:
            needed[name] = "it does not say what it belongs to"
        elif folder.dataset == dataset:
            needed[name] = "the present dataset"
        elif folder.written >= since:
            needed[name] = "it is new"
    reached = list(needed)
    while reached:
        name = reached.pop()
        for other in known[name].made_from - needed.keys():
            if other in known:
                needed[other] = needed[name]
                reached.append(other)
    return needed


def removals(paths: Paths, folders: Collection[Folder], *, needed: Collection[str]) -> list[Removal]:
    """The folders that go."""
    return [
        Removal(
            kind=folder.kind,
            name=folder.name,
            bytes=size_of(paths.data_root / folder.name),
            reason="of an earlier dataset, and no version that stays was made with it",
        )
        for folder in folders
        if folder.name not in needed
    ]


def _read(paths: Paths, place: Path) -> Folder:
    documents = [place / name for name in DOCUMENTS]
    name = str(place.relative_to(paths.data_root))
    return Folder(
        name=name,
        dataset=_dataset(place / DOCUMENTS[0]),
        written=last_written(place),
        made_from=frozenset().union(*map(mentioned, documents)) - {name},
    )


def _dataset(spec: Path) -> str | None:
    try:
        values: Any = json.loads(spec.read_text(encoding="utf-8"))
        tags = {**values.get("version_tags", {}), **values["tracking"]["tags"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    found = tags.get(DATASET) or tags.get(version_tags.DATA_VERSION)
    return str(found) if found else None
