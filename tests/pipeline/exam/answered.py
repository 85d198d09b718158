"""Answers in the exam as the child leaves them, of versions that exist only as numbers."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.spec import Case, VersionAnswers
from pipeline.config.settings import Settings
from tests.ml.specificity_fixtures import BIRDS, rows_of
from tests.pipeline.tiny import write

SPECIES = ("K7", "K8", "K12", "K19")
"""Two parrots and a gannet (Aves), and a mulberry (Magnoliopsida)."""
PHOTOS = 400
SCHEMA = pa.schema(
    [
        ("photo_id", pa.string()), ("observation_id", pa.string()), ("species_key", pa.string()),
        ("named_key", pa.string()), ("known", pa.bool_()), ("top1_right", pa.bool_()), ("top_key", pa.string()),
        ("top_name", pa.string()), ("depth", pa.int32()), ("answer_right", pa.bool_()),
    ]
)  # fmt: skip


def write_tree(settings: Settings) -> None:
    write(settings.paths, "taxonomy", rows_of(BIRDS))


def answers(
    folder: Path, number: str, *, wrong: Sequence[int] = (), photos: int = PHOTOS, unknown: Sequence[str] = (),
    columns: Mapping[str, Any] | None = None, named: Mapping[int, str] = MappingProxyType({}),
    told: Mapping[Case, Collection[int]] = MappingProxyType({}), **facts: Any,  # noqa: ANN401
) -> VersionAnswers:  # fmt: skip
    """What a version answered that is right about all photographs but some.

    Args:
        folder: Where to write.
        number: Of the version.
        wrong: Photographs, by their number; two following numbers are one observation.
        photos: How many there are; the species take turns, observation by observation.
        unknown: Keys of species that it does not know.
        columns: Column -> one value for all photographs.
        named: Photograph -> key of what it was called when the version was asked, where that is another one.
        told: Case -> what it is wrong about when it is told the place; of all photographs the place is known.
        facts: Other fields of the result.
    """
    mistakes = set(wrong)
    rows = [
        {
            "photo_id": f"p{row:05}", "observation_id": f"o{row // 2}", "species_key": (key := SPECIES[row // 2 % 4]),
            "named_key": named.get(row, key), "known": key not in unknown,
            "top1_right": row not in mistakes and key not in unknown,
            "top_key": key if row not in mistakes else "another", "top_name": "?",
            "depth": 7, "answer_right": row not in mistakes, **(columns or {}),
        }
        for row in range(photos)
    ]  # fmt: skip
    path = folder / f"{number}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    if told:
        placed = [
            {**row, "top1_right": place, "answer_right": place, "case": case}
            for case, mistakes in told.items()
            for row, place in ((row, number not in mistakes) for number, row in enumerate(rows))
        ]
        facts["placed"] = folder / f"{number}-placed.parquet"
        schema = SCHEMA.append(pa.field("case", pa.string()))
        pq.write_table(pa.Table.from_pylist(placed, schema=schema), facts["placed"])
    return VersionAnswers(number=number, answers=path if photos else None, target=0.9, **facts)


def mistaken(share: float, *, seed: int = 1) -> list[int]:
    """Photographs that a version is wrong about; the same for every share, as far as they go."""
    order = np.random.default_rng(seed).permutation(PHOTOS)
    return [int(each) for each in order[: round(share * PHOTOS)]]
