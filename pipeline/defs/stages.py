"""What the assets of training and evaluation share: run a child per seed, show its results. Defines no asset."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from ml.spec import (
    CASE_TITLES,
    SIZE_METRIC,
    CalibrateResult,
    CalibrateSpec,
    NetworkName,
    TrainResult,
    TrainSpec,
    size_title,
)
from pipeline.comparison.place_tables import cases, left_out, place_rows
from pipeline.comparison.wording import between, counted, percent, plain_percent, points, points_between
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.logged import pictures, run_link
from pipeline.defs.metadata import Metadata, percentage, records_table, result
from pipeline.defs.mlflow_runs import mlflow_answers, run_tags
from pipeline.files import digest_of, sha256_of
from pipeline.launching.gpus import decoding_workers, reserved
from pipeline.launching.launch import run_child
from pipeline.launching.specs import calibrate_spec, result_of, train_specs

CONFUSED = 10
"""Pairs of taxa that the UI shows."""

NUMBERS = {
    "target", "threshold", "temperature", "calibration_accuracy", "calibration_depth", "calibration_photos",
    "evaluation_accuracy", "evaluation_accuracy_low", "evaluation_accuracy_high", "evaluation_depth",
    "evaluation_photos", "abstention_rate", "calibration_error",
}  # fmt: skip
"""What the data version of a calibration is made of, beside its report."""

MEASURED = {
    "top1": "first answer right (top-1)",
    "top5": "among the first five (top-5)",
    "macro_top1": "first answer right, mean over classes",
    "ece": "calibration error of the probabilities",
    "errors_within_genus": "wrong answers: right genus",
    "errors_within_family": "wrong answers: right family only",
    "errors_beyond_family": "wrong answers: wrong family",
}
"""The shares that an evaluation measures, in words."""


def train_network(
    settings: Settings,
    *,
    network: NetworkName,
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
) -> dg.MaterializeResult[None]:
    """Train one network with every configured seed, one after the other; a finished training is not repeated.

    Raises:
        ChildError: a child failed; the message repeats its error.
        PoolError: there are fewer GPUs than processes, or other trainings hold them.
    """
    mlflow_answers(settings)
    manifest, tags = DatasetManifest.read(settings.paths), run_tags(settings, context)
    results, processes = [], settings.training.processes
    workers = decoding_workers(processes=processes)
    with reserved(processes=processes, what=f"{settings.name}: {network}", say=context.log.info) as devices:
        for seed in settings.training.seeds:
            specs = train_specs(settings, manifest, network=network, seed=seed, tags=tags, workers=workers)
            files = [
                run_stage(spec, stage="train", context=context, pipes=pipes, processes=processes, variables=devices)
                for spec in specs
            ]
            results.append(result_of(TrainResult, files[-1]))
    version = weights_version(results)
    return result(context, settings, data_version=version, metadata=training_metadata(settings, results))


def weights_version(results: Sequence[TrainResult]) -> str:
    """The data version of trainings: what they learnt."""
    return digest_of(*(sha256_of(each.weights) for each in results))


def calibrate_network(
    settings: Settings,
    *,
    network: NetworkName,
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
) -> dg.MaterializeResult[None]:
    """Calibrate one network for every seed that it was trained with.

    Raises:
        ChildError: a child failed; the message repeats its error.
    """
    mlflow_answers(settings)
    manifest, tags = DatasetManifest.read(settings.paths), run_tags(settings, context)
    results = []
    for seed in settings.training.seeds:
        spec = calibrate_spec(settings, manifest, network=network, seed=seed, tags=tags)
        file = run_stage(spec, stage="calibrate", context=context, pipes=pipes)
        results.append(result_of(CalibrateResult, file))
    metadata = calibration_metadata(settings, results)
    return result(context, settings, data_version=calibration_version(results), metadata=metadata)


def calibration_version(results: Sequence[CalibrateResult]) -> str:
    """The data version of calibrations: their numbers and reports, and what they know of places."""
    reports = [each.report.read_text(encoding="utf-8") for each in results]
    numbers = [each.model_dump(include=NUMBERS, mode="json") for each in results]
    places = [
        sha256_of(file) for each in results for file in (each.place_prior, each.place_accuracy) if file is not None
    ]
    return digest_of(numbers, reports, *places)


def run_stage(
    spec: TrainSpec | CalibrateSpec,
    *,
    stage: str,
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
    processes: int = 1,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Hand `spec` to a child and return the path of its result; `processes` and `variables` as for `run_child`."""
    file = spec.write(spec.output / "spec.json")
    return run_child(
        context=context, pipes=pipes, stage=stage, spec=file, output=spec.output, processes=processes,
        variables=variables,
    )  # fmt: skip


