"""Calibration of one trained network: choose a threshold on one half of validation, report it on the other.

`python -m ml.calibrate --spec FILE` reads an `ml.spec.CalibrateSpec` and writes `result.json` last. The mathematics is
in `ml.specificity`, the pictures in `ml.calibration_figures`.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError
from scipy import stats

from ml.calibration_figures import draw_figures
from ml.errors import DataError, MlError
from ml.operating import OperatingCurve
from ml.pipes import Reporter, session
from ml.spec import RESULT_FILE, CalibrateResult, CalibrateSpec
from ml.specificity import Calibration, Candidates, candidates, choose_threshold, curve_of
from ml.taxonomy import Integers, Taxonomy
from ml.tracking import ChildRun, child_run

CURVE_FILE = "operating_curve.parquet"
HASH_KEY = "naturewatch.spec_hash"
"""Metadata of the curve's file: which specification it was computed for."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Half:
    """One half of the validation side."""

    found: Candidates
    """The most probable node of each depth. Shapes N x (D + 1)."""
    labels: Integers
    """True class ids. Shape N."""

    def curve(self, taxonomy: Taxonomy) -> OperatingCurve:
        """What each threshold does on this half."""
        return curve_of(self.found, self.labels, taxonomy)


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
    taxonomy = Taxonomy.read(spec.taxonomy)
    chosen_on, reported_on = read_halves(spec, taxonomy=taxonomy)
    with child_run(spec.tracking, spec_hash=spec.spec_hash, name=spec.tracking.stage) as tracked:
        chosen = choose_threshold(
            chosen_on.found, chosen_on.labels, taxonomy, target=spec.target, method=spec.method, seed=spec.seed
        )
        if not chosen.reachable:
            reporter.info(
                f"no threshold reaches {spec.target:.1%} on the calibration half: even at 1 the accuracy is "
                f"{chosen.accuracy:.1%}; the network is certain and wrong"
            )
        calibration, evaluation = chosen_on.curve(taxonomy), reported_on.curve(taxonomy)
        curve = calibration.write(spec.output / CURVE_FILE, facts={HASH_KEY: spec.spec_hash})
        figures = draw_figures(
            calibration=calibration,
            evaluation=evaluation,
            threshold=chosen.threshold,
            target=spec.target,
            depths=taxonomy.max_depth,
            folder=spec.output,
        )
        result = summarise(chosen, evaluation=evaluation, curve=curve, figures=figures, mlflow_run_id=tracked.run_id)
        _log(tracked, spec=spec, result=result, chosen=chosen)
    reporter.info(
        f"threshold {result.threshold:.4f}: accuracy {result.evaluation_accuracy:.1%} "
        f"({result.evaluation_accuracy_low:.1%} to {result.evaluation_accuracy_high:.1%}) at mean depth "
        f"{result.evaluation_depth:.2f} on {result.evaluation_photos} photographs that did not choose it"
    )
    result.write(spec.output / RESULT_FILE)
    return result


def finished(spec: CalibrateSpec) -> CalibrateResult | None:
    """The result of an earlier, complete run of exactly this specification."""
    file, curve = spec.output / RESULT_FILE, spec.output / CURVE_FILE
    if not file.exists() or not curve.exists():
        return None
    metadata = pq.read_schema(curve).metadata or {}
    same = metadata.get(HASH_KEY.encode(), b"").decode() == spec.spec_hash
    return CalibrateResult.read(file) if same else None


def read_halves(spec: CalibrateSpec, *, taxonomy: Taxonomy) -> tuple[Half, Half]:
    """The calibration and the evaluation half; no photograph is in both.

    Raises:
        DataError: a file is missing, rows do not match, or a half is empty.
    """
    try:
        probabilities = np.load(spec.probabilities, mmap_mode="r", allow_pickle=False)
        predictions = pq.read_table(spec.predictions, columns=["class_id", "half"])
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"cannot read the predictions of {spec.network}: {error}; train it again") from error
    if probabilities.shape != (predictions.num_rows, taxonomy.class_count):
        raise DataError(
            f"{spec.probabilities} has the shape {probabilities.shape}, but {spec.predictions} has "
            f"{predictions.num_rows} rows and {spec.taxonomy} {taxonomy.class_count} classes; train again"
        )
    labels = predictions["class_id"].to_numpy().astype(np.int32)
    halves = np.array(predictions["half"].to_pylist(), dtype=object)
    # The probabilities stay on disk; their candidates, eight per photograph, fit into memory at any scale.
    found = candidates(probabilities, taxonomy)
    return (
        _half("calibration", found, labels=labels, halves=halves),
        _half("evaluation", found, labels=labels, halves=halves),
    )


def summarise(
    chosen: Calibration,
    *,
    evaluation: OperatingCurve,
    curve: Path,
    figures: dict[str, Path],
    mlflow_run_id: str,
) -> CalibrateResult:
    """The chosen threshold, judged on the evaluation half with a 95 % Clopper-Pearson interval."""
    entry = evaluation.at(chosen.threshold)
    accuracy = float(evaluation.accuracy[entry])
    right = round(accuracy * evaluation.photos)
    interval = stats.binomtest(right, evaluation.photos).proportion_ci(confidence_level=0.95, method="exact")
    return CalibrateResult(
        mlflow_run_id=mlflow_run_id,
        target=chosen.target,
        threshold=chosen.threshold,
        calibration_accuracy=chosen.accuracy,
        calibration_depth=chosen.depth,
        calibration_photos=chosen.photos,
        evaluation_accuracy=accuracy,
        evaluation_accuracy_low=float(interval.low),
        evaluation_accuracy_high=float(interval.high),
        evaluation_depth=float(evaluation.depth[entry]),
        evaluation_photos=evaluation.photos,
        abstention_rate=float(evaluation.abstention[entry]),
        curve=curve,
        figures=figures,
    )


def _half(name: str, found: Candidates, *, labels: Integers, halves: npt.NDArray[np.object_]) -> Half:
    rows = np.flatnonzero(halves == name)
    if len(rows) == 0:
        raise DataError(f"no validation photograph is in the {name} half; more photographs per species are needed")
    return Half(found=Candidates(found.node_ids[rows], found.probabilities[rows]), labels=labels[rows])


def _log(tracked: ChildRun, *, spec: CalibrateSpec, result: CalibrateResult, chosen: Calibration) -> None:
    tracked.log_params({"network": spec.network, "target": spec.target, "method": spec.method, "seed": spec.seed})
    numbers = result.model_dump(exclude={"curve", "figures", "mlflow_run_id", "target"})
    tracked.log_metrics({name: float(value) for name, value in numbers.items()})
    tracked.log_metrics(
        {
            "evaluation_depth_incl_root": result.evaluation_depth + 1,
            "calibration_evaluations": chosen.evaluations,
            "target_reachable": float(chosen.reachable),
        }
    )
    tracked.log_file(result.curve)
    for figure in result.figures.values():
        tracked.log_figure(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one specification and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ml.calibrate", description="Calibrate one trained network.")
    parser.add_argument("--spec", type=Path, required=True, help="a CalibrateSpec as JSON")
    options = parser.parse_args(argv)
    try:
        with session() as reporter:
            run(CalibrateSpec.read(options.spec), reporter=reporter)
    except (MlError, ValidationError, OSError) as error:
        sys.stderr.write(f"ml.calibrate: {' '.join(str(error).split())}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
