"""What a release changed: new, gone, re-identified and relicensed photographs, and what people ask about them.

Which releases are compared is decided in `pipeline.history.snapshots`; the rules are in `sql/changes.sql`.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from pipeline.config.settings import Settings
from pipeline.files import exclusive
from pipeline.history.snapshots import Release, copy_index, forget_old_indices, read_releases
from pipeline.paths import Paths
from pipeline.query import rows, to_parquet

KINDS: Final = ("new", "gone", "re-identified", "relicensed")
"""What can happen to a photograph between two releases."""

NOTHING: Final = pa.schema(
    [(name, pa.string()) for name in ("photo_id", "occurrence_key", "species_key", "species", "licence", "url")]
).empty_table()
"""What the first release is compared with."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two releases, and how many photographs changed in which way."""

    release: Release
    previous: Release | None
    counts: dict[str, int]
    """Photographs by kind of change, in the order of `KINDS`, zeros included."""

    def compared_with(self) -> str:
        """The release before, in plain words."""
        return self.previous.named() if self.previous else "nothing: it is the first release, and all is new"

    def scope_sentences(self) -> list[str]:
        """What of the scope changed, a sentence each; empty where every change is GBIF's."""
        if self.previous is None:
            return []
        before, after = self.previous.scope, self.release.scope
        changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
        if not changed:
            return []
        meaning = "The scope changed: what is gone may only have left it, what is new may only have entered it."
        return [meaning, *(f"{key} was {_shown(before.get(key))} and is {_shown(after.get(key))}." for key in changed)]


def build_changes(paths: Paths, settings: Settings) -> Comparison:
    """Remember the present photo index, compare it with the release before, and write `changes.parquet`.

    May be run again and killed at any moment: the same release is compared with the same predecessor.

    Args:
        paths: Where the files of the scope lie.
        settings: What shapes the index (see `pipeline.history.snapshots.scope_of`).

    Raises:
        GbifError: nothing was fetched yet.
        TableError: `photo_index.parquet`, `clean_occurrences.parquet` or the predecessor's index is missing.
        LockedError: another process is comparing releases of this folder.
    """
    with exclusive(paths.releases / ".lock"):
        release, previous = copy_index(paths, settings)
        table = to_parquet(
            "changes",
            inputs={
                "earlier": NOTHING if previous is None else paths.release_index(previous.number),
                "later": paths.release_index(release.number),
            },
            output=paths.table("changes"),
            same_checklist=previous is None or _checklist(previous) == _checklist(release),
        )
        found = {row["change"]: int(row["photographs"]) for row in rows("changes_counts", inputs={"changes": table})}
        counts = {kind: found.get(kind, 0) for kind in KINDS}
        release.model_copy(update={"changes": counts}).write(paths)
        forget_old_indices(paths)
    return Comparison(release=release, previous=previous, counts=counts)


def changed_species(paths: Paths, *, most: int) -> list[dict[str, Any]]:
    """The `most` species that gained most and as many that lost most: species_key, species, gained, lost."""
    return rows("changes_species", inputs={"changes": paths.table("changes")}, most=most)


def reidentified_pairs(paths: Paths, *, most: int) -> list[dict[str, Any]]:
    """What photographs were re-identified from and to: species_before, species_after, photographs."""
    return rows("changes_pairs", inputs={"changes": paths.table("changes")}, most=most)


def relicensed_pairs(paths: Paths) -> list[dict[str, Any]]:
    """Which licences were replaced by which: licence_before, licence_after, photographs."""
    return rows("changes_licences", inputs={"changes": paths.table("changes")})


def history(paths: Paths) -> list[dict[str, Any]]:
    """All releases, the last first: release, indexed, photographs, photographs by kind of change, doi."""
    return [
        {
            "release": one.number,
            "indexed": one.recorded[:10],
            "photographs": one.photographs,
            **{kind: one.changes.get(kind) for kind in KINDS},
            "doi": one.doi or "none",
        }
        for one in reversed(read_releases(paths))
    ]


def _checklist(release: Release) -> object:
    return release.scope.get("source.checklist_key")


def _shown(value: object) -> str:
    if value in (None, "", [], {}):
        return "empty"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
