"""What a snapshot changed: new, gone, re-identified and relicensed photographs, and what people ask about them.

Which snapshots are compared is decided in `pipeline.history.snapshots`; the rules are in `sql/history/changes.sql`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from pipeline.config.licence_names import SETS
from pipeline.config.settings import Settings
from pipeline.files import exclusive
from pipeline.history.snapshots import Snapshot, copy_index, forget_old_indices, read_snapshots
from pipeline.paths import Paths
from pipeline.query import rows, tally, to_parquet

KINDS: Final = ("new", "gone", "re-identified", "relicensed")
"""What can happen to a photograph between two snapshots."""

NOTHING: Final = pa.schema(
    [(name, pa.string()) for name in ("photo_id", "occurrence_key", "species_key", "species", "licence", "url")]
).empty_table()
"""What the first snapshot is compared with."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two snapshots, and how many photographs changed in which way."""

    snapshot: Snapshot
    previous: Snapshot | None
    counts: dict[str, int]
    """Photographs by kind of change, in the order of `KINDS`, zeros included."""

    def compared_with(self) -> str:
        """The snapshot before, in plain words."""
        return self.previous.named() if self.previous else "nothing: it is the first snapshot, and all is new"

    def scope_sentences(self) -> list[str]:
        """What changed in the scope, one sentence each; empty where every change is GBIF's."""
        if self.previous is None:
            return []
        return scope_sentences(self.previous.scope, self.snapshot.scope)


def scope_sentences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What changed between two scopes, by configuration key, one sentence each; empty where nothing did."""
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    if not changed:
        return []
    meaning = "The scope changed: what is gone may only have left it, what is new may only have entered it."
    return [meaning, *(f"{key} was {_shown(key, before)} and is {_shown(key, after)}." for key in changed)]


def build_changes(paths: Paths, settings: Settings) -> Comparison:
    """Remember the present photo index, compare it with the snapshot before, and write `changes.parquet`.

    May be run again and killed at any moment: the same snapshot is always compared with the same predecessor.

    Args:
        paths: The paths of the scope.
        settings: What shapes the index (see `pipeline.history.snapshots.scope_of`).

    Raises:
        GbifError: nothing was fetched yet.
        TableError: `photo_index.parquet`, `clean_occurrences.parquet` or the predecessor's index is missing.
        LockedError: another process is comparing snapshots of this folder.
    """
    with exclusive(paths.snapshots / ".lock"):
        snapshot, previous = copy_index(paths, settings)
        table = to_parquet(
            "changes",
            inputs={
                "earlier": NOTHING if previous is None else paths.snapshot_index(previous.number),
                "later": paths.snapshot_index(snapshot.number),
            },
            output=paths.table("changes"),
            same_checklist=previous is None or _checklist(previous) == _checklist(snapshot),
        )
        found = tally(table, "change")
        counts = {kind: found.get((kind,), 0) for kind in KINDS}
        snapshot.model_copy(update={"changes": counts}).write(paths)
        forget_old_indices(paths)
    return Comparison(snapshot=snapshot, previous=previous, counts=counts)


def changed_species(paths: Paths, *, most: int) -> list[dict[str, Any]]:
    """The `most` species that gained most and the `most` that lost most: species_key, species, gained, lost."""
    return rows("changes_species", inputs={"changes": paths.table("changes")}, most=most)


def replaced(paths: Paths, change: str, *, most: int) -> list[dict[str, Any]]:
    """The most frequent replacements: before, after, photographs.

    Args:
        paths: The paths of the scope.
        change: `re-identified`, for pairs of species, or `relicensed`, for pairs of licences.
        most: How many pairs.
    """
    return rows("changes_replaced", inputs={"changes": paths.table("changes")}, change=change, most=most)


def relicensed(paths: Paths, *, most: int | None = None) -> list[dict[str, Any]]:
    """The photographs whose licence changed: effect, photo_id, occurrence_key, observation_id, species, licences.

    `effect` is `left` where the new licence is none of `Settings.allowed_licences`, `entered` where the old one was
    none, else `stays`; `licence_before` and `licence_after` are canonical. Those that left come first.

    Args:
        paths: The paths of the scope.
        most: How many; all without it.

    Raises:
        TableError: `changes.parquet` or `clean_occurrences.parquet` is missing.
    """
    inputs = {name: paths.table(name) for name in ("changes", "clean_occurrences")}
    return rows("changes_relicensed", inputs=inputs, most=most)


def history(paths: Paths) -> list[dict[str, Any]]:
    """All snapshots, the last first: snapshot, indexed, photographs, photographs by kind of change, doi."""
    return [
        {
            "snapshot": one.number,
            "indexed": one.recorded[:10],
            "photographs": one.photographs,
            **{kind: one.changes.get(kind) for kind in KINDS},
            "doi": one.doi or "none",
        }
        for one in reversed(read_snapshots(paths))
    ]


def _checklist(snapshot: Snapshot) -> object:
    return snapshot.scope.get("source.checklist_key")


def _shown(key: str, scope: Mapping[str, Any]) -> str:
    """A value of the scope as people read it."""
    value = scope.get(key)
    if key == "photos.licences":
        named = set(value or SETS["all"])
        return next((word for word, licences in SETS.items() if named == set(licences)), ", ".join(sorted(named)))
    if value in (None, "", [], {}):
        return "empty"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
