"""Compares a rebuilt dataset with the version that it is to repeat: equal, or in which photographs it differs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.comparison.wording import counted
from pipeline.dataset.manifest import DatasetManifest
from pipeline.paths import Paths
from pipeline.query import rows


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a rebuild."""

    expected: str
    """The dataset version that the model was trained on."""
    found: str
    """The one that was built."""
    folder: Path
    """The data root with the rebuilt dataset."""
    differences: tuple[dict[str, Any], ...]
    """Rows of `rebuilt.sql`: kind, reason, photographs, examples."""
    tables: tuple[str, ...]
    """Tables with another content; empty where the hashes of the version are not known."""

    @property
    def equal(self) -> bool:
        """Whether the dataset is the same, to the last photograph."""
        return self.expected == self.found

    def json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "expected": self.expected,
            "found": self.found,
            "equal": self.equal,
            "tables": list(self.tables),
            "differences": list(self.differences),
            "data_root": str(self.folder),
        }

    def lines(self) -> list[str]:
        """For people."""
        if self.equal:
            return [f"Equal: the rebuilt dataset is {self.found}, photograph by photograph.", f"  {self.folder}"]
        told = [f"Different: the rebuilt dataset is {self.found}, not {self.expected}.", f"  {self.folder}"]
        told += [f"  other tables: {', '.join(self.tables)}"] if self.tables else []
        for each in self.differences:
            examples = ", ".join(each["examples"])
            told.append(
                f"  {each['kind']}: {counted(each['photographs'], 'photograph')}, {each['reason']} "
                f"(for instance {examples})"
            )
        if not self.differences:
            told.append("  The photographs, their species and their sides are the same; the taxonomy differs.")
        return told


def compare(
    *,
    expected: str,
    known: DatasetManifest | None,
    before: Path,
    before_split: Path | None,
    built: Paths,
    manifest: DatasetManifest,
) -> Outcome:
    """Compare the dataset in `built` with a version.

    Args:
        expected: The version.
        known: Its manifest, if it is kept.
        before: Its attribution table.
        before_split: Its split, if it is kept.
        built: The paths of the rebuilt dataset.
        manifest: What was built.
    """
    after_split = built.table("split") if before_split is not None else None
    none = pa.table({name: pa.array([], pa.string()) for name in ("photo_id", "split", "path")})
    found = rows(
        "rebuilt",
        inputs={
            "before": before,
            "after": built.table("attribution"),
            "before_split": before_split or none,
            "after_split": after_split or none,
            "photos": built.table("photos"),
        },
    )
    hashes = {} if known is None else known.table_hashes
    deciding = ("split", "taxonomy", "genus_photos")
    return Outcome(
        expected=expected,
        found=manifest.dataset_version,
        folder=built.data_root,
        differences=tuple(found),
        tables=tuple(name for name in deciding if name in hashes and hashes[name] != manifest.table_hashes.get(name)),
    )
