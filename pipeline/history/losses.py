"""What the next dataset loses against the last one, why, and whether a person must let it pass first.

It is judged before `species` is built: where a loss is refused, every table of the last dataset stays as it was. The
rules are in `sql/history/losses.sql`; what a dataset keeps, in `sql/dataset/photo_verdicts.sql`.
"""

import shutil
from pathlib import Path
from typing import Any, Final, Self

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from ml.spec import problem_of
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import content_hash
from pipeline.dataset.species import judge_photographs
from pipeline.errors import LossesError, TableError
from pipeline.files import atomic_path, exclusive, work_folder, write_json
from pipeline.history.changes import scope_sentences
from pipeline.history.snapshots import read_snapshots
from pipeline.paths import Paths
from pipeline.query import count, rows, to_parquet

REMEDY: Final = "to let it pass, run again with --accept-losses REASON, or give the asset losses one in the Launchpad"
_NAMED: Final = 20
"""Species that a message names."""


class LossRecord(BaseModel):
    """What was decided about a dataset before it was built: the content of `Paths.losses_record`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: str
    """A hash of the photographs that the dataset keeps, each with its species."""
    last: str | None
    """The identity of the last dataset that passed, which it is compared with; None for the first."""
    passed: bool
    accepted: str = ""
    """Why a person let it pass; empty where none had to."""
    species_before: int = 0
    species_lost: int = 0
    photos_before: int = 0
    photos_lost: int = 0
    scope: dict[str, Any] = {}
    """What decides, besides GBIF, which photographs a dataset keeps; by configuration key."""
    scope_before: dict[str, Any] | None = None
    """The same of the last dataset that passed; None where it is not known."""

    @classmethod
    def read(cls, paths: Paths) -> Self | None:
        """The last decision; None where there was none yet.

        Raises:
            TableError: the record is damaged.
        """
        try:
            return cls.model_validate_json(paths.losses_record.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            problem = f"cannot read {paths.losses_record}: {problem_of(error)}"
            raise TableError(f"{problem}; remove the folder {paths.losses_record.parent} to compare anew") from error

    def sentence(self) -> str:
        """What is lost, in numbers."""
        if self.last is None:
            return "nothing to compare with: no dataset of this folder was judged before"
        return (
            f"{self.species_lost:,} of {self.species_before:,} species and {self.photos_lost:,} of "
            f"{self.photos_before:,} photographs of the last dataset are missing"
        )


def build_losses(paths: Paths, settings: Settings, *, accept: str = "") -> LossRecord:
    """Compare what the next dataset would keep with the last that passed; write `losses.parquet` and the decision.

    A dataset that passed is remembered, and the next one is compared with it; one that did not is not. The same dataset
    is compared once: built again, table and decision stay as they are.

    Args:
        paths: The files of the scope.
        settings: `split.min_images` and the caps decide what is kept; `refresh.most_lost_species` and
            `refresh.most_lost_photos`, what passes.
        accept: Why whatever is lost may be lost; empty to ask.

    Raises:
        TableError: a table is missing, or the record of the last decision is damaged.
        LockedError: another run is at it.
    """
    table = paths.table("losses")
    with exclusive(paths.losses_record.parent / ".lock"), work_folder(paths.work("losses")) as folder:
        tables = {name: paths.table(name) for name in ("photos", "clean_occurrences")}
        verdicts = judge_photographs(paths, settings, output=folder / "verdicts.parquet")
        kept = to_parquet("losses_kept", inputs={"verdicts": verdicts, **tables}, output=folder / "kept.parquet")
        identity, record = content_hash(kept), LossRecord.read(paths)
        if record is not None and record.identity == identity and record.passed and table.exists():
            return record
        last = None if record is None else record.identity if record.passed else record.last
        before = None if last is None else paths.kept_photographs(last)
        to_parquet(
            "losses",
            inputs={
                "before": pq.read_schema(kept).empty_table() if before is None else before,
                "kept": kept,
                "verdicts": verdicts,
                "removed_photos": paths.rejections_of("photo_index"),
                "removed_occurrences": paths.rejections_of("clean_occurrences"),
                **tables,
            },
            output=table,
        )
        decided = _decided(paths, settings, identity=identity, last=last, before=before, record=record, accept=accept)
        if decided.passed:
            with atomic_path(paths.kept_photographs(identity)) as partial:
                shutil.copyfile(kept, partial)
        write_json(paths.losses_record, decided.model_dump(mode="json"))
        _forget_others(paths, decided)
        return decided


def require_passed(paths: Paths) -> None:
    """Refuse to build a dataset from what was not let pass, whichever assets are selected.

    Raises:
        LossesError: the last decision was to stop.
        TableError: the record of the last decision is damaged.
    """
    record = LossRecord.read(paths)
    if record is not None and not record.passed:
        raise LossesError(f"{record.sentence()}, which was not let pass; {REMEDY}")


def problems(paths: Paths, settings: Settings, record: LossRecord) -> list[str]:
    """Why a dataset does not pass: shares, species, reasons, and what was changed in the scope; empty where it does."""
    if record.passed:
        return []
    listed = lost_species(paths)
    named = [f"{row['species']}: {row['photos']:,} photographs ({row['why']})" for row in listed[:_NAMED]]
    if len(listed) > _NAMED:
        named.append(f"and {len(listed) - _NAMED:,} other species")
    reasons = ", ".join(f"{row['photos']:,} {row['reason']}" for row in lost_photographs(paths))
    allowed = settings.refresh
    shares = (
        f"{record.sentence()}; at most {allowed.most_lost_species:.1%} of species (refresh.most_lost_species) and "
        f"{allowed.most_lost_photos:.1%} of photographs (refresh.most_lost_photos) may be"
    )
    return [
        shares,
        f"photographs by reason: {reasons}",
        *(f"species that are lost: {'; '.join(named)}" for _ in named[:1]),
        *scope_changes(record),
        REMEDY,
    ]


def scope_changes(record: LossRecord) -> list[str]:
    """What was changed in the scope since the last dataset that passed, one sentence each."""
    return [] if record.scope_before is None else scope_sentences(record.scope_before, record.scope)


def lost_species(paths: Paths) -> list[dict[str, Any]]:
    """The species that are lost, the most frequent first: taxon_key, species, photos (before), why."""
    return rows("losses_species", inputs={"losses": paths.table("losses")})


def lost_photographs(paths: Paths) -> list[dict[str, Any]]:
    """Photographs that species lose, by reason: reason, photos, gone (of them, those that are in no class)."""
    return rows("losses_by_reason", inputs={"losses": paths.table("losses")})


def _decided(
    paths: Paths,
    settings: Settings,
    *,
    identity: str,
    last: str | None,
    before: Path | None,
    record: LossRecord | None,
    accept: str,
) -> LossRecord:
    species_before = 0 if before is None else len(pq.read_table(before, columns=["taxon_key"])["taxon_key"].unique())
    photos_before = 0 if before is None else count(before)
    species_lost, photos_lost = len(lost_species(paths)), sum(row["gone"] for row in lost_photographs(paths))
    allowed = settings.refresh
    within = (
        species_lost <= allowed.most_lost_species * species_before
        and photos_lost <= allowed.most_lost_photos * photos_before
    )
    known = record if record is not None and record.last is not None else None
    scope_before = None if record is None else record.scope if record.passed else known and known.scope_before
    return LossRecord(
        identity=identity,
        last=last,
        passed=within or bool(accept.strip()),
        accepted="" if within else " ".join(accept.split()),
        species_before=species_before,
        species_lost=species_lost,
        photos_before=photos_before,
        photos_lost=photos_lost,
        scope=_scope(paths, settings),
        scope_before=scope_before,
    )


def _scope(paths: Paths, settings: Settings) -> dict[str, Any]:
    """What decides, besides GBIF, which photographs a dataset keeps."""
    snapshots = read_snapshots(paths)
    names = ("min_images", "photos_per_observation", "photos_per_species", "seed")
    return {
        **(snapshots[-1].scope if snapshots else {}),
        **{f"split.{name}": getattr(settings.split, name) for name in names},
    }


def _forget_others(paths: Paths, record: LossRecord) -> None:
    """Remove what was kept of datasets that nothing will be compared with."""
    needed = {paths.kept_photographs(one) for one in (record.identity, record.last) if one is not None}
    for path in paths.losses_record.parent.glob("*.parquet"):
        if path not in needed:
            path.unlink()
