"""What the assets of training and evaluation share: run a child per seed, show its results. Defines no asset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import dagster as dg
import pyarrow.parquet as pq

from ml.spec import CalibrateResult, CalibrateSpec, NetworkName, TrainResult, TrainSpec
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.metadata import Metadata, mapping_table, records_table, result, thumbnail
from pipeline.defs.mlflow_runs import mlflow_answers, run_tags
from pipeline.files import digest_of, sha256_of
from pipeline.launching.gpus import decoding_workers, reserved
from pipeline.launching.launch import run_child
from pipeline.launching.specs import calibrate_spec, result_of, train_specs
from pipeline.tracking.links import run_url

CONFUSED = 10
"""Pairs of taxa that the UI shows."""

NUMBERS = {
    "target", "threshold", "temperature", "calibration_accuracy", "calibration_depth", "calibration_photos",
    "evaluation_accuracy", "evaluation_accuracy_low", "evaluation_accuracy_high", "evaluation_depth",
    "evaluation_photos", "abstention_rate", "calibration_error",
}  # fmt: skip
"""What the table `numbers` shows of a calibration."""


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
                _run(spec, stage="train", context=context, pipes=pipes, processes=processes, variables=devices)
                for spec in specs
            ]
            results.append(result_of(TrainResult, files[-1]))
    version = digest_of(*(sha256_of(each.weights) for each in results))
    return result(context, data_version=version, metadata=_training_metadata(settings, results))


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
        file = _run(spec, stage="calibrate", context=context, pipes=pipes)
        results.append(result_of(CalibrateResult, file))
    reports = [each.report.read_text(encoding="utf-8") for each in results]
    numbers = [each.model_dump(include=NUMBERS, mode="json") for each in results]
    metadata = _calibration_metadata(settings, results, report=reports[0])
    return result(context, data_version=digest_of(numbers, reports), metadata=metadata)


def _run(
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


def _training_metadata(settings: Settings, results: Sequence[TrainResult]) -> dict[str, Metadata]:
    """What the UI shows of a training: the first seed, which is the released one, and a table of all seeds."""
    first = results[0]
    pairs = pq.read_table(first.confusions, filters=[("side", "=", "validation")]).to_pylist()[:CONFUSED]
    shown = ("name", "other_name", "rank", "taken_for_other", "other_taken_for_it")
    metadata: dict[str, Metadata] = {
        "top1": dg.MetadataValue.float(first.metrics["top1"]),
        "train_top1": dg.MetadataValue.float(first.metrics["train_top1"]),
        "metrics": records_table(_by_side(first.metrics), none=""),
        "confused": records_table([{name: pair[name] for name in shown} for pair in pairs], none="no wrong answer"),
        "mlflow_run": dg.MetadataValue.url(run_url(settings, first.mlflow_run_id)),
        "folder": dg.MetadataValue.path(str(first.weights.parent)),
        **{title: thumbnail(path, title=title) for title, path in first.figures.items()},
    }
    numbers = [{name: result.metrics[name] for name in ("top1", "train_top1", "top5")} for result in results]
    return metadata | _by_seed(settings, numbers)


def _by_side(metrics: Mapping[str, float]) -> list[dict[str, str | float | None]]:
    """One row per metric, the two sides of the split beside each other."""
    validation = {name.removeprefix("validation_"): value for name, value in metrics.items() if name[:6] != "train_"}
    training = {name.removeprefix("train_"): value for name, value in metrics.items() if name[:6] == "train_"}
    return [
        {
            "metric": name,
            "validation": round(value, 4),
            "training": round(training[name], 4) if name in training else None,
        }
        for name, value in validation.items()
    ]


def _calibration_metadata(
    settings: Settings, results: Sequence[CalibrateResult], *, report: str
) -> dict[str, Metadata]:
    """What the UI shows of a calibration: the first seed, which is the released one, and a table of all seeds."""
    first = results[0]
    numbers = first.model_dump(include=NUMBERS, mode="json")
    metadata: dict[str, Metadata] = {
        "threshold": dg.MetadataValue.float(first.threshold),
        "evaluation_accuracy": dg.MetadataValue.float(first.evaluation_accuracy),
        "evaluation_depth": dg.MetadataValue.float(first.evaluation_depth),
        "numbers": mapping_table(
            {name: round(value, 4) for name, value in numbers.items()}, columns=("quantity", "value")
        ),
        "abstention_rate": dg.MetadataValue.float(first.abstention_rate),
        "operating_points": dg.MetadataValue.md(report),
        "mlflow_run": dg.MetadataValue.url(run_url(settings, first.mlflow_run_id)),
        **{title: thumbnail(path, title=title) for title, path in first.figures.items()},
    }
    shown = ("threshold", "evaluation_accuracy", "evaluation_depth")
    return metadata | _by_seed(settings, [{name: getattr(result, name) for name in shown} for result in results])


def _by_seed(settings: Settings, numbers: Sequence[Mapping[str, float]]) -> dict[str, Metadata]:
    """A table of all seeds, where there are several."""
    if len(numbers) == 1:
        return {}
    seeds = zip(settings.training.seeds, numbers, strict=True)
    rows = [{"seed": str(seed)} | {name: f"{value:.4f}" for name, value in row.items()} for seed, row in seeds]
    return {"seeds": records_table(rows, none="")}
