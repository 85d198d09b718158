"""Calibration of one trained network: choose thresholds on one half of validation, report them on the other.

`python -m ml calibrate` reads an `ml.spec.CalibrateSpec` and writes `result.json` last. The mathematics is in
`ml.specificity.calibration`, the other files in `ml.specificity.calibration_report`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml.child.pipes import Reporter
from ml.child.tracked import run_of
from ml.errors import DataError
from ml.evaluation.class_means import ClassMeans
from ml.evaluation.predictions import EMBEDDING, StoredProbabilities, open_probabilities
from ml.files import replacing
from ml.spec import RESULT_FILE, CalibrateResult, CalibrateSpec, DocumentError, SpecificityOptions
from ml.specificity.calibration import Labelled, Outcome, calibrate_network
from ml.specificity.calibration_report import (
    CURVE_FILE,
    HASH_KEY,
    interval,
    joint_table,
    novelty_table,
    percent,
    plain_percent,
    write_files,
)
from ml.specificity.guarantee import one_per_group
from ml.specificity.joint_calibration import calibrate_joint
from ml.specificity.joint_thresholds import JOINT_FILE
from ml.specificity.novelty import NOVELTY_FILE, Prototypes, calibrate_novelty, distances_of
from ml.specificity.place_accuracy import place_accuracy
from ml.specificity.place_accuracy_files import (
    ACCURACY_FILE,
    accuracy_metrics,
    accuracy_section,
    read_accuracy,
    read_origins,
    write_accuracy,
)
from ml.specificity.place_calibration import calibrate_places
from ml.specificity.place_files import places_section, read_places, write_cases
from ml.specificity.place_marks import Calibrated
from ml.specificity.rules import describe_rule
from ml.taxonomy import Taxonomy

if TYPE_CHECKING:
    from ml.child.tracking import ChildRun


def run(spec: CalibrateSpec, *, reporter: Reporter) -> CalibrateResult:
    """Calibrate, or return the result of an earlier run of the same specification.

    Raises:
        MlError: the probabilities, the predictions or the taxonomy are missing or do not fit together.
    """
    earlier = finished(spec)
    if earlier is not None:
        reporter.info(f"calibration {spec.spec_hash} is done already: {spec.output}")
        return earlier
    spec.output.mkdir(parents=True, exist_ok=True)
    # A folder whose curve is of this specification must not have the result of another one.
    (spec.output / RESULT_FILE).unlink(missing_ok=True)
    taxonomy = Taxonomy.read(spec.taxonomy)
    data = read_predictions(spec, taxonomy=taxonomy)
    with run_of(spec) as tracked:
        outcome = calibrate_network(data, taxonomy, spec)
        _warn(outcome, spec=spec, reporter=reporter)
        result = write_outcome(outcome, spec=spec, taxonomy=taxonomy, mlflow_run_id=tracked.run_id if tracked else "")
        result = with_novelty(result, data, spec=spec, taxonomy=taxonomy)
        result = with_joint(result, data, spec=spec, taxonomy=taxonomy)
        result = with_places(result, data, outcome, spec=spec, taxonomy=taxonomy, reporter=reporter)
        if tracked is not None:
            _log(tracked, spec=spec, result=result, reachable=outcome.judged.reachable)
    reporter.info(
        f"{describe_rule(result.rule, result.reward, result.threshold, taxonomy)}: "
        f"{interval(result.evaluation_accuracy, result.evaluation_accuracy_low, result.evaluation_accuracy_high)} "
        f"right at mean depth {result.evaluation_depth:.2f} on {result.evaluation_photos:,} photographs that did not "
        "choose it"
    )
    result.write(spec.output / RESULT_FILE)
    return result


def finished(spec: CalibrateSpec) -> CalibrateResult | None:
    """The result of an earlier, complete run of exactly this specification.

    One that cannot be read any more, or was written by another version, does not count: a calibration takes seconds.
    """
    file, curve = spec.output / RESULT_FILE, spec.output / CURVE_FILE
    if not file.exists() or not curve.exists():
        return None
    metadata = pq.read_schema(curve).metadata or {}
    same = metadata.get(HASH_KEY.encode(), b"").decode() == spec.spec_hash
    try:
        return CalibrateResult.read(file) if same else None
    except DocumentError:
        return None


def read_predictions(spec: CalibrateSpec, *, taxonomy: Taxonomy) -> Labelled:
    """The validation side: probabilities stay on disk, no photograph is in both halves.

    Raises:
        DataError: a file is missing, rows do not match, or a half is empty.
    """
    try:
        probabilities = open_probabilities(spec.probabilities)
        predictions = pq.read_table(spec.predictions, columns=["photo_id", "class_id", "half"])
        observations = None if spec.split is None else observations_of(predictions["photo_id"], spec.split)
    except (OSError, ValueError, KeyError, DataError, pa.ArrowException) as error:
        raise DataError(f"cannot read the predictions of {spec.network}: {error}; train it again") from error
    if probabilities.shape != (predictions.num_rows, taxonomy.class_count):
        raise DataError(
            f"{spec.probabilities} has the shape {probabilities.shape}, but {spec.predictions} has "
            f"{predictions.num_rows} rows and {spec.taxonomy} {taxonomy.class_count} classes; train again"
        )
    halves = np.array(predictions["half"].to_pylist(), dtype=object)
    for name in ("calibration", "evaluation"):
        if not (halves == name).any():
            raise DataError(f"no validation photograph is in the {name} half; more photographs per species are needed")
    return Labelled(
        probabilities=probabilities,
        labels=predictions["class_id"].to_numpy().astype(np.int32),
        chooses=halves == "calibration",
        judges=halves == "evaluation",
        observations=observations,
    )


def observations_of(photo_ids: pa.ChunkedArray, split: Path) -> npt.NDArray[np.object_]:
    """The observation of each photograph, as `split.parquet` says."""
    rows = pq.read_table(split, columns=["photo_id", "observation_id"]).to_pydict()
    known = dict(zip(rows["photo_id"], rows["observation_id"], strict=True))
    return np.array([known[photo_id] for photo_id in photo_ids.to_pylist()], dtype=object)


def write_outcome(outcome: Outcome, *, spec: CalibrateSpec, taxonomy: Taxonomy, mlflow_run_id: str) -> CalibrateResult:
    """Write curve, thresholds, table and figures into the output folder, and say what they hold."""
    files = write_files(outcome, taxonomy=taxonomy, folder=spec.output, spec_hash=spec.spec_hash)
    chosen, judged = outcome.chosen, outcome.judged
    return CalibrateResult(
        mlflow_run_id=mlflow_run_id,
        target=spec.target,
        threshold=judged.threshold,
        calibration_accuracy=chosen.accuracy,
        calibration_depth=chosen.depth,
        calibration_photos=chosen.photos,
        evaluation_accuracy=judged.accuracy,
        evaluation_accuracy_low=judged.accuracy_low,
        evaluation_accuracy_high=judged.accuracy_high,
        evaluation_depth=judged.depth,
        evaluation_photos=judged.photos,
        abstention_rate=judged.abstention,
        **files._asdict(),
        temperature=outcome.temperature,
        delta=spec.delta,
        calibration_error=outcome.reliability.error,
        rule=spec.rule,
        reward=spec.reward,
        points=outcome.points,
        groups=outcome.groups,
        watch=outcome.watch,
        watch_unknown=outcome.watch_unknown,
        examples=outcome.examples,
    )


def with_novelty(
    result: CalibrateResult, data: Labelled, *, spec: CalibrateSpec, taxonomy: Taxonomy
) -> CalibrateResult:
    """Calibrate the novelty score on one half and judge it on the other, where the training has left embeddings.

    Of each observation one photograph takes part: a conformal share needs photographs that are exchangeable.

    Raises:
        DataError: the embeddings or the class means are damaged, or do not fit together.
    """
    if spec.prototypes is None:
        return result
    means = ClassMeans.read(spec.prototypes)
    prototypes = Prototypes.of(means=means.means, photos=means.photos, covariance=means.covariance)
    embeddings = StoredProbabilities(spec.predictions, column=EMBEDDING)
    if embeddings.shape != (len(data.labels), means.means.shape[1]) or len(means.means) != taxonomy.class_count:
        raise DataError(f"{spec.prototypes} and the embeddings of {spec.predictions} do not fit together; train again")
    halves = []
    for half in (data.chooses, data.judges):
        rows = np.flatnonzero(half)
        if data.observations is not None:
            rows = rows[one_per_group(data.observations[rows], seed=spec.seed)]
        halves.append(distances_of(embeddings, data.labels, prototypes, taxonomy, rows=rows))
    novelty, quality = calibrate_novelty(prototypes, calibration=halves[0], evaluation=halves[1])
    file = novelty.write(spec.output / NOVELTY_FILE)
    _append(result.report, novelty_table(quality))
    return result.model_copy(update={"novelty": file, "novelty_auroc": quality.auroc})


def with_joint(result: CalibrateResult, data: Labelled, *, spec: CalibrateSpec, taxonomy: Taxonomy) -> CalibrateResult:
    """Calibrate sets of photographs on one half and judge them on the other, where there are enough of them."""
    joint = calibrate_joint(data, taxonomy, spec, temperature=result.temperature)
    if joint is None:
        return result
    file = joint.write(spec.output / JOINT_FILE, keys=dict(enumerate(taxonomy.taxon_key)))
    _append(result.report, joint_table(joint, target=spec.target))
    return result.model_copy(update={"joint": file})


def with_places(
    result: CalibrateResult,
    data: Labelled,
    alone: Outcome,
    *,
    spec: CalibrateSpec,
    taxonomy: Taxonomy,
    reporter: Reporter,
) -> CalibrateResult:
    """Learn the prior of place and season and calibrate its cases, where the dataset has places.

    Raises:
        DataError: the table of places is missing, damaged, or of another dataset.
    """
    if spec.places is None:
        return result
    places = read_places(spec, classes=taxonomy.class_count)
    found = calibrate_places(data, places, alone, taxonomy, spec)
    for reason in found.left_out:
        reporter.info(reason)
    prior, cases = write_cases(found, taxonomy=taxonomy, folder=spec.output)
    _append(result.report, places_section(found, target=spec.target))
    result = result.model_copy(update={"place_prior": prior, "place_cases": cases, "compared_cases": found.compared})
    calibrated = Calibrated(data=data, places=places, found=found, alone=alone, taxonomy=taxonomy)
    return with_place_accuracy(result, calibrated, spec=spec)


def with_place_accuracy(result: CalibrateResult, calibrated: Calibrated, *, spec: CalibrateSpec) -> CalibrateResult:
    """Evaluate the cases for groups of photographs and with neighbours left out, where a case was calibrated.

    Raises:
        DataError: the table of places is damaged.
    """
    table = place_accuracy(calibrated, read_origins(spec))
    if not table:
        return result
    from ml.specificity.place_figures import draw_place_figures  # noqa: PLC0415 (Matplotlib takes a second)

    file = write_accuracy(table, spec.output / ACCURACY_FILE)
    figures = draw_place_figures(table, folder=spec.output)
    _append(result.report, accuracy_section(table))
    return result.model_copy(update={"place_accuracy": file, "figures": {**result.figures, **figures}})


def _append(page: Path, table: str) -> None:
    text = page.read_text(encoding="utf-8") + "\n" + table
    with replacing(page) as partial:
        partial.write_text(text, encoding="utf-8")


def _warn(outcome: Outcome, *, spec: CalibrateSpec, reporter: Reporter) -> None:
    if not outcome.judged.reachable:
        what = "can be promised to keep" if spec.delta is not None else "reaches"
        reporter.info(
            f"no threshold {what} {plain_percent(spec.target)} in every group of the calibration half: even at 1 the "
            f"accuracy is {percent(outcome.chosen.accuracy)} of {outcome.chosen.photos:,} photographs"
        )
    for name in outcome.watch_unknown:
        reporter.info(f"the watch-list names {name!r}, which this dataset does not hold: the network cannot see it")


def _metric(name: str) -> str:
    """The name in MLflow, which groups charts by what stands before the slash: `evaluation/depth`."""
    if name in {"abstention_rate", "calibration_error"}:
        return f"evaluation/{name}"
    half, _, rest = name.partition("_")
    return f"{half}/{rest}" if half in {"calibration", "evaluation"} else f"specificity/{name}"


def _log(tracked: "ChildRun", *, spec: CalibrateSpec, result: CalibrateResult, reachable: bool) -> None:
    tracked.log_params({name: getattr(spec, name) for name in ("network", *SpecificityOptions.model_fields)})
    numbers = {
        name: float(value)
        for name, value in result
        if isinstance(value, float | int) and name not in {"target", "delta"}
    }
    numbers |= {"evaluation_depth_incl_root": result.evaluation_depth + 1, "target_reachable": float(reachable)}
    numbers = {_metric(name): value for name, value in numbers.items()}
    for point in result.points:
        for name in ("threshold", "accuracy", "depth", "abstention"):
            numbers[f"at_{100 * point.target:g}/{name}"] = getattr(point, name)
    tracked.log_metrics(numbers | _place_metrics(result))
    tables = [result.curve, result.thresholds, result.by_target, result.joint, result.place_accuracy]
    for case in result.place_cases:
        tables += [case.thresholds, case.by_target, case.joint]
    for table in tables:
        if table is not None:
            tracked.log_table(table)
    for file in (result.report, result.place_prior):
        if file is not None:
            tracked.log_file(file)
    for figure in result.figures.values():
        tracked.log_figure(figure)


def _place_metrics(result: CalibrateResult) -> dict[str, float]:
    """`place/depth` and the like: each case at the target, and (`_alone`) the same photographs without the prior."""
    numbers: dict[str, float] = {}
    for one in result.place_cases:
        for name in ("accuracy", "accuracy_low", "accuracy_high", "depth", "abstention"):
            numbers[f"{one.case}/{name}"] = getattr(one.judged, name)
        numbers |= {
            f"{one.case}/{name}_alone": getattr(one.alone, name) for name in ("accuracy", "depth", "abstention")
        }
        for name in ("temperature", "threshold", "top1", "top1_alone", "calibration_photos", "evaluation_photos"):
            numbers[f"{one.case}/{name}"] = getattr(one, name)
    return (
        numbers if result.place_accuracy is None else numbers | accuracy_metrics(read_accuracy(result.place_accuracy))
    )