def training_metadata(settings: Settings, results: Sequence[TrainResult]) -> dict[str, Metadata]:
    """What the UI shows of a training: the first seed, which is the released one, and a table of all seeds."""
    first = results[0]
    pairs = pq.read_table(first.confusions, filters=[("side", "=", "validation")]).to_pylist()[:CONFUSED]
    confused = [
        {
            "taxon": pair["name"],
            "confused with": pair["other_name"],
            "times": pair["taken_for_other"] + pair["other_taken_for_it"],
            "in common": pair["rank"],
        }
        for pair in pairs
    ]
    return {
        "validation accuracy (%)": percentage(first.metrics["top1"]),
        "training accuracy (%)": percentage(first.metrics["train_top1"]),
        "validation photographs": int(first.metrics["validation_photos"]),
        "MLflow run": run_link(settings, first.mlflow_run_id),
        **_by_seed(settings, [{"top-1": each.metrics["top1"], "top-5": each.metrics["top5"]} for each in results]),
        **pictures(settings, first.mlflow_run_id, first.figures),
        "shares": records_table(_by_side(first.metrics), none=""),
        "most confused": records_table(confused, none="no wrong answer"),
        "path": dg.MetadataValue.path(str(first.weights.parent)),
    }


def _by_side(metrics: Mapping[str, float]) -> list[dict[str, str | None]]:
    """One row per share, the two sides of the split beside each other."""
    validation = {name.removeprefix("validation_"): value for name, value in metrics.items() if name[:6] != "train_"}
    return [
        {"share of photographs": title, "validation": _share(value), "training": _share(metrics.get(f"train_{name}"))}
        for name, value in validation.items()
        if (title := _title(name)) is not None
    ]


def _title(metric: str) -> str | None:
    """A share in words; None for what is not a share."""
    if metric.startswith("accuracy_"):
        return f"{metric.removeprefix('accuracy_')} right"
    if metric.startswith(SIZE_METRIC):
        return f"right, classes of {size_title(metric.removeprefix(SIZE_METRIC))} photographs"
    return MEASURED.get(metric)


def _share(value: float | None) -> str | None:
    return None if value is None or math.isnan(value) else percent(value)


def calibration_metadata(settings: Settings, results: Sequence[CalibrateResult]) -> dict[str, Metadata]:
    """What the UI shows of a calibration: the first seed, which is the released one, and a table of all seeds."""
    first = results[0]
    points = [
        {
            "target": plain_percent(point.target),
            "right": percent(point.accuracy),
            "mean depth": f"{point.depth:.2f}",
            "no answer": percent(point.abstention),
        }
        for point in first.points
    ]
    seeds = [
        {"threshold": each.threshold, "right": each.evaluation_accuracy, "mean depth": each.evaluation_depth}
        for each in results
    ]
    return {
        "target (%)": percentage(first.target),
        "right (%)": percentage(first.evaluation_accuracy),
        "95 % interval": f"{between(first.evaluation_accuracy_low, first.evaluation_accuracy_high)} %, "
        f"{counted(first.evaluation_photos, 'photograph')} that did not choose the threshold",
        "mean depth (7: species)": round(first.evaluation_depth, 2),
        "no answer (%)": percentage(first.abstention_rate),
        "threshold": round(first.threshold, 4),
        "calibration error (%)": percentage(first.calibration_error),
        "MLflow run": run_link(settings, first.mlflow_run_id),
        **_by_seed(settings, seeds),
        "operating points": records_table(points, none=""),
        **case_metadata(first),
        **pictures(settings, first.mlflow_run_id, first.figures),
        "path": dg.MetadataValue.path(str(first.report.parent)),
    }


def case_metadata(calibration: CalibrateResult) -> dict[str, Metadata]:
    """What places and dates are worth, where the dataset has enough of them."""
    rows = [
        {
            "answered by": CASE_TITLES[case.case],
            "right": f"{percent(case.accuracy)} ({between(case.accuracy_low, case.accuracy_high)})",
            "mean depth": f"{case.depth:.2f}",
            "no answer": percent(case.abstention),
            "best species right": percent(case.top1),
            "photographs": str(case.photos),
        }
        for case in calibration.compared_cases
    ]
    return {"place and season": records_table(rows, none=""), **_gains(place_rows(calibration))} if rows else {}


def _gains(rows: Sequence[dict[str, Any]]) -> dict[str, Metadata]:
    """What the case that knows the most adds to top-1, and what is left without the records around."""
    far = left_out(rows)
    if far is None:
        return {}
    return {
        "gain by place and season": _gain(cases(rows)[-1]),
        f"gain, records within {far['left_out_km']:g} km left out": _gain(far),
    }


def _gain(row: Mapping[str, Any]) -> str:
    return f"{points(row['gain'])} points ({points_between(row['gain_low'], row['gain_high'])})"


def _by_seed(settings: Settings, numbers: Sequence[Mapping[str, float]]) -> dict[str, Metadata]:
    """A table of all seeds, where there are several."""
    if len(numbers) == 1:
        return {}
    seeds = zip(settings.training.seeds, numbers, strict=True)
    rows = [{"seed": str(seed)} | {name: f"{value:.3f}" for name, value in row.items()} for seed, row in seeds]
    return {"seeds": records_table(rows, none="")}
