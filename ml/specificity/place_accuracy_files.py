"""Files of the evaluation of place and season: who took photographs, and in which country; `place_accuracy.parquet`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.files import replacing
from ml.spec import CASE_TITLES, CalibrateSpec
from ml.specificity.calibration_report import markdown_table
from ml.specificity.place_accuracy import TRAINED, UNKNOWN, UNTRAINED, Origins, PlaceAccuracy

ACCURACY_FILE: Final = "place_accuracy.parquet"
_COLUMNS: Final[tuple[tuple[str, pa.DataType, str], ...]] = (
    ("grouping", pa.string(), "all, class, region (country), observer, or left_out: the curve of neighbours left out."),
    ("group", pa.string(), "Group of photographs within the grouping; empty where there is only one."),
    ("left_out_km", pa.float64(), "Occurrences within so many kilometres of a photograph do not count for it."),
    ("case", pa.string(), "What is known beside the pixels: neither, place, or place_and_date."),
    ("photos", pa.int64(), "Photographs of the evaluation half; the same ones in every case."),
    ("observations", pa.int64(), "Observations that they belong to."),
    ("top1", pa.float64(), "Share whose most probable species is right."),
    ("top1_low", pa.float64(), "Lower end of its 95 % Clopper-Pearson interval, for what the observations are worth."),
    ("top1_high", pa.float64(), "Upper end of the same interval."),
    ("gain", pa.float64(), "top1 less that of the case neither; null for that case."),
    ("gain_low", pa.float64(), "Lower end of the gain's 95 % interval (paired bootstrap of whole observations)."),
    ("gain_high", pa.float64(), "Upper end of the same interval."),
    ("log_loss", pa.float64(), "Mean negative natural logarithm of what is stated of the right species."),
    ("accuracy", pa.float64(), "Share of answers at the target that are right, with the case's own thresholds."),
    ("accuracy_low", pa.float64(), "Lower end of its 95 % Clopper-Pearson interval, as for top1."),
    ("accuracy_high", pa.float64(), "Upper end of the same interval."),
    ("depth", pa.float64(), "Mean depth of the answers at the target: root 0, kingdom 1, ... species 7."),
    ("abstention", pa.float64(), "Share of photographs that are answered with the root at the target."),
)
SCHEMA: Final = pa.schema([pa.field(name, kind, metadata={"description": says}) for name, kind, says in _COLUMNS])
"""Columns of the table; what each means is in the metadata of its field."""


def read_origins(spec: CalibrateSpec) -> Origins | None:
    """Country and observer of the photographs that were predicted; None without places.

    Raises:
        DataError: a table is missing, damaged, or of another dataset.
    """
    if spec.places is None or spec.split is None:
        return None
    try:
        table = pq.read_table(spec.places, columns=["occurrence_key", "side", "country", "observer"])
        split = pq.read_table(spec.split, columns=["photo_id", "occurrence_key"])
        photos = pq.read_table(spec.predictions, columns=["photo_id"])["photo_id"]
        occurrences = split["occurrence_key"].take(pc.index_in(photos, value_set=split["photo_id"]))
        rows = table.take(pc.index_in(occurrences, value_set=table["occurrence_key"]))
        trained = table.filter(pc.equal(table["side"], "train"))["observer"].drop_null()
        seen = pc.if_else(pc.is_in(rows["observer"], value_set=trained.combine_chunks()), TRAINED, UNTRAINED)
        observer = pc.if_else(pc.is_valid(rows["observer"]), seen, UNKNOWN)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise DataError(f"cannot read the places of {spec.places}: {error}; materialise the asset places") from error
    return Origins(
        region=np.array(pc.fill_null(rows["country"], UNKNOWN).to_pylist(), dtype=object),
        observer=np.array(observer.to_pylist(), dtype=object),
    )


def write_accuracy(table: Sequence[PlaceAccuracy], path: Path) -> Path:
    """Write `place_accuracy.parquet` atomically and return `path`."""
    rows = [dataclasses.asdict(one) for one in table]
    with replacing(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), partial, compression="zstd")
    return path


def read_accuracy(path: Path) -> list[PlaceAccuracy]:
    """Read what `write_accuracy` wrote."""
    return [PlaceAccuracy(**row) for row in pq.read_table(path).to_pylist()]


def accuracy_section(table: Sequence[PlaceAccuracy]) -> str:
    """What is left of the gain with neighbours left out, as a table for people."""
    rows = [one for one in table if one.grouping == "left_out" and one.case != "neither"]
    cases = list(dict.fromkeys(one.case for one in rows))
    lines = [
        ["none" if not km else f"{km:g} km", *(_gain(one) for one in rows if one.left_out_km == km)]
        for km in dict.fromkeys(one.left_out_km for one in rows)
    ]
    heads = ["records left out within", *(f"gain {CASE_TITLES[case]}:" for case in cases)]
    return (
        f"{markdown_table(heads, lines)}\n"
        f"*Gain*: how many more of {rows[0].photos:,} photographs have the right best species than by the photograph "
        "alone, in percentage points with 95 % intervals (bootstrap of whole observations). With records left out, "
        "occurrences within so many kilometres of a photograph do not count for it: what is left comes from what is "
        "known of the region, not of the spot.\n"
    )


def _gain(one: PlaceAccuracy) -> str:
    gain, low, high = (100 * (number or 0) for number in (one.gain, one.gain_low, one.gain_high))
    return f"{gain:+.1f} ({low:+.1f} to {high:+.1f})"


def accuracy_metrics(table: Sequence[PlaceAccuracy]) -> dict[str, float]:
    """`place/gain`, `place/gain_50_km_left_out` and the like, for an experiment tracker."""
    numbers: dict[str, float] = {}
    for one in table:
        if one.grouping == "all":
            numbers[f"{one.case}/log_loss"] = one.log_loss
        if one.gain is None or one.gain_low is None or one.gain_high is None:
            continue
        spread = {"gain": one.gain, "gain_low": one.gain_low, "gain_high": one.gain_high}
        if one.grouping == "all":
            numbers |= {f"{one.case}/{name}": number for name, number in spread.items()}
        if one.grouping == "left_out" and one.left_out_km:
            numbers |= {f"{one.case}/{name}_{one.left_out_km:g}_km_left_out": number for name, number in spread.items()}
    return numbers
