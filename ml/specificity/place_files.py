"""Files of a calibration with places: `places.parquet` in; the prior, and tables of each case, out."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.places.choice import LEAST_ROWS
from ml.places.prior import PRIOR_FILE, PlacePrior, Records
from ml.places.sites import YEAR, Sites
from ml.spec import CASE_TITLES, CalibrateSpec, ComparedCase, PlaceCase
from ml.specificity.calibration_report import (
    interval,
    joint_table,
    markdown_table,
    percent,
    plain_percent,
    write_by_target,
)
from ml.specificity.place_calibration import CaseOutcome, PlaceOutcome, Places
from ml.taxonomy import Floats, Taxonomy

COLUMNS: Final = ("occurrence_key", "class_id", "side", "latitude", "longitude", "uncertainty_m", "day")


def read_places(spec: CalibrateSpec, *, classes: int) -> Places:
    """The usable places: of the training side's occurrences, and of the photographs that were predicted.

    Args:
        spec: Names `places.parquet`, `split.parquet` and the predictions.
        classes: Species of the taxonomy.

    Raises:
        DataError: a table is missing or damaged, or they are of different datasets.
    """
    if spec.places is None or spec.split is None:
        raise DataError("places are of use only with a split, which says where each photograph was taken")
    try:
        table = pq.read_table(spec.places, columns=list(COLUMNS))
        split = pq.read_table(spec.split, columns=["photo_id", "occurrence_key"])
        photos = pq.read_table(spec.predictions, columns=["photo_id"])["photo_id"]
        occurrences = split["occurrence_key"].take(pc.index_in(photos, value_set=split["photo_id"]))
        rows = pc.index_in(occurrences, value_set=table["occurrence_key"])
        usable = pc.and_(pc.equal(table["side"], "train"), pc.is_valid(table["latitude"]))
        learnt = table.filter(usable)
        columns = {name: _numbers(learnt[name]) for name in COLUMNS[1:] if name != "side"}
        sites = Sites(*(_numbers(table[name].take(rows)) for name in Sites._fields))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise DataError(f"cannot read the places of {spec.places}: {error}; materialise the asset places") from error
    if rows.null_count:
        raise DataError(
            f"{spec.places} does not say where {rows.null_count:,} photographs of {spec.predictions} were taken: it is "
            "of another dataset; materialise the asset places"
        )
    _check(columns, sites, classes=classes, path=spec.places)
    records = Records(
        latitude=columns["latitude"].astype(np.float32),
        longitude=columns["longitude"].astype(np.float32),
        uncertainty_m=columns["uncertainty_m"].astype(np.float32),
        day=np.nan_to_num(columns["day"]).astype(np.uint16),
        class_id=columns["class_id"].astype(np.int32),
    )
    return Places(records=records, sites=sites)


def write_cases(found: PlaceOutcome, *, taxonomy: Taxonomy, folder: Path) -> tuple[Path | None, tuple[PlaceCase, ...]]:
    """Write the prior, if one was learnt, and the tables of each case; return the prior's file and the cases."""
    prior = None if found.prior is None else found.prior.write(folder / PRIOR_FILE)
    return prior, tuple(_write_case(one, taxonomy=taxonomy, folder=folder) for one in found.cases)


def _write_case(found: CaseOutcome, *, taxonomy: Taxonomy, folder: Path) -> PlaceCase:
    outcome, case = found.outcome, found.case
    keys = dict(enumerate(taxonomy.taxon_key))
    return PlaceCase(
        case=case,
        temperature=outcome.temperature,
        threshold=outcome.judged.threshold,
        thresholds=outcome.table.write(folder / f"thresholds_{case}.parquet", keys=keys),
        by_target=write_by_target(outcome, folder / f"by_target_{case}.parquet"),
        points=outcome.points,
        groups=outcome.groups,
        calibration_photos=outcome.choosers,
        evaluation_photos=outcome.judged.photos,
        judged=outcome.judged,
        alone=found.alone,
        top1=found.top1,
        top1_alone=found.top1_alone,
        joint=None if found.joint is None else found.joint.write(folder / f"joint_{case}.parquet", keys=keys),
    )


def places_section(found: PlaceOutcome, *, target: float) -> str:
    """The section "Place and season" of the report: the cases on the same photographs, and what is left out."""
    parts = ["## Place and season\n"]
    if found.prior is not None:
        parts += [cases_table(found.compared), _note(found, found.prior, target=target)]
        joints = [(one.joint, CASE_TITLES[one.case]) for one in found.cases if one.joint]
        parts += [joint_table(joint, target=target, known=known) for joint, known in joints]
    parts += [f"{reason}\n" for reason in found.left_out]
    return "\n".join(parts)


def cases_table(compared: tuple[ComparedCase, ...]) -> str:
    """A row per case: what its answers at the target are worth on the same photographs."""
    rows = [
        [
            CASE_TITLES[one.case],
            interval(one.accuracy, one.accuracy_low, one.accuracy_high),
            f"{one.depth:.2f}",
            percent(one.abstention),
            percent(one.top1),
        ]
        for one in compared
    ]
    return markdown_table(["known", "right (95 % interval):", "mean depth:", "no answer:", "best species right:"], rows)


def _note(found: PlaceOutcome, prior: PlacePrior, *, target: float) -> str:
    """What the table shows, and what the prior is made of."""
    settings, occurrences = prior.settings, int(prior.records.counts.sum())
    names = " and ".join(f"{one.outcome.judged.threshold:.4f} ({CASE_TITLES[one.case]})" for one in found.cases)
    return (
        f"All rows are about the same {found.compared[0].photos:,} photographs of the judging side, answered at "
        f"{plain_percent(target)}. Each case has a temperature and thresholds of its own, here {names}. "
        f"The prior knows {occurrences:,} occurrences of the training side. Of a place it asks the "
        f"{settings.neighbours:,} nearest, of a day those around it (a standard deviation of "
        f"{settings.season_days:g} days); its exponent is {settings.exponent:g}. What was chosen of "
        f"this was chosen by log-loss on photographs that do not judge: all, by {LEAST_ROWS} of them or more, the "
        "exponent alone by fewer. Alarms of the watch-list read the photograph alone.\n"
    )


def _numbers(column: pa.ChunkedArray) -> Floats:
    """A column as numbers; NaN where there is none."""
    numbers: Floats = pc.fill_null(pc.cast(column, pa.float64()), float("nan")).to_numpy()
    return numbers


def _check(columns: dict[str, Floats], sites: Sites, *, classes: int, path: Path) -> None:
    """Refuse a table whose numbers are no places, days or classes.

    Raises:
        DataError: naming what is wrong.
    """
    wrong = {
        "latitudes": _outside(columns["latitude"], -90, 90) or _outside(sites.latitude, -90, 90),
        "longitudes": _outside(columns["longitude"], -180, 180) or _outside(sites.longitude, -180, 180),
        "days": _outside(columns["day"], 1, YEAR) or _outside(sites.day, 1, YEAR),
        "classes": _outside(columns["class_id"], 0, classes - 1) or bool(np.isnan(columns["class_id"]).any()),
        "longitudes beside its latitudes": bool((np.isnan(sites.latitude) != np.isnan(sites.longitude)).any()),
    }
    for what, found in wrong.items():
        if found:
            raise DataError(f"{path} has impossible {what}; materialise the asset places")


def _outside(values: npt.NDArray[np.float64], low: float, high: float) -> bool:
    """Whether a known value is out of range."""
    known = values[~np.isnan(values)]
    return bool(((known < low) | (known > high)).any())
